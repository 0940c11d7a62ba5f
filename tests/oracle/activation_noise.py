"""What rounding activations costs SmolLM2, apart from any program: perplexity and teacher-forced choices.

Run in the environment of smollm2_reference.py, whose files it reads:
    python tests/oracle/activation_noise.py MODEL.gguf tests/golden/smollm2

The float32 reference runs again with the input of every matrix product rounded; nothing else changes. A backend whose
figures are worse than the scheme it uses has a fault; one that is better was lucky. Prints a table, writes nothing.
"""

import json
import math
import sys
from pathlib import Path

import torch
import transformers

CLEAR, WIDE = 0.1, 0.5


def int8(block):
    def rounded(x):
        parts = x.reshape(*x.shape[:-1], -1, block)
        scale = parts.abs().amax(-1, keepdim=True) / 127
        scale = torch.where(scale == 0, torch.ones_like(scale), scale)
        return ((parts / scale).round() * scale).reshape(x.shape)
    return rounded


def bf16(x):
    return x.bfloat16().float()


# name -> (rounding of a product whose name holds one of the words, words, rounding of the others)
SCHEMES = {
    "bf16": (None, (), bf16),
    "int8, blocks of 32": (None, (), int8(32)),
    "int8, blocks of 16": (None, (), int8(16)),
    "int8, blocks of 32; ffn_down blocks of 16": (int8(16), ("down_proj",), int8(32)),
    "int8, blocks of 32; ffn_down bf16": (bf16, ("down_proj",), int8(32)),
}


def perplexity(model, reference):
    total, count, size = 0.0, 0, reference["chunk"]
    ids = reference["ids"]
    for start in range(0, len(ids) - size + 1, size):
        chunk = torch.tensor([ids[start:start + size]])
        logits = model(chunk).logits[0, size // 2:size - 1].double()
        total -= torch.log_softmax(logits, -1).gather(1, chunk[0, size // 2 + 1:, None]).sum().item()
        count += size - 1 - size // 2
    return math.exp(total / count)


def choices(model, reference):
    clear, clear_agree, wide, wide_agree = 0, 0, 0, 0
    for row in reference["prompts"]:
        logits = model(torch.tensor([row["prompt_ids"] + row["tokens"][:-1]])).logits[0]
        ours = logits[len(row["prompt_ids"]) - 1:].argmax(-1).tolist()
        for got, token, margin in zip(ours, row["tokens"], row["margin"]):
            clear += margin > CLEAR
            clear_agree += margin > CLEAR and got == token
            wide += margin > WIDE
            wide_agree += margin > WIDE and got == token
    return f"{clear_agree} of {clear} ({clear_agree / clear:.2%}) | {wide_agree} of {wide}"


@torch.no_grad()
def main():
    path, golden = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    texts, prompts = (json.loads((golden / name).read_text()) for name in ("perplexity.json", "greedy.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager").eval()
    print("| activations | perplexity | choices, margin > 0.1 | margin > 0.5 |\n| --- | --- | --- | --- |")
    for name, (special, words, general) in SCHEMES.items():
        hooks = []
        for layer, module in model.named_modules():
            if isinstance(module, torch.nn.Linear):
                rounding = special if any(word in layer for word in words) else general
                hooks.append(module.register_forward_pre_hook(lambda _, args, r=rounding: (r(args[0]),)))
        off = perplexity(model, texts) / texts["perplexity"] - 1
        print(f"| {name} | {off:+.3%} | {choices(model, prompts)} |", flush=True)
        for hook in hooks:
            hook.remove()


main()
