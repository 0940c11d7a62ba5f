"""Makes the decode vectors beside this file: stored rows of each format and their floats.

The oracle is the dequantiser of the PyPI package `gguf` (0.19.0 made what is committed); rows come
from its quantiser where it has one, and of all other formats they are random bytes with sane scales.
From a virtual environment with gguf and numpy:  python make.py
Each NAME.bin holds ROWS rows of COLS elements as stored, then the same rows as little-endian float32.
"""

from pathlib import Path

import gguf
import numpy as np

ROWS, COLS, SEED = 3, 512, 20240

# Where random bytes must not go: binary16 scales at these offsets of a block stay finite.
SCALES = {
    "q2_k": (80, 82), "q3_k": (108,), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,),
    "iq4_nl": (0,), "iq4_xs": (0,),
}


def random_rows(rng, name, kind):
    elems, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLS // elems, size), dtype=np.uint8)
    for offset in SCALES[name]:
        scale = rng.normal(size=len(blocks)) * np.tile([1, 1e-6, 30], len(blocks))[: len(blocks)]
        blocks[:, offset : offset + 2] = scale.astype("<f2").view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def q8_k_rows(rng):
    """gguf has no decoder for it: a binary32 scale, 256 signed codes, 16 sums."""
    blocks, decoded = [], []
    for _ in range(ROWS * COLS // 256):
        scale = np.float32(rng.normal())
        codes = rng.integers(-128, 128, 256).astype(np.int8)
        sums = codes.reshape(16, 16).sum(axis=1, dtype=np.int16)
        blocks.append(scale.tobytes() + codes.tobytes() + sums.astype("<i2").tobytes())
        decoded.append(scale * codes.astype(np.float32))
    stored = np.frombuffer(b"".join(blocks), np.uint8).reshape(ROWS, -1)
    return stored, np.concatenate(decoded).reshape(ROWS, COLS)


for name in (
    "f32 f16 bf16 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k q8_k iq4_nl iq4_xs "
    "tq1_0 tq2_0 mxfp4"
).split():
    rng = np.random.default_rng(SEED)
    values = rng.normal(size=(ROWS, COLS)).astype(np.float32)
    values[1] *= 1e-6  # scales that are subnormal in binary16
    values[2] = values[2] * 300 + 17
    upper = name.upper()
    kind = gguf.GGMLQuantizationType[upper[:-1] + "K" if upper.endswith("_K") else upper]
    if name == "f32":
        stored = decoded = values
    elif name == "f16":
        stored = values.astype(np.float16)
        decoded = stored.astype(np.float32)
    elif name == "q8_k":
        stored, decoded = q8_k_rows(rng)
    else:
        stored = random_rows(rng, name, kind) if name in SCALES else gguf.quants.quantize(values, kind)
        decoded = gguf.quants.dequantize(stored, kind)
    out = stored.tobytes() + decoded.astype("<f4").tobytes()
    Path(__file__).with_name(f"{name}.bin").write_bytes(out)
