#!/usr/bin/python3
"""Judges `tenon` against tests/golden: perplexity, greedy tokens, teacher-forced choices, logits of toy checkpoints.

    accept_quality.py --tenon build/release/bin/tenon --model smollm2.gguf [--line 2] [--line 3] [--line 4] [--isa avx2]
    accept_quality.py --tenon ... --model ... --backend NAME [--chunks 4] [--prompts 16] [--steps 16] [--precise-limit P]

With --backend its device is judged, and no ISA paths; the other options make the lines shorter. Prints one line per criterion, `ok`, `FAIL` or `skip` with its figure; exits 1 when a line failed. Line 4 needs no model.
"""

import argparse
import array
import hashlib
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
ISAS = {
    "scalar": set(),
    "avx2": {"avx2", "fma", "f16c"},
    "avx512": {"avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16"},
}
ARM_ISAS = ("neon", "dotprod", "i8mm")
FAST_PERPLEXITY = 0.0060   # relative difference from the reference
PRECISE_PERPLEXITY = 0.0002
CLOSE_MARGIN = 0.1         # log probability: below it first and second choice may swap
WIDE_MARGIN = 0.5
FAST_AGREEMENT = 0.985
LOGIT_TOLERANCE = 1e-3
CHUNKS = (1, 7, 32)        # prompt tokens per step; 96 tokens are fed
SHUFFLE_SEED = 7


class Failure(Exception):
    """tenon did not answer as asked; the text says how."""


def sentence(error):
    return f"the answer lacks {error}" if isinstance(error, KeyError) else str(error)


class Report:
    """Prints lines as they come and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def line(self, good, name, figure):
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'}  {name}: {figure}", flush=True)

    @staticmethod
    def skip(name, reason):
        print(f"skip  {name}: {reason}", flush=True)


class Tenon:
    """The program under test on the CPU's paths, of which `isa` None leaves the choice to it, or on a named `backend`."""

    def __init__(self, program, timeout, backend=None):
        self.program, self.timeout, self.backend = program, timeout, backend

    def logits(self, model, *options, isa):
        """`tenon logits` that ran on the asked path; `detail` names the kernels that the device picked."""
        answer = self.json("logits", model, *options, isa=isa)
        if not self.backend and isa not in answer["detail"]:
            raise Failure(f"asked for {isa}, but the device says {answer['detail']!r}")
        return answer

    def json(self, verb, model, *options, isa=None):
        command = [self.program, verb, str(model), *map(str, options), "--backend", self.backend or "cpu", "--json"]
        if isa and not self.backend:
            command += ["--set", f"cpu.force_isa={isa}"]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"`tenon {verb}` took more than {self.timeout} s") from None
        except OSError as error:
            raise Failure(f"{self.program} cannot be run: {error.strerror}") from None
        if run.returncode != 0:
            last = (run.stderr.strip() or "nothing on stderr").splitlines()[-1]
            raise Failure(f"`tenon {verb}` ended with {run.returncode}: {last}")
        try:
            return json.loads(run.stdout)
        except ValueError:
            raise Failure(f"`tenon {verb} --json` printed no JSON object but {run.stdout[:80]!r}") from None


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


def isas(report, asked):
    """The ISA paths this machine can run; each one it cannot is named once."""
    flags = set()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("flags"):
            flags = set(line.split(":", 1)[1].split())
            break
    # Of an emulated processor /proc/cpuinfo knows nothing: who asks for an Arm path runs one that has it.
    able = [name for name in ARM_ISAS if asked and name in asked]
    for name, needed in ISAS.items():
        if asked and name not in asked:
            continue
        if needed <= flags:
            able.append(name)
        else:
            report.skip(f"isa {name}", "this CPU lacks " + ", ".join(sorted(needed - flags)))
    return able


def shortened(reference, chunks, text, folder):
    """The reference of the first `chunks` chunks, and a file with so much of the text and half a chunk more."""
    nll = reference["nll_per_chunk"]
    whole = text.read_text(encoding="utf-8")
    part = Path(folder) / "text.txt"
    part.write_text(whole[:int(len(whole) * (chunks + 0.5) * reference["chunk"] / len(reference["ids"]))],
                    encoding="utf-8")
    return {**reference, "perplexity": math.exp(sum(nll[:chunks]) / chunks),
            "tokens_scored": reference["tokens_scored"] // len(nll) * chunks}, part


def perplexity(tenon, model, report, chunks=None, precise_limit=PRECISE_PERPLEXITY):
    """Line 2."""
    reference = golden("smollm2/perplexity.json")
    peer = reference["llama_cpp"]["perplexity"] / reference["perplexity"] - 1
    text = GOLDEN / "smollm2" / reference["text"]
    if chunks:
        with tempfile.TemporaryDirectory() as folder:
            reference, text = shortened(reference, chunks, text, folder)
            perplexities(tenon, model, report, reference, text, None, precise_limit)
    else:
        perplexities(tenon, model, report, reference, text, peer, precise_limit)


def perplexities(tenon, model, report, reference, text, peer, precise_limit):
    """Both modes on one text; `peer` is llama.cpp's distance from the reference on it, None when nobody measured it."""
    for compute, limit in (("fast", FAST_PERPLEXITY), ("precise", precise_limit)):
        name = f"2 perplexity {compute}"
        try:
            answer = tenon.json("perplexity", model, "--file", text, "-c", reference["chunk"], "--compute", compute)
            off = answer["perplexity"] / reference["perplexity"] - 1
            good = abs(off) <= limit and answer["tokens"] == reference["tokens_scored"]
            figure = (f"{answer['perplexity']:.4f} over {answer['tokens']} tokens, reference "
                      f"{reference['perplexity']:.4f} over {reference['tokens_scored']}: {off:+.3%} (limit {limit:.2%}")
            if compute == "fast" and peer is not None:
                good = good and off <= peer
                figure += f", and llama.cpp's {peer:+.3%}"
            report.line(good, name, figure + ")")
        except (Failure, KeyError) as error:
            report.line(False, name, sentence(error))


def greedy_reference(prompts=None, steps=None):
    """The reference's prompts, or the first `prompts` of them, with the first `steps` tokens of each."""
    reference = golden("smollm2/greedy.json")
    reference["steps"] = min(steps or reference["steps"], reference["steps"])
    reference["prompts"] = reference["prompts"][:prompts]
    for row in reference["prompts"]:
        for key in ("tokens", "margin"):
            row[key] = row[key][:reference["steps"]]
    return reference


def greedy(tenon, model, report, isa, reference):
    """Line 3, first half: free-running tokens of `precise`, each prompt up to its first close call."""
    name = f"3 greedy tokens precise {isa}"
    compared, wrong = 0, []
    try:
        for number, row in enumerate(reference["prompts"], 1):
            how = [] if row["chat"] else ["--raw"]
            answer = tenon.json("run", model, row["prompt"], *how, "-n", reference["steps"], "--temp", 0,
                                "--compute", "precise", isa=isa)
            if answer["prompt_ids"] != row["prompt_ids"]:
                wrong.append(f"prompt {number} has other ids")
                continue
            places = list(zip(row["tokens"], row["margin"]))
            for place, (token, margin) in enumerate(places):
                if margin <= CLOSE_MARGIN:
                    break
                compared += 1
                ours = answer["tokens"][place] if place < len(answer["tokens"]) else None
                if ours != token:
                    wrong.append(f"prompt {number} place {place}: {ours} instead of {token} (margin {margin:.3f})")
                    break
        report.line(not wrong, name, f"{compared} places of {len(reference['prompts'])} prompts, {len(wrong)} wrong"
                    + "".join("; " + text for text in wrong[:3]))
    except (Failure, KeyError) as error:
        report.line(False, name, sentence(error))


def choices(tenon, model, report, isa, compute, reference):
    """Line 3, second half: the choice at each place of the reference's own sequence."""
    name = f"3 teacher-forced choices {compute} {isa}"
    close, clear, clear_agree, wide, wide_agree = 0, 0, 0, 0, 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "ids.json"
            for row in reference["prompts"]:
                file.write_text(json.dumps({"ids": row["prompt_ids"] + row["tokens"][:-1]}), encoding="utf-8")
                answer = tenon.logits(model, "--ids", file, "--compute", compute, "--top", 2, isa=isa)
                ours = answer["argmax"][len(row["prompt_ids"]) - 1:]
                if len(ours) != len(row["tokens"]):
                    raise Failure(f"`tenon logits` gave {len(answer['argmax'])} choices for "
                                  f"{len(row['prompt_ids']) + len(row['tokens']) - 1} ids")
                for got, token, margin in zip(ours, row["tokens"], row["margin"]):
                    close += margin <= CLOSE_MARGIN
                    clear += margin > CLOSE_MARGIN
                    clear_agree += margin > CLOSE_MARGIN and got == token
                    wide += margin > WIDE_MARGIN
                    wide_agree += margin > WIDE_MARGIN and got == token
        good = clear_agree >= FAST_AGREEMENT * clear and wide_agree == wide
        report.line(good, name, f"{clear_agree} of {clear} with margin > {CLOSE_MARGIN} ({clear_agree / clear:.2%}), "
                    f"{wide_agree} of {wide} with margin > {WIDE_MARGIN}; {close} closer places not judged")
    except (Failure, KeyError) as error:
        report.line(False, name, sentence(error))


def floats(path):
    values = array.array("f")
    values.frombytes(Path(path).read_bytes())
    if sys.byteorder != "little":
        values.byteswap()
    return values


def largest_difference(left, right):
    """Infinity when the sizes differ or a value is not a number."""
    if len(left) != len(right):
        return float("inf")
    worst = 0.0
    for a, b in zip(left, right):
        difference = abs(a - b)
        if not difference <= worst:
            worst = difference if difference == difference else float("inf")
    return worst


def tiny_logits(tenon, folder, row, isa, *options):
    out = folder / "logits.bin"
    out.unlink(missing_ok=True)
    tenon.logits(GOLDEN / "tiny" / row["model"], "--ids", folder / "ids.json", "--compute", "precise",
                 "--full", out, *options, isa=isa)
    if not out.is_file():
        raise Failure("`tenon logits --full` wrote no file")
    return floats(out)


def tiny(tenon, report, isa):
    """Line 4."""
    reference = golden("tiny/tiny.json")
    vocab, positions = reference["vocab"], reference["positions"]
    name = f"4 toy checkpoints precise {isa}"
    worst, worst_file, chunked, shuffled = 0.0, "none", 0.0, 0.0
    try:
        with tempfile.TemporaryDirectory() as name_of_folder:
            folder = Path(name_of_folder)
            (folder / "ids.json").write_text(json.dumps({"ids": reference["ids"]}), encoding="utf-8")
            for row in reference["files"]:
                whole = tiny_logits(tenon, folder, row, isa)
                if len(whole) != len(reference["ids"]) * vocab:
                    raise Failure(f"{row['model']}: {len(whole)} logits, expected {len(reference['ids']) * vocab}")
                kept = array.array("f")
                for position in positions:
                    kept.extend(whole[position * vocab:(position + 1) * vocab])
                error = largest_difference(kept, floats(GOLDEN / "tiny" / row["logits"]))
                if error >= worst:
                    worst, worst_file = error, row["model"]
                exact = ("--set", "deterministic=true")  # only then must bits not depend on the step's size
                whole = tiny_logits(tenon, folder, row, isa, *exact)
                for chunk in CHUNKS:
                    other = tiny_logits(tenon, folder, row, isa, "--chunk", chunk, *exact)
                    chunked = max(chunked, largest_difference(whole, other))
                other = tiny_logits(tenon, folder, row, isa, "--shuffle-blocks", SHUFFLE_SEED, *exact)
                shuffled = max(shuffled, largest_difference(whole, other))
        report.line(worst <= LOGIT_TOLERANCE, f"{name}, logits",
                    f"{len(reference['files'])} files, off by at most {worst:.2e} ({worst_file}; limit {LOGIT_TOLERANCE:.0e})")
        report.line(chunked == 0, f"{name}, chunked = whole",
                    f"chunks of {', '.join(map(str, CHUNKS))} differ by {chunked:.2e}")
        report.line(shuffled == 0, f"{name}, shuffled blocks = contiguous", f"differ by {shuffled:.2e}")
    except (Failure, KeyError) as error:
        report.line(False, name, sentence(error))


def main():
    parser = argparse.ArgumentParser(description="Judges tenon against tests/golden, one line per criterion.")
    parser.add_argument("--tenon", required=True, help="the program")
    parser.add_argument("--model", help="SmolLM2-135M-Instruct Q4_1 (lines 2 and 3)")
    parser.add_argument("--line", action="append", choices=("2", "3", "4"), help="only this line; may be repeated")
    parser.add_argument("--isa", action="append", choices=(*ISAS, *ARM_ISAS),
                        help="only this ISA path; may be repeated; those of Arm only when asked for")
    parser.add_argument("--backend", help="the backend that runs, instead of the CPU's ISA paths")
    parser.add_argument("--chunks", type=int, help="chunks of line 2 (default: the whole text)")
    parser.add_argument("--prompts", type=int, help="prompts of line 3 (default: all)")
    parser.add_argument("--steps", type=int, help="tokens of each prompt of line 3 (default: all)")
    parser.add_argument("--precise-limit", type=float, default=PRECISE_PERPLEXITY,
                        help=f"relative difference allowed in precise (default {PRECISE_PERPLEXITY})")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds one run of tenon may take (default 3600)")
    asked = parser.parse_args()
    lines = asked.line or ["2", "3", "4"]
    report, tenon = Report(), Tenon(asked.tenon, asked.timeout, asked.backend)
    if {"2", "3"} & set(lines):
        if not asked.model:
            parser.error("lines 2 and 3 need --model FILE")
        wanted = golden("smollm2/perplexity.json")["model_sha256"]
        found = hashlib.sha256(Path(asked.model).read_bytes()).hexdigest()
        if found != wanted:
            parser.error(f"{asked.model} has sha256 {found}; the references were made with {wanted}")
    began = time.monotonic()
    paths = [asked.backend] if asked.backend else isas(report, asked.isa)
    if "2" in lines:
        perplexity(tenon, asked.model, report, asked.chunks, asked.precise_limit)
    if "3" in lines:
        for isa in reversed(paths):
            reference = greedy_reference(asked.prompts, asked.steps)
            greedy(tenon, asked.model, report, isa, reference)
            choices(tenon, asked.model, report, isa, "fast", reference)
    if "4" in lines:
        for isa in reversed(paths):
            tiny(tenon, report, isa)
    print(f"{report.failed} lines failed, {time.monotonic() - began:.0f} s")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
