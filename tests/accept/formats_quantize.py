#!/usr/bin/python3
"""tenon quantize beside llama-quantize: formats_quantize.py --tenon T --peers DIR --model F [--types a,b] [--chars N].

Both write every file type that both know from the same f32 weights, which llama-quantize makes of --model. Held:
the size of the file, the format of every tensor, the bytes of every tensor in a format that has one rounding, and,
where bytes differ, the perplexity under `tenon perplexity`: at most 0.5 % above llama-quantize's; and processor time:
at most 40 seconds, or what llama-quantize took. The last line is the figure. Exit code 0: met; 1: missed; 77: something
it needs is not here.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TEXT = HERE.parent / "golden" / "smollm2" / "opticks.txt"
TYPES = ("f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "mxfp4_moe", "q2_k", "q3_k_s",
         "q3_k_m", "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "iq4_nl", "iq4_xs")
# Numbers of GGUF: f32 f16 q4_0 q4_1 q5_0 q5_1 q8_0 bf16 tq1_0 tq2_0 mxfp4.
ONE_ROUNDING = {0, 1, 2, 3, 6, 7, 8, 30, 34, 35, 39}
PERPLEXITY_MORE, SECONDS_MAX = 1.005, 40
# What no file type of SmolLM2 stores, its rows being no multiples of 256: one matrix of each layer.
EXTRA = {"q2_k": "q4_0", "tq1_0": "q8_0", "tq2_0": "q8_0", "mxfp4": "q4_0"}

sys.path.insert(0, str(HERE.parent / "e2e"))
import gguf_edit  # noqa: E402


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{pathlib.Path(words[0]).name} {words[1:]}: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


def processor_seconds():
    """Of the programs that have run, all threads: what other work on the machine does not change."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def perplexity(tenon, model, text):
    return json.loads(run(tenon, "perplexity", model, "--file", text, "--backend", "cpu", "--json"))["perplexity"]


def compare(ours, theirs):
    """Names of tensors whose format differs, and of those whose bytes do though they may not, and the others."""
    a, b = (gguf_edit.Gguf(path.read_bytes()) for path in (ours, theirs))
    if set(a.tensors) != set(b.tensors):
        return sorted(set(a.tensors) ^ set(b.tensors)), [], []
    formats = [n for n, t in a.tensors.items() if t["type"] != b.tensors[n]["type"]]
    other = [n for n, t in a.tensors.items() if n not in formats and t["data"] != b.tensors[n]["data"]]
    wrong = [n for n in other if a.tensors[n]["type"] in ONE_ROUNDING]
    return formats, wrong, [n for n in other if n not in wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenon", type=pathlib.Path, required=True)
    parser.add_argument("--peers", type=pathlib.Path, required=True, help="folder with bin/llama-quantize")
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--chars", type=int, default=12000, help="of the text that perplexity is measured on")
    given = parser.parse_args()
    llama = given.peers / "bin" / "llama-quantize"
    if not llama.is_file():
        print(f"{llama} is not there")
        return 77
    bad, equal, worst, slowest = [], 0, 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="tenon-quantize-") as name:
        folder = pathlib.Path(name)
        source, ours, theirs, text = (folder / n for n in ("f32.gguf", "ours.gguf", "theirs.gguf", "text.txt"))
        text.write_text(TEXT.read_text()[:given.chars])
        run(llama, "--allow-requantize", given.model, source, "F32")

        def hold(kind, our_words, their_words):
            nonlocal equal, worst, slowest
            begin = processor_seconds()
            run(given.tenon, "quantize", source, ours, "--force", *our_words)
            middle = processor_seconds()
            run(llama, *their_words[:-1], source, theirs, their_words[-1], os.cpu_count())
            took, peer_took = middle - begin, processor_seconds() - middle
            slowest = max(slowest, took)
            formats, wrong, free = compare(ours, theirs)
            said = []
            if ours.stat().st_size != theirs.stat().st_size:
                said.append(f"{ours.stat().st_size} bytes, not {theirs.stat().st_size}")
            if formats:
                said.append(f"{len(formats)} tensors in another format, {formats[0]} for one")
            if wrong:
                said.append(f"{len(wrong)} tensors with other bytes, {wrong[0]} for one")
            if took > max(SECONDS_MAX, peer_took):
                said.append(f"{took:.1f} s of processor time, llama-quantize {peer_took:.1f} s")
            if free:
                mine, peer = perplexity(given.tenon, ours, text), perplexity(given.tenon, theirs, text)
                worst = max(worst, mine / peer)
                if mine > peer * PERPLEXITY_MORE:
                    said.append("perplexity too high")
                figure = f"{len(free)} tensors searched, perplexity {mine:.4f}, llama-quantize {peer:.4f}"
            else:
                equal += 1
                figure = "every byte equal"
            print(f"{'FAIL' if said else 'ok':4} {kind}: {figure}{'; ' if said else ''}{'; '.join(said)}", flush=True)
            if said:
                bad.append(kind)

        for kind in given.types.split(","):
            hold(kind, ("--format", kind), (kind.upper(),))
        for kind, around in EXTRA.items():
            hold(f"{around} with ffn_down in {kind}", ("--format", around, "--tensor-type", f"ffn_down={kind}"),
                 ("--tensor-type", f"ffn_down={kind}", around.upper()))
    print(f"{len(bad)} of {len(given.types.split(',')) + len(EXTRA)} missed; {equal} equal byte for byte; worst "
          f"perplexity {worst:.4f} of llama-quantize's, limit {PERPLEXITY_MORE}; slowest {slowest:.1f} s of processor "
          "time")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
