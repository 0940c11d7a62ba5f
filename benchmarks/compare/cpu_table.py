"""The table of cpu.sh: cpu_table.py FOLDER ROUNDS MODEL_BYTES. FOLDER holds tenon.N, llama.N, ceilings.before/after."""

import json
import statistics
import sys
from pathlib import Path

TESTS = ("pp512", "tg128")


def tenon_rows(text):
    rows = {row["test"]: row["tokens_per_second"] for row in json.loads(text)["results"]}
    return {test: rows[test] for test in TESTS}


def llama_rows(text):
    rows = {f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}": row["avg_ts"]
            for row in json.loads(text)}
    return {test: rows[test] for test in TESTS}


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} - {max(values):.1f})"


def main():
    folder, rounds, model_bytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    ours = [tenon_rows((folder / f"tenon.{n}").read_text()) for n in range(1, rounds + 1)]
    theirs = [llama_rows((folder / f"llama.{n}").read_text()) for n in range(1, rounds + 1)]
    before, after = (json.loads((folder / f"ceilings.{when}").read_text()) for when in ("before", "after"))

    def both(key):
        return f"{before[key]:g} / {after[key]:g}"

    print(f"ceilings before / after: read {both('read_gb_s')} GB/s, line transfer {both('line_transfer_ns')} ns, "
          f"int8 {both('int8_gop_s')} GOP/s ({before['int8_with']}), bf16 {both('bf16_gflop_s')} GFLOP/s "
          f"({before['bf16_with']}), f32 {both('f32_gflop_s')} GFLOP/s ({before['f32_with']})")
    print(f"{'tokens/s':9}{'tenon':>28}{'llama.cpp':>28}   ratio")
    ratios = {}
    for test in TESTS:
        mine, other = [row[test] for row in ours], [row[test] for row in theirs]
        ratios[test] = statistics.median(mine) / statistics.median(other)
        print(f"{test:9}{spread(mine):>28}{spread(other):>28}   {ratios[test]:.3f}")
    read = (before["read_gb_s"] + after["read_gb_s"]) / 2
    rate = statistics.median(row["tg128"] for row in ours) * model_bytes / 1e9
    print(f"tenon's tg128 reads the file's bytes at {rate:.1f} GB/s, {rate / read:.0%} of the read ceiling")
    if not 0.85 < after["read_gb_s"] / before["read_gb_s"] < 1.18:
        print("the read ceiling moved by more than 15 % during the run: the machine was not alone, measure again")
    print("tenon over llama.cpp: " + ", ".join(f"{test} {ratio:.3f}" for test, ratio in ratios.items()))
    return 0 if min(ratios.values()) >= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
