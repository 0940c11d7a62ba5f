"""The table of serve.sh: serve_table.py FOLDER ROUNDS STREAMS [JSON]. FOLDER holds serve.S.N, llama.S.N (maybe),
bench.S.N, and cache.on.N, cache.off.N (maybe)."""

import json
import statistics
import sys
from pathlib import Path

WANTED = {"bench": 0.90, "llama": 1.00, "cache": 3.0}


def load_rows(path, key, wanted):
    row = json.loads(path.read_text())
    if row["failed"] or row["cancelled"] or row["completed"] != row["requests"]:
        sys.exit(f"{path.name}: {row['failed']} requests failed: {row['errors']}")
    if wanted and row["output_tokens"] != wanted * row["requests"]:
        sys.exit(f"{path.name}: {row['output_tokens']} output tokens, expected {wanted} of each of "
                 f"{row['requests']} requests")
    return row[key]


def mix_rate(path):
    rows = json.loads(path.read_text())["results"]
    return next(row["tokens_per_second"] for row in rows if row["test"].startswith("mix"))


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} - {max(values):.1f})"


def main():
    folder, rounds = Path(sys.argv[1]), range(1, int(sys.argv[2]) + 1)
    streams = [int(word) for word in sys.argv[3].split(",")]
    result, good = {"streams": {}, "wanted": WANTED}, True
    print(f"{'output tokens/s':16}{'tenon serve':>26}{'llama-server':>26}{'tenon bench --mix':>26}"
          "   of llama  of bench")
    for count in streams:
        rates = {"serve": [load_rows(folder / f"serve.{count}.{n}", "output_tokens_per_second", 128) for n in rounds],
                 "bench": [mix_rate(folder / f"bench.{count}.{n}") for n in rounds]}
        if (folder / f"llama.{count}.1").exists():
            rates["llama"] = [load_rows(folder / f"llama.{count}.{n}", "output_tokens_per_second", 128)
                              for n in rounds]
        serve = statistics.median(rates["serve"])
        ratios = {name: serve / statistics.median(rates[name]) for name in ("bench", "llama") if name in rates}
        good = good and all(ratio >= WANTED[name] for name, ratio in ratios.items())
        result["streams"][count] = {"rates": rates, "ratios": ratios}
        llama = spread(rates["llama"]) if "llama" in rates else "-"
        of_llama = f"{ratios['llama']:.3f}" if "llama" in ratios else "-"
        print(f"{f'{count} streams':16}{spread(rates['serve']):>26}{llama:>26}{spread(rates['bench']):>26}"
              f"{of_llama:>11}{ratios['bench']:>10.3f}")
    if (folder / "cache.on.1").exists():
        times = {state: [load_rows(folder / f"cache.{state}.{n}", "ttft_ms", 0)["p50"] for n in rounds]
                 for state in ("on", "off")}
        ratio = statistics.median(times["off"]) / statistics.median(times["on"])
        good = good and ratio >= WANTED["cache"]
        result["prefix"] = {"ttft_p50_ms": times, "ratio": ratio}
        print(f"first token behind 1,500 shared tokens, p50 ms: cache on {spread(times['on'])}, off "
              f"{spread(times['off'])}: {ratio:.2f} times as fast")
    result["good"] = good
    if len(sys.argv) > 4:
        Path(sys.argv[4]).write_text(json.dumps(result) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
