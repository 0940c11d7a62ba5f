#!/usr/bin/python3
"""Compares what two programs make of the tiny checkpoints of tests/golden.

    same_logits.py [--compute fast] [--without NAME] TENON LEVEL OTHER_TENON LEVEL

Prints one line with the largest distance; exits 1 when it is above 1e-4, which a different order of sums exceeds on no
checkpoint but a wrong product of codes does on all. `--without bf16` leaves out the checkpoints whose activations one
of the levels rounds to bfloat16 and the other does not.
"""

import argparse
import array
import json
import subprocess
import sys
import tempfile
from pathlib import Path

TINY = Path(__file__).resolve().parent.parent / "golden" / "tiny"
LIMIT = 1e-4


def logits(tenon, level, model, ids, compute, folder):
    out = Path(folder) / "logits.bin"
    out.unlink(missing_ok=True)
    command = [tenon, "logits", str(model), "--ids", str(ids), "--compute", compute, "--full", str(out), "--json",
               "--backend", "cpu", "--set", f"cpu.force_isa={level}"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if run.returncode != 0 or not out.is_file():
        sys.exit(f"{' '.join(command)}: {run.stderr.strip()}")
    values = array.array("f")
    values.frombytes(out.read_bytes())
    return values


def main():
    parser = argparse.ArgumentParser(description="Compares two programs on the tiny checkpoints.")
    parser.add_argument("--compute", default="fast", choices=("fast", "precise"))
    parser.add_argument("--without", metavar="NAME", help="leave out checkpoints with NAME in their name")
    parser.add_argument("programs", nargs=4, metavar="TENON LEVEL")
    asked = parser.parse_args()
    reference = json.loads((TINY / "tiny.json").read_text(encoding="utf-8"))
    rows = [row for row in reference["files"] if asked.without is None or asked.without not in row["model"]]
    left_out = len(reference["files"]) - len(rows)
    worst, worst_file, equal = 0.0, "none", 0
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder) / "ids.json"
        ids.write_text(json.dumps({"ids": reference["ids"]}), encoding="utf-8")
        for row in rows:
            one, two = (logits(asked.programs[i], asked.programs[i + 1], TINY / row["model"], ids, asked.compute, folder)
                        for i in (0, 2))
            distance = max((abs(a - b) for a, b in zip(one, two, strict=True)), default=float("inf"))
            equal += one.tobytes() == two.tobytes()
            if not distance < worst:
                worst, worst_file = distance, row["model"]
    print(f"{asked.compute}, {asked.programs[3]} against {asked.programs[1]}: {len(rows)} files, {equal} of them "
          f"bit for bit, off by at most {worst:.1e} ({worst_file})"
          + (f"; {left_out} with {asked.without} left out" if left_out else ""))
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
