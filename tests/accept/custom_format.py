#!/usr/bin/python3
"""Invents weight formats that no source of Tenon knows, and runs models stored in them.

    custom_format.py --tenon build/release/bin/tenon [--seed 1] [--seed 2] [--isa avx2]

For each seed: a 3-bit format in groups of 96 with a codebook of its own, drawn from the seed like its layout; a small
checkpoint quantised to it; a manifest beside nothing but itself, in a temporary folder. `tenon logits` on that file must
agree within 1e-3 with `tenon logits` on a float32 file of the dequantised weights, on every ISA path. Without the
manifest the same file must be refused. Prints one line per figure; exits 1 when one failed.
"""

import argparse
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/oracle")]
import accept_quality  # noqa: E402
import gguf_edit  # noqa: E402

SOURCE = ROOT / "tests/golden/tiny/llama-q8_0.gguf"  # its tokenizer and keys
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, LAYERS = 192, 6, 3, 32, 192, 2
GROUP, BITS = 96, 3
LIMIT = accept_quality.LOGIT_TOLERANCE


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


class Format:
    """A layout drawn from `random`: how scale and codes of a group lie in a block."""

    def __init__(self, seed):
        draw = random.Random(seed)
        self.seed = seed
        self.levels = sorted(f32(draw.uniform(-1, 1)) for _ in range(1 << BITS))
        self.number = 1000 + draw.randrange(1_000_000)
        self.name = f"q{BITS}_seed{seed}"
        self.groups = draw.choice((1, 2))  # of a block
        self.scale_type = "f32" if seed % 3 == 0 else "f16"
        self.scale_bytes = {"f16": 2, "f32": 4}[self.scale_type]
        self.packing = draw.choice(("lsb_first", "fields"))
        self.scale_first = draw.random() < 0.5
        self.elems = GROUP * self.groups
        code_bytes = self.elems * BITS // 8
        self.bytes = code_bytes + self.scale_bytes * self.groups
        self.codes_offset = self.scale_bytes * self.groups if self.scale_first else 0
        self.scale_offset = 0 if self.scale_first else code_bytes

    def manifest(self):
        lines = [
            f"id: seed{self.seed}", "version: 1.0.0", "kinds: [quant]", "formats:",
            f"  - id: made.up.seed{self.seed}/0", f"    name: {self.name}", f"    gguf_type: {self.number}",
            "    class: lut_group", f"    bits: {BITS}", f"    group: {GROUP}", f"    block_elems: {self.elems}",
            f"    block_bytes: {self.bytes}", f"    packing: {self.packing}",
            f"    scale: {{type: {self.scale_type}, offset: {self.scale_offset}}}",
            f"    lut: [{', '.join(map(repr, self.levels))}]",
        ]
        if self.packing == "lsb_first":
            lines.append(f"    codes_offset: {self.codes_offset}")
        else:  # two low bits of each code in one plane, the high bit in another
            low = self.elems // 4
            lines += ["    fields:",
                      f"      - {{count: {self.elems}, offset: {self.codes_offset}, lanes: {low}, bits: 2}}",
                      f"      - {{count: {self.elems}, offset: {self.codes_offset + low}, lanes: {self.elems // 8}, "
                      "bits: 1, place: 2}"]
        return "\n".join(lines) + "\n"

    def block(self, values):
        """Bytes of one block and the floats that they mean."""
        scales, codes, meant = b"", [], []
        for at in range(0, self.elems, GROUP):
            group = values[at:at + GROUP]
            scale = struct.pack("<e" if self.scale_type == "f16" else "<f", max(map(abs, group)) * 1.02)
            scales += scale
            (exact,) = struct.unpack("<e" if self.scale_type == "f16" else "<f", scale)
            for value in group:
                code = min(range(len(self.levels)), key=lambda c: abs(exact * self.levels[c] - value))
                codes.append(code)
                meant.append(f32(exact * self.levels[code]))
        if self.packing == "lsb_first":
            stream = sum(code << (BITS * place) for place, code in enumerate(codes))
            packed = stream.to_bytes(self.elems * BITS // 8, "little")
        else:
            low, high = bytearray(self.elems // 4), bytearray(self.elems // 8)
            for place, code in enumerate(codes):
                low[place % len(low)] |= (code & 3) << (2 * (place // len(low)))
                high[place % len(high)] |= (code >> 2) << (place // len(high))
            packed = bytes(low + high)
        return (scales + packed if self.scale_first else packed + scales), meant


def write_models(folder, made):
    """`stored.gguf` in the made-up format, `dequantised.gguf` in float32, of one seeded checkpoint."""
    draw = random.Random(made.seed + 1)
    model = gguf_edit.Gguf(SOURCE.read_bytes())
    keys = {"embedding_length": HIDDEN, "block_count": LAYERS, "feed_forward_length": FFN,
            "attention.head_count": HEADS, "attention.head_count_kv": KV_HEADS, "rope.dimension_count": HEAD_DIM,
            "attention.key_length": HEAD_DIM, "attention.value_length": HEAD_DIM}
    for key, value in keys.items():
        model.pairs[f"llama.{key}"] = (gguf_edit.U32, value)
    vocab = len(model.pairs["tokenizer.ggml.tokens"][1][1])
    shapes = {"token_embd.weight": (HIDDEN, vocab), "output.weight": (HIDDEN, vocab)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in {
            "attn_q": (HIDDEN, HEADS * HEAD_DIM), "attn_k": (HIDDEN, KV_HEADS * HEAD_DIM),
            "attn_v": (HIDDEN, KV_HEADS * HEAD_DIM), "attn_output": (HEADS * HEAD_DIM, HIDDEN),
            "ffn_gate": (HIDDEN, FFN), "ffn_up": (HIDDEN, FFN), "ffn_down": (FFN, HIDDEN)}.items()}
    norms = ["output_norm.weight"] + [f"blk.{layer}.{name}.weight" for layer in range(LAYERS)
                                      for name in ("attn_norm", "ffn_norm")]
    stored, plain, count = {}, {}, 0
    for name in norms:
        data = struct.pack(f"<{HIDDEN}f", *(1 + draw.gauss(0, 0.1) for _ in range(HIDDEN)))
        stored[name] = plain[name] = {"dims": [HIDDEN], "type": gguf_edit.F32_TENSOR, "data": data}
    for name, (cols, rows) in shapes.items():
        spread = 0.5 if name == "token_embd.weight" else 0.05 if name == "output.weight" else 0.9 * cols ** -0.5
        values = [draw.gauss(0, spread) for _ in range(cols * rows)]
        if cols % made.elems == 0:
            blocks = [made.block(values[at:at + made.elems]) for at in range(0, len(values), made.elems)]
            stored[name] = {"dims": [cols, rows], "type": made.number, "data": b"".join(b for b, _ in blocks)}
            values = [value for _, meant in blocks for value in meant]
            count += 1
        data = struct.pack(f"<{len(values)}f", *values)
        plain[name] = {"dims": [cols, rows], "type": gguf_edit.F32_TENSOR, "data": data}
        stored.setdefault(name, plain[name])
    for name, tensors in (("stored.gguf", stored), ("dequantised.gguf", plain)):
        model.tensors = tensors
        model.write(folder / name)
    return count, len(shapes), vocab


def judge(tenon, seed, folder, asked, report):
    made = Format(seed)
    name = f"seed {seed}"
    plugin = folder / "plugins" / f"seed{seed}"
    plugin.mkdir(parents=True)
    (plugin / "plugin.yaml").write_text(made.manifest(), encoding="utf-8")
    for path, mode in ((plugin.parent, 0o755), (plugin, 0o755), (plugin / "plugin.yaml", 0o644)):
        path.chmod(mode)
    count, of, vocab = write_models(folder, made)
    draw = random.Random(seed + 2)
    ids = folder / "ids.json"
    ids.write_text(json.dumps({"ids": [draw.randrange(vocab) for _ in range(48)]}), encoding="utf-8")
    what = (f"{made.packing}, {made.groups} {made.scale_type} scales in {made.bytes} bytes, number {made.number}, "
            f"{count} of {of} matrices")

    refused = subprocess.run([tenon.program, "logits", folder / "stored.gguf", "--ids", ids], capture_output=True,
                             text=True, timeout=60)
    report.line(refused.returncode == 1 and f"tensor type {made.number} is unknown" in refused.stderr,
                f"{name} without its manifest", refused.stderr.strip() or f"exit code {refused.returncode}")
    for isa in reversed(accept_quality.isas(report, asked)):
        logits = []
        try:
            for file in ("stored.gguf", "dequantised.gguf"):
                out = folder / "logits.bin"
                out.unlink(missing_ok=True)
                tenon.logits(folder / file, "--ids", ids, "--compute", "precise", "--full", out,
                             "--plugin-dir", plugin.parent, isa=isa)
                logits.append(accept_quality.floats(out))
            off = accept_quality.largest_difference(*logits)
            span = max(logits[1]) - min(logits[1])
            report.line(off <= LIMIT and span > 100 * LIMIT, f"{name} {isa}",
                        f"{what}: logits over {span:.2f} differ by at most {off:.1e} (limit {LIMIT:.0e})")
        except (accept_quality.Failure, KeyError) as error:
            report.line(False, f"{name} {isa}", accept_quality.sentence(error))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenon", required=True, help="the program")
    parser.add_argument("--seed", type=int, action="append", help="may be repeated (default 1 to 6)")
    parser.add_argument("--isa", action="append", choices=tuple(accept_quality.ISAS) + accept_quality.ARM_ISAS,
                        help="only this ISA path; may be repeated")
    asked = parser.parse_args()
    report, tenon = accept_quality.Report(), accept_quality.Tenon(asked.tenon, 600)
    for seed in asked.seed or range(1, 7):
        with tempfile.TemporaryDirectory(prefix="tenon-format-") as folder:
            judge(tenon, seed, Path(folder), asked.isa, report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
