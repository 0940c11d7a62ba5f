"""Writes tests/golden/tiny: seeded toy checkpoints as GGUF and the logits transformers gives for them.

Run in an environment with torch, transformers and gguf (no GPU):
    python tests/oracle/make_tiny.py tests/golden/tiny

For each checkpoint and each format the weights are stored, read back and dequantised; transformers then runs in
float32 on exactly those dequantised weights. `NAME-FORMAT.gguf` is the file, `NAME-FORMAT.bin` the reference logits
(float32, little endian, [len(positions), vocab]); `tiny.json` holds the token ids, the positions and the figures.
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import gguf
import numpy
import torch
import transformers

SEED = 20260
VOCAB = 288
IDS = 96
FORMATS = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0")
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# The head is small, so that rounding the input of every matrix product to bf16 moves no logit by the 1e-3 that is
# asked for (the figure is in tiny.json). The layers' outputs are as large as the embedding beside them, so that each
# operation still decides the logits to well over 1e-3.
HEAD_STD = 0.003
EMBEDDING_STD = 0.5
LAYER_GAIN = 0.9
BIAS_STD = 0.5

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN_ROPE = {
    "rope_type": "yarn", "rope_theta": 10000.0, "factor": 8.0, "original_max_position_embeddings": 64,
}
# Eight of the sixteen elements of a head are rotated.
LONG_ROPE = {
    "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 0.5,
    "original_max_position_embeddings": 64,
    "short_factor": [1.0, 1.125, 1.5, 2.0], "long_factor": [1.25, 2.5, 5.0, 8.0],
}
CHECKPOINTS = {
    "llama3-tied": {
        "class": "Llama", "formats": FORMATS, "pre": "llama-bpe", "add_bos": True,
        "config": {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 64,
                   "rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": True, "rms_norm_eps": 1e-5},
    },
    "llama3-untied": {
        "class": "Llama", "formats": FORMATS, "pre": "llama-bpe", "add_bos": True,
        "config": {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 32,
                   "rope_parameters": LLAMA3_ROPE, "tie_word_embeddings": False, "rms_norm_eps": 1e-5},
    },
    # Heads narrower than hidden / heads, as Mistral-Nemo has them.
    "mistral": {
        "class": "Mistral", "formats": FORMATS, "pre": "gpt-2", "add_bos": False,
        "config": {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 64,
                   "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0}, "sliding_window": None,
                   "tie_word_embeddings": False, "rms_norm_eps": 1e-6},
    },
    # No grouped heads, three layers.
    "llama": {
        "class": "Llama", "formats": ("Q4_1", "Q8_0"), "pre": "smollm", "add_bos": False,
        "config": {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 96,
                   "num_hidden_layers": 3, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
                   "tie_word_embeddings": True, "rms_norm_eps": 1e-5},
    },
    "qwen2-yarn": {
        "class": "Qwen2", "formats": ("F32",), "pre": "qwen2", "add_bos": False,
        "config": {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64,
                   "rope_parameters": YARN_ROPE, "tie_word_embeddings": False, "rms_norm_eps": 1e-6},
    },
    "qwen2-tied": {
        "class": "Qwen2", "formats": ("Q8_0",), "pre": "deepseek-r1-qwen", "add_bos": True,
        "config": {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64,
                   "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                   "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    },
    # Heads wider than hidden / heads.
    "qwen3": {
        "class": "Qwen3", "formats": ("F32", "Q8_0"), "pre": "qwen2", "add_bos": False,
        "config": {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
                   "intermediate_size": 64, "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0},
                   "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    },
    # Layer 5 of 0 to 6 sees everything; the window is shorter than the sequence.
    "gemma3": {
        "class": "Gemma3", "config_class": "Gemma3TextConfig", "formats": ("F32", "Q8_0"), "pre": "gpt-2",
        "add_bos": True,
        # Fourteen additions to the stream: smaller logits, and each addition as large as the scaled embedding.
        "head_std": 0.75 * HEAD_STD, "post_gain": 0.02,
        "config": {"hidden_size": 32, "num_hidden_layers": 7, "num_attention_heads": 2, "num_key_value_heads": 1,
                   "head_dim": 32, "query_pre_attn_scalar": 32, "intermediate_size": 32, "sliding_window": 24,
                   "rope_parameters": {
                       "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                       "full_attention": {"rope_type": "linear", "rope_theta": 1000000.0, "factor": 8.0}},
                   "final_logit_softcapping": 0.04, "tie_word_embeddings": True, "rms_norm_eps": 1e-6},
    },
    # llama.cpp looks for Phi-3's own tokens in a file whose title says phi3.
    "phi3": {
        "class": "Phi3", "title": "longrope", "formats": ("F32", "Q8_0"), "pre": "gpt-2", "add_bos": False,
        "config": {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 64,
                   "rope_parameters": LONG_ROPE, "original_max_position_embeddings": 64, "sliding_window": 40,
                   "pad_token_id": 0, "tie_word_embeddings": False, "rms_norm_eps": 1e-5},
    },
}


def byte_characters():
    """The 256 printable stand-ins of byte-level BPE, by byte value."""
    kept = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in kept:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return [table[byte] for byte in range(256)]


def tokenizer():
    """Tokens, types and merges: three specials, 256 bytes, 29 merged pieces."""
    merges = [
        ("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ġ", "a"), ("e", "r"), ("o", "n"), ("r", "e"), ("Ġ", "s"),
        ("n", "d"), ("a", "t"), ("Ġ", "w"), ("Ġ", "o"), ("e", "n"), ("i", "t"), ("Ġo", "f"), ("Ġa", "nd"),
        ("in", "g"), ("o", "u"), ("Ġ", "b"), ("i", "s"), ("Ġ", "c"), ("o", "r"), ("Ġt", "o"), ("a", "n"), ("l", "l"),
        ("Ġ", "f"), ("at", "ion"), ("i", "on"),
    ]
    merges.sort(key=lambda pair: pair == ("at", "ion"))  # "ion" must exist before "ation"
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = special + byte_characters() + [left + right for left, right in merges]
    types = [gguf.TokenType.CONTROL] * len(special) + [gguf.TokenType.NORMAL] * (VOCAB - len(special))
    assert len(tokens) == len(set(tokens)) == VOCAB
    return tokens, types, [f"{left} {right}" for left, right in merges]


def rope_factors(rope, head_dim):
    """Divisors of the rotary frequencies under llama-3 scaling, [head_dim / 2]."""
    length = rope["original_max_position_embeddings"]
    long_wave, short_wave = length / rope["low_freq_factor"], length / rope["high_freq_factor"]
    factors = []
    for index in range(0, head_dim, 2):
        wave = 2 * numpy.pi * rope["rope_theta"] ** (index / head_dim)
        if wave < short_wave:
            factors.append(1.0)
        elif wave > long_wave:
            factors.append(rope["factor"])
        else:
            smooth = (length / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(factors, dtype=numpy.float32)


def pair_rows(weight, heads):
    """From halves [first half, second half] of each head to neighbouring pairs, the order GGUF's llama uses."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def half_rows(weight, heads):
    """The inverse of pair_rows."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def build(name, spec):
    """The seeded float32 model."""
    config_class = getattr(transformers, spec.get("config_class", spec["class"] + "Config"))
    config = config_class(**{
        "vocab_size": VOCAB, "hidden_size": 64, "num_hidden_layers": 2, "max_position_embeddings": 512,
        "attn_implementation": "eager", "bos_token_id": 0, "eos_token_id": 2, **spec["config"],
    })
    model = getattr(transformers, spec["class"] + "ForCausalLM")(config).eval().float()
    head = spec.get("head_std", HEAD_STD)
    stream = head if config.tie_word_embeddings else EMBEDDING_STD
    generator = torch.Generator().manual_seed(SEED + list(CHECKPOINTS).index(name))
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if key.endswith("bias"):
                tensor.copy_(BIAS_STD * noise)
            elif tensor.dim() == 1:
                gain = spec.get("post_gain", 1) if "post_" in key else 1
                tensor.copy_(gain * (1 + 0.2 * noise) - norm_shift(spec))
            elif "lm_head" in key:
                tensor.copy_(head * noise)
            elif "embed_tokens" in key:
                tensor.copy_(stream * noise)
            else:
                gain = 3 * stream if "o_proj" in key or "down_proj" in key else LAYER_GAIN
                tensor.copy_(gain / tensor.shape[1] ** 0.5 * noise)
    return model, config


def norm_shift(spec):
    """What a stored gain of transformers lacks; GGUF's writer adds it."""
    return 1 if spec["class"] == "Gemma3" else 0


def names(spec, config):
    """GGUF name -> (transformers name, heads whose rows are paired or 0)."""
    table = {"token_embd.weight": ("model.embed_tokens.weight", 0), "output_norm.weight": ("model.norm.weight", 0)}
    if not config.tie_word_embeddings:
        table["output.weight"] = ("lm_head.weight", 0)
    kind = spec["class"]
    paired = kind in ("Llama", "Mistral")
    parts = {"attn_norm": ("input_layernorm", 0)}
    if kind == "Phi3":
        parts["attn_qkv"] = ("self_attn.qkv_proj", 0)
    else:
        parts["attn_q"] = ("self_attn.q_proj", config.num_attention_heads if paired else 0)
        parts["attn_k"] = ("self_attn.k_proj", config.num_key_value_heads if paired else 0)
        parts["attn_v"] = ("self_attn.v_proj", 0)
    parts["attn_output"] = ("self_attn.o_proj", 0)
    if kind in ("Qwen3", "Gemma3"):
        parts.update({"attn_q_norm": ("self_attn.q_norm", 0), "attn_k_norm": ("self_attn.k_norm", 0)})
    if kind == "Gemma3":
        parts.update({"post_attention_norm": ("post_attention_layernorm", 0),
                      "ffn_norm": ("pre_feedforward_layernorm", 0),
                      "post_ffw_norm": ("post_feedforward_layernorm", 0)})
    else:
        parts["ffn_norm"] = ("post_attention_layernorm", 0)
    if kind == "Phi3":
        parts["ffn_up"] = ("mlp.gate_up_proj", 0)
    else:
        parts.update({"ffn_gate": ("mlp.gate_proj", 0), "ffn_up": ("mlp.up_proj", 0)})
    parts["ffn_down"] = ("mlp.down_proj", 0)
    for layer in range(config.num_hidden_layers):
        for ours, (theirs, heads) in parts.items():
            table[f"blk.{layer}.{ours}.weight"] = (f"model.layers.{layer}.{theirs}.weight", heads)
        if kind == "Qwen2":
            for part in "qkv":
                table[f"blk.{layer}.attn_{part}.bias"] = (f"model.layers.{layer}.self_attn.{part}_proj.bias", 0)
    return table


def write_rope(writer, spec, config):
    """Writes the keys of the rotation as the converter of each architecture does; returns its tensors."""
    rope = spec["config"]["rope_parameters"]
    if "full_attention" in rope:
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        rope = rope["full_attention"]
    writer.add_rope_freq_base(rope["rope_theta"])
    original = rope.get("original_max_position_embeddings")
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope["factor"])
        writer.add_rope_scaling_orig_ctx_len(original)
    elif rope["rope_type"] == "longrope":
        scale = config.max_position_embeddings / original
        writer.add_rope_scaling_orig_ctx_len(original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(scale) / math.log(original)))
        return {f"rope_factors_{length}.weight": numpy.array(rope[f"{length}_factor"], dtype=numpy.float32)
                for length in ("long", "short")}
    elif rope["rope_type"] == "llama3":
        return {"rope_freqs.weight": rope_factors(rope, config.head_dim)}
    return {}


def write_sizes(writer, spec, config):
    """What the architectures tell differently."""
    kind = spec["class"]
    if kind in ("Llama", "Mistral", "Qwen3", "Gemma3"):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if kind in ("Llama", "Mistral"):
        writer.add_rope_dimension_count(config.head_dim)
    if kind == "Phi3":
        head_dim = config.hidden_size // config.num_attention_heads
        writer.add_rope_dimension_count(int(head_dim * LONG_ROPE["partial_rotary_factor"]))
    if kind in ("Gemma3", "Phi3"):
        writer.add_sliding_window(config.sliding_window)
    if kind == "Gemma3":
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def write(path, name, spec, model, config, format_name):
    """Writes the GGUF and returns the state dict it means, dequantised."""
    kind = gguf.GGMLQuantizationType[format_name]
    architecture = "llama" if spec["class"] == "Mistral" else spec["class"].lower()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_name(f"tenon tiny {spec.get('title', name)}")
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if format_name == "F32" else "MOSTLY_" + format_name])
    writer.add_quantization_version(2)
    writer.add_vocab_size(VOCAB)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    write_sizes(writer, spec, config)
    factors = write_rope(writer, spec, config)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    tokens, types, merges = tokenizer()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(spec["pre"])
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(spec["add_bos"])
    writer.add_chat_template(CHATML)

    state, stored = model.state_dict(), {}
    for ours, (theirs, heads) in names(spec, config).items():
        weight = state[theirs].numpy()
        if weight.ndim == 1:
            shift = norm_shift(spec) if theirs.endswith("norm.weight") else 0
            stored[ours] = (weight + shift).astype(numpy.float32), gguf.GGMLQuantizationType.F32
        else:
            weight = pair_rows(weight, heads) if heads else weight
            stored[ours] = gguf.quantize(numpy.ascontiguousarray(weight), kind), kind
        writer.add_tensor(ours, stored[ours][0], raw_dtype=stored[ours][1])
    for ours, values in factors.items():
        writer.add_tensor(ours, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return dequantise(stored, spec, config)


def dequantise(stored, spec, config):
    """The state dict that stored tensors mean: GGUF name -> (data, type)."""
    state = {}
    for ours, (theirs, heads) in names(spec, config).items():
        data, kind = stored[ours]
        plain = gguf.dequantize(data, kind).astype(numpy.float32)
        if plain.ndim == 1 and theirs.endswith("norm.weight"):
            plain = plain - numpy.float32(norm_shift(spec))
        plain = half_rows(plain, heads) if heads else plain
        state[theirs] = torch.from_numpy(numpy.ascontiguousarray(plain))
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    return state


def mistake_error(model, ids, logits, shift):
    """The least that a deliberate small mistake moves the worst logit: rotary frequencies 5 % off, a norm 5 % off,
    one column of a value projection missing.

    Shows that the tolerance of 1e-3 can tell a right program from a wrong one.
    """
    changes = []
    inner = model.model
    rotate = inner.rotary_emb.forward
    inner.rotary_emb.forward = lambda x, position_ids, *more, **named: rotate(x, position_ids * 1.05, *more, **named)
    changes.append(model(ids).logits[0])
    inner.rotary_emb.forward = rotate
    norm = inner.layers[0].post_attention_layernorm
    kept = norm.weight.clone()
    norm.weight.add_(0.05 * (norm.weight + shift))
    changes.append(model(ids).logits[0])
    norm.weight.copy_(kept)
    attention = inner.layers[-1].self_attn
    value = (attention.qkv_proj if hasattr(attention, "qkv_proj") else attention.v_proj).weight
    rows = value[-model.config.num_key_value_heads * attention.head_dim:]
    kept = rows[:, 0].clone()
    rows[:, 0] = 0
    changes.append(model(ids).logits[0])
    rows[:, 0] = kept
    return min((change - logits).abs().max().item() for change in changes)


def bf16_error(model, ids, logits):
    """Largest logit change when the input of every matrix product is rounded to bf16."""
    hooks = [
        module.register_forward_pre_hook(lambda _, args: (args[0].bfloat16().float(),))
        for module in model.modules() if isinstance(module, torch.nn.Linear)
    ]
    rounded = model(ids).logits[0]
    for hook in hooks:
        hook.remove()
    return (rounded - logits).abs().max().item()


def reference(out, stem, spec, model, config, ids, positions, short):
    """Writes the logits of the model as it is and returns the row that tells of OUT/STEM.gguf."""
    batch = torch.tensor([ids])
    logits = model(batch).logits[0].float()
    double = model.double()(batch).logits[0]
    model.float()
    row = {
        "model": f"{stem}.gguf",
        "logits": f"{stem}.bin",
        "sha256": hashlib.sha256((out / f"{stem}.gguf").read_bytes()).hexdigest(),
        "logits_rms": round(logits.square().mean().sqrt().item(), 5),
        "bf16_activations_max_error": round(bf16_error(model, batch, logits), 6),
        "small_mistake_max_error": round(mistake_error(model, batch, logits, norm_shift(spec)), 6),
        "float32_max_error": float(f"{(logits.double() - double).abs().max().item():.2g}"),
    }
    (out / f"{stem}.bin").write_bytes(logits[positions].numpy().astype("<f4").tobytes())
    if short and spec["config"]["rope_parameters"].get("rope_type") == "longrope":
        # The positions that the other table of factors serves.
        length = config.original_max_position_embeddings
        row.update({"short_length": length, "short_logits": f"{stem}-short.bin"})
        kept = [position for position in positions if position < length]
        logits = model(batch[:, :length]).logits[0].float()
        (out / f"{stem}-short.bin").write_bytes(logits[kept].numpy().astype("<f4").tobytes())
    return row


def sequence():
    """The token ids of every reference, and the positions whose logits are kept."""
    ids = numpy.random.default_rng(SEED).integers(0, VOCAB, IDS).tolist()
    ids[0] = 0
    return ids, list(range(1, IDS, 2))


def write_index(out, command, files):
    ids, positions = sequence()
    document = {
        "made_by": command,
        "with": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": numpy.__version__},
        "vocab": VOCAB,
        "ids": ids,
        "positions": positions,
        "files": files,
    }
    (out / "tiny.json").write_text(json.dumps(document, indent=1) + "\n")


@torch.no_grad()
def main():
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    ids, positions = sequence()
    files = []
    for name, spec in CHECKPOINTS.items():
        model, config = build(name, spec)
        original = {key: value.clone() for key, value in model.state_dict().items()}
        for format_name in spec["formats"]:
            stem = f"{name}-{format_name.lower()}"
            model.load_state_dict(write(out / f"{stem}.gguf", name, spec, model, config, format_name), strict=True)
            files.append(reference(out, stem, spec, model, config, ids, positions, short=format_name == "F32"))
            model.load_state_dict(original, strict=True)
            print(files[-1], (out / f"{stem}.gguf").stat().st_size)
    write_index(out, "python tests/oracle/make_tiny.py tests/golden/tiny", files)


if __name__ == "__main__":
    main()
