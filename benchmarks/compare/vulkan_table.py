"""The table of vulkan.sh: vulkan_table.py FOLDER ROUNDS PROMPT DECODE TIMES FLOOR. FOLDER holds vulkan.N, cpu.N and,
with a peer, llama.N; beside.N where Vulkan ran with another option too."""

import json
import statistics
import sys
from pathlib import Path


def tenon_rows(text):
    return {row["test"]: row["tokens_per_second"] for row in json.loads(text)["results"]}


def llama_rows(text):
    return {f"pp{row['n_prompt']}" if row["n_prompt"] else f"tg{row['n_gen']}": row["avg_ts"]
            for row in json.loads(text)}


def main():
    folder, rounds = Path(sys.argv[1]), range(1, int(sys.argv[2]) + 1)
    tests = (f"pp{sys.argv[3]}", f"tg{sys.argv[4]}")
    times, floor = float(sys.argv[5]), float(sys.argv[6])
    columns = {"vulkan": tenon_rows, "cpu": tenon_rows}
    if (folder / "beside.1").is_file():
        columns["beside"] = tenon_rows
    if (folder / "llama.1").is_file():
        columns["llama"] = llama_rows
    runs = {name: [read((folder / f"{name}.{n}").read_text()) for n in rounds] for name, read in columns.items()}
    device = json.loads((folder / "vulkan.1").read_text()).get("device")
    if device:
        print(f"device: {device}")

    medians = {}
    print(f"{'tokens/s':9}" + "".join(f"{name:>32}" for name in columns))
    for test in tests:
        line = f"{test:9}"
        for name in columns:
            values = [run[test] for run in runs[name]]
            medians[name, test] = statistics.median(values)
            line += f"{f'{medians[name, test]:.2f} ({min(values):.2f} - {max(values):.2f})':>32}"
        print(line)
    prefill, decode = tests
    fraction = ", ".join(f"{medians['vulkan', test] / medians['cpu', test]:.1%} of the CPU backend's {test}"
                         for test in tests)
    if "beside" in columns:
        print("against beside: " + ", ".join(f"{test} {medians['vulkan', test] / medians['beside', test]:.2f} times"
                                             for test in tests))
    ours = medians["vulkan", decode]
    if "llama" in columns:
        ratio, ahead = (ours / medians["llama", decode], medians["vulkan", prefill] / medians["llama", prefill])
        print(f"decode {ours:.2f} tokens/s, {ratio:.2f} times llama.cpp's {medians['llama', decode]:.2f} "
              f"(wanted {times:g}); prefill {ahead:.2f} times; {fraction}")
        return 0 if ratio >= times else 1
    print(f"decode {ours:.2f} tokens/s (wanted {floor:g}); no peer; {fraction}")
    return 0 if ours >= floor else 1


if __name__ == "__main__":
    sys.exit(main())
