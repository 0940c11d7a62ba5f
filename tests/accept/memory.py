#!/usr/bin/python3
"""Memory and start-up of `tenon run`: memory.py PROGRAM MODEL. One figure per line, a summary last.

Read from the kernel, not from the program: the peak of the child (ru_maxrss), its resident memory
sampled while it runs, and the time at which its first byte of text arrives. Exit code 1 when a
limit of the promise is broken.
"""
import json
import os
import pathlib
import select
import statistics
import subprocess
import sys
import time

MIB = 1 << 20
CONTEXT = 2048
LOADING_FACTOR, LOADING_EXTRA = 1.15, 200 * MIB
RUNNING_FACTOR, RUNNING_EXTRA = 1.10, 80 * MIB
TERMS_TOLERANCE = 0.05
FIRST_TOKEN_SECONDS = 0.5


def resident_of(pid):
    """Resident bytes now, or None when the process has ended."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def run_program(program, model, tokens, *options):
    """Runs to the end; (stdout, peak bytes, resident bytes in the second half, seconds to the first byte)."""
    command = [program, "run", model, "--raw", "Once upon a time", "-n", str(tokens), "--temp", "0",
               "--ctx", str(CONTEXT), *options]
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output, samples, first_byte = b"", [], None
    while True:
        ready, _, _ = select.select([child.stdout], [], [], 0.01)
        sample = resident_of(child.pid)
        if sample:
            samples.append(sample)
        if ready:
            piece = os.read(child.stdout.fileno(), 65536)
            if first_byte is None and piece:
                first_byte = time.monotonic() - begin
            if not piece:
                break
            output += piece
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}")
    # The second half lies after the first token, and its median before the memory is given back.
    running = statistics.median(samples[len(samples) // 2:]) if samples else 0
    return output, usage.ru_maxrss * 1024, running, first_byte


def main():
    if len(sys.argv) != 3:
        print("usage: memory.py PROGRAM MODEL", file=sys.stderr)
        return 2
    program, model = sys.argv[1:]
    size = os.path.getsize(model)
    pathlib.Path(model).read_bytes()  # warms the page cache
    failures = []

    def hold(what, seen, limit, unit):
        verdict = "ok" if seen <= limit else "TOO MUCH"
        print(f"{what}: {seen:.2f} {unit}, limit {limit:.2f}: {verdict}")
        if seen > limit:
            failures.append(what)

    _, peak_loading, _, _ = run_program(program, model, 1)
    hold("peak while loading", peak_loading / MIB, (LOADING_FACTOR * size + LOADING_EXTRA) / MIB, "MiB")

    # Long enough to be sampled well after the first token.
    output, _, running, _ = run_program(program, model, 64, "--json")
    memory = json.loads(output)["memory"]
    print("terms of memory:", json.dumps(memory))
    hold("resident after the first token", running / MIB,
         (RUNNING_FACTOR * size + memory["kv_pool"] + RUNNING_EXTRA) / MIB, "MiB")
    total = memory["total"]
    terms = sum(value for key, value in memory.items() if key != "total")
    if terms != total:
        raise RuntimeError(f"the terms of memory sum to {terms}, its total says {total}")
    hold("terms against resident memory", 100 * abs(total - running) / running, 100 * TERMS_TOLERANCE, "%")

    starts = [run_program(program, model, 1)[3] for _ in range(5)]
    if None in starts:
        raise RuntimeError("the program printed no text")
    hold("start to first token, warm cache, median of 5", statistics.median(starts), FIRST_TOKEN_SECONDS, "s")

    print(f"loading {peak_loading / MIB:.0f} MiB, running {running / MIB:.0f} MiB for a file of {size / MIB:.0f} MiB, "
          f"terms {total / MIB:.0f} MiB, first token {statistics.median(starts):.2f} s"
          + (f"; broken: {', '.join(failures)}" if failures else ""))
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        print(f"memory: {error}")
        sys.exit(1)
