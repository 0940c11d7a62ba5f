"""Makes the decode vectors beside this file: stored rows of each format and their floats.

The oracle is the quantiser and dequantiser of the PyPI package `gguf` (0.19.0 made what is
committed). From a virtual environment with gguf and numpy:  python make.py
Each NAME.bin holds ROWS rows of COLS elements as stored, then the same rows as little-endian float32.
"""

from pathlib import Path

import gguf
import numpy as np

ROWS, COLS, SEED = 3, 64, 20240

for name in ("f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"):
    rng = np.random.default_rng(SEED)
    values = rng.normal(size=(ROWS, COLS)).astype(np.float32)
    values[1] *= 1e-6  # scales that are subnormal in binary16
    values[2] = values[2] * 300 + 17
    kind = gguf.GGMLQuantizationType[name.upper()]
    if name == "f32":
        stored = decoded = values
    elif name == "f16":
        stored = values.astype(np.float16)
        decoded = stored.astype(np.float32)
    else:
        stored = gguf.quants.quantize(values, kind)
        decoded = gguf.quants.dequantize(stored, kind)
    out = stored.tobytes() + decoded.astype("<f4").tobytes()
    Path(__file__).with_name(f"{name}.bin").write_bytes(out)
