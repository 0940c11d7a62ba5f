"""Judges how `tenon` reads and runs every stored weight format, one line per figure.

    ORACLE/bin/python tests/oracle/accept_formats.py LINE --tenon build/release/bin/tenon --peers PEERS --folder DIR
        --model smollm2.gguf [--decoder build/release/bin/decode_gguf] [--format Q4_K]

LINE is one of
  files    makes DIR/smollm2-FORMAT.gguf for every format, from --model dequantised to float32
  decode   the reference decoder gives the bits that the PyPI package gguf gives, on those files
  precise  `tenon perplexity --compute precise` within 0.05 % of torch in float32 on the same weights, over the first
           chunks of the text: what is asked is whether two programs compute the same, which more text only averages
  fast     `tenon perplexity --compute fast` over the whole text is not above what llama-perplexity says of the same file,
           or by no more than chance: two standard errors of the paired differences of the chunks' losses
  tiny     a checkpoint of each architecture in each format, whole and in three parts: logits within 1e-3 of torch's on the
           same weights, on every ISA path

Runs in an environment with torch, transformers and gguf; PEERS/bin holds llama-quantize and llama-perplexity. Files come
from llama-quantize. It writes no MXFP4 of dense models and no Q8_K at all: those two come from gguf's quantiser and from
the one in this script, and a name in the output says so. References are kept in DIR and made again when a file or the
text changes.

Why chance has a place in `fast`: both programs round activations to 8 bits, which moves the loss of a chunk up or down by
more than it moves the mean, so of two programs equally near the exact value either may be the lower one on a given text.
Where ours is above, the line shows what float32 says of the same weights. A format on which llama-perplexity itself
crashes is left out and says so.
"""

import argparse
import hashlib
import json
import math
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf
import numpy
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parent))
import accept_quality  # noqa: E402
import make_tiny  # noqa: E402

GOLDEN = accept_quality.GOLDEN
PRECISE = 0.0005
PRECISE_CHUNKS = 4
CHANCE = 2  # standard errors: nineteen formats are judged at once
CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
TINY_LIMIT = 1e-3
# What llama-quantize is told; None: it has no name for such a file. The mixtures Q2_K and Q3_K_M put better formats in
# every tensor of a model as small as SmolLM2, whose rows of 576 columns take no blocks of 256 anyway.
FORMATS = {
    "F32": "F32", "F16": "F16", "BF16": "BF16", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1",
    "Q8_0": "Q8_0", "Q2_K": "Q2_K --pure", "Q3_K": "Q3_K_S --pure", "Q4_K": "Q4_K_M", "Q5_K": "Q5_K_M", "Q6_K": "Q6_K",
    "IQ4_NL": "IQ4_NL", "IQ4_XS": "IQ4_XS", "TQ1_0": "TQ1_0", "TQ2_0": "TQ2_0", "MXFP4": None, "Q8_K": None,
}
# Sizes that every format's blocks divide; the rest of a checkpoint is make_tiny's.
WIDE = {
    "llama3-untied": {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 8, "num_key_value_heads": 4,
                      "head_dim": 32},
    "mistral": {"hidden_size": 512, "intermediate_size": 256, "num_attention_heads": 8, "num_key_value_heads": 2,
                "head_dim": 32},
    "qwen2-yarn": {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2},
    "qwen3": {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 16, "num_key_value_heads": 4,
              "head_dim": 32},
    "gemma3": {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 8, "num_key_value_heads": 4,
               "head_dim": 32},
    "phi3": {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 16, "num_key_value_heads": 8},
}
BLOCK_Q8_K = numpy.dtype([("d", "<f4"), ("qs", "i1", 256), ("sums", "<i2", 16)])


def quantise_q8_k(rows):
    blocks = numpy.zeros(rows.size // 256, BLOCK_Q8_K)
    values = rows.reshape(-1, 256)
    blocks["d"] = numpy.abs(values).max(axis=1) / 127
    safe = numpy.where(blocks["d"] == 0, 1, blocks["d"])
    blocks["qs"] = numpy.clip(numpy.rint(values / safe[:, None]), -127, 127)
    blocks["sums"] = blocks["qs"].reshape(-1, 16, 16).sum(axis=2, dtype=numpy.int16)
    return blocks.view(numpy.uint8).reshape(rows.shape[0], -1)


def decode(tensor):
    """float32 [rows, columns] of a tensor of GGUFReader."""
    kind = tensor.tensor_type
    if kind == gguf.GGMLQuantizationType.Q8_K:
        blocks = numpy.ascontiguousarray(tensor.data).reshape(-1).view(BLOCK_Q8_K)
        rows = int(tensor.shape[1]) if len(tensor.shape) > 1 else 1
        return (blocks["d"][:, None] * blocks["qs"].astype(numpy.float32)).reshape(rows, -1)
    return numpy.array(gguf.dequantize(tensor.data, kind), dtype=numpy.float32)


def rewrite(source, out, change, **how):
    """Copies a GGUF file with `change(tensor)` -> (data, kind) in place of each tensor; `how` goes to gguf's writer."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents(), **how)
    for field in reader.fields.values():
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=element)
    for tensor in reader.tensors:
        data, kind = change(tensor)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def as_float32(tensor):
    return decode(tensor), gguf.GGMLQuantizationType.F32


def as_they_are(tensor):
    return numpy.array(tensor.data), tensor.tensor_type


def quantised_to(name):
    kind = gguf.GGMLQuantizationType[name]
    elems, _ = gguf.GGML_QUANT_SIZES[kind]

    def change(tensor):
        values = decode(tensor)
        if values.ndim < 2 or values.shape[-1] % elems != 0:
            return values, gguf.GGMLQuantizationType.F32
        return (quantise_q8_k(values) if name == "Q8_K" else gguf.quantize(values, kind)), kind

    return change


class PeerCrashed(accept_quality.Failure):
    """One of llama.cpp's programs was ended by a fault of its own."""


class Peers:
    def __init__(self, folder):
        self.bin = Path(folder) / "bin"

    def run(self, program, *words):
        done = subprocess.run([self.bin / program, *map(str, words)], capture_output=True, text=True, timeout=3600)
        if -done.returncode in CRASHES:
            raise PeerCrashed(f"{program} crashed with {signal.Signals(-done.returncode).name}")
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
            raise accept_quality.Failure(f"{program} ended with {done.returncode}: {last}")
        return done.stdout + done.stderr

    def quantise(self, source, out, name, *options):
        """Writes `out` in the format; `options` are llama-quantize's."""
        part = out.with_suffix(".part")
        if FORMATS[name] is None:
            rewrite(source, part, quantised_to(name))
        else:
            kind, *more = FORMATS[name].split()
            self.run("llama-quantize", *dict.fromkeys([*more, *options]), source, part, kind)
        part.replace(out)

    def losses(self, model, text, chunk):
        """Mean loss of each chunk, from the perplexities so far that llama-perplexity prints with four places."""
        said = self.run("llama-perplexity", "-m", model, "-f", text, "-c", chunk, "-t", 2)
        sums = [0.0]
        for number, so_far in re.findall(r"\[(\d+)\]([0-9.]+),", said):
            if int(number) != len(sums):
                raise accept_quality.Failure(f"llama-perplexity printed chunk {number} where {len(sums)} was due")
            sums.append(len(sums) * math.log(float(so_far)))
        return [after - before for before, after in zip(sums, sums[1:])]


def perplexity_of(losses):
    return math.exp(statistics.fmean(losses))


def writer_of(name):
    return {"MXFP4": " (written by gguf)", "Q8_K": " (written by accept_formats.py)"}.get(name, "")


def state_of(path, spec, config):
    """The weights that a file means, as transformers names them, and the formats of its matrices."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    state = {}
    for ours, (theirs, heads) in make_tiny.names(spec, config).items():
        weight = decode(tensors[ours])
        if weight.ndim == 1:
            shift = make_tiny.norm_shift(spec) if theirs.endswith("norm.weight") else 0
            weight = weight - numpy.float32(shift)
        else:
            weight = make_tiny.half_rows(weight, heads) if heads else weight
        state[theirs] = torch.from_numpy(numpy.ascontiguousarray(weight))
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    kinds = [tensor.tensor_type.name for tensor in tensors.values() if len(tensor.shape) > 1]
    return state, {kind: kinds.count(kind) for kind in sorted(set(kinds))}


class Judge:
    def __init__(self, asked):
        self.asked, self.folder = asked, Path(asked.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.names = asked.format or list(FORMATS)
        self.peers = Peers(asked.peers)
        self.tenon = accept_quality.Tenon(asked.tenon, 3600)
        self.report = accept_quality.Report()
        self.llama = None

    def each_file(self, judge):
        for name in self.names:
            label = f"{self.asked.line} {name}{writer_of(name)}"
            try:
                good, *said = judge(name, self.file(name), label)
                self.report.skip(*said) if good is None else self.report.line(good, *said)
            except accept_quality.Failure as error:
                self.report.line(False, label, str(error))

    def plain(self):
        """The catalog's model in float32."""
        path = self.folder / "smollm2-F32.gguf"
        if not path.is_file():
            part = path.with_suffix(".part")
            rewrite(self.asked.model, part, as_float32)
            part.replace(path)
        return path

    def file(self, name):
        path = self.folder / f"smollm2-{name}.gguf"
        if name != "F32" and not path.is_file():
            self.peers.quantise(self.plain(), path, name)
        return self.plain() if name == "F32" else path

    def files(self, name, path, label):
        kinds = [tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors]
        good = name in kinds
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
        return good, label, f"{path.stat().st_size} bytes: {counts}"

    def decode(self, name, path, label):
        with tempfile.NamedTemporaryFile(suffix=".f32", dir=self.folder) as out:
            done = subprocess.run([self.asked.decoder, path, out.name], capture_output=True, text=True)
            if done.returncode != 0:
                raise accept_quality.Failure(done.stderr.strip() or f"exit code {done.returncode}")
            ours = numpy.memmap(out.name, "<u4", "r")
        at, wrong, tensors = 0, [], gguf.GGUFReader(path).tensors
        for tensor in tensors:
            theirs = numpy.ascontiguousarray(decode(tensor)).reshape(-1).view("<u4")
            if not numpy.array_equal(ours[at:at + theirs.size], theirs):
                wrong.append(tensor.name)
            at += theirs.size
        good = not wrong and at == ours.size
        return good, label, f"{len(tensors)} tensors, {at} elements, {len(wrong)} tensors differ" + "".join(
            f"; {text}" for text in wrong[:3])

    def kept(self, what, name, path, text, make):
        """`make()`, the mean losses of chunks, or what they were the last time on this file and this text."""
        digest = hashlib.sha256(path.read_bytes() + Path(text).read_bytes()).hexdigest()
        kept = self.folder / f"{what}-{name}.json"
        if kept.is_file():
            found = json.loads(kept.read_text(encoding="utf-8"))
            if found["sha256"] == digest and "losses" in found:
                return found["losses"]
        losses = make()
        kept.write_text(json.dumps({"sha256": digest, "losses": losses}), encoding="utf-8")
        return losses

    def reference(self, path, ids, chunk):
        """What torch in float32 loses on the weights of the file in the later half of every whole chunk of `ids`."""
        if self.llama is None:
            plain = self.plain()
            self.llama = transformers.AutoModelForCausalLM.from_pretrained(
                plain.parent, gguf_file=plain.name, dtype=torch.float32, attn_implementation="eager").eval()
        state, _ = state_of(path, {"class": "Llama"}, self.llama.config)
        self.llama.load_state_dict(state, strict=True)
        first, losses = chunk // 2, []
        for start in range(0, len(ids) - chunk + 1, chunk):
            window = torch.tensor([ids[start:start + chunk]])
            logits = self.llama(window).logits[0, first:chunk - 1].double()
            losses.append(-torch.log_softmax(logits, -1).gather(1, window[0, first + 1:, None]).mean().item())
        return losses

    def ours(self, path, text, chunk, tokens, compute):
        answer = self.tenon.json("perplexity", path, "--file", text, "-c", chunk, "--compute", compute)
        if answer["tokens"] != tokens:
            raise accept_quality.Failure(f"{answer['tokens']} tokens were scored, the reference scores {tokens}")
        return answer["nll_per_chunk"]

    def beginning(self, golden):
        """The text's first PRECISE_CHUNKS chunks and a part of the next; it ends with a line."""
        whole = (GOLDEN / "smollm2" / golden["text"]).read_text(encoding="utf-8")
        share = (PRECISE_CHUNKS + 0.5) * golden["chunk"] / len(golden["ids"])
        text = self.folder / "beginning.txt"
        text.write_text(whole[:whole.rindex("\n", 0, int(len(whole) * share)) + 1], encoding="utf-8")
        return text

    def precise(self, name, path, label):
        golden = accept_quality.golden("smollm2/perplexity.json")
        text, chunk = self.beginning(golden), golden["chunk"]
        ids = golden["ids"][:PRECISE_CHUNKS * chunk]
        reference = perplexity_of(self.kept("reference", name, path, text, lambda: self.reference(path, ids, chunk)))
        found = perplexity_of(self.ours(path, text, chunk, PRECISE_CHUNKS * (chunk - 1 - chunk // 2), "precise"))
        off = found / reference - 1
        return abs(off) <= PRECISE, label, f"{found:.4f}, reference {reference:.4f}: {off:+.4%} (limit {PRECISE:.2%})"

    def fast(self, name, path, label):
        golden = accept_quality.golden("smollm2/perplexity.json")
        text, chunk = GOLDEN / "smollm2" / golden["text"], golden["chunk"]
        found = self.ours(path, text, chunk, golden["tokens_scored"], "fast")
        figure = f"{perplexity_of(found):.4f}"
        try:
            other = self.kept("llama", name, path, text, lambda: self.peers.losses(path, text, chunk))
        except PeerCrashed as error:
            return None, label, f"{error} on such a file, so there is nothing to hold {figure} against"
        if len(other) != len(found):
            raise accept_quality.Failure(f"{len(found)} chunks were scored, llama-perplexity scored {len(other)}")
        above = [ours - theirs for ours, theirs in zip(found, other)]
        mean = statistics.fmean(above)
        printed = 5e-5 / perplexity_of(other)  # llama-perplexity prints four places
        limit = printed + CHANCE * statistics.stdev(above) / math.sqrt(len(above))
        figure += f", llama.cpp {perplexity_of(other):.4f}: {mean:+.3%} (limit {limit:.3%}"
        if mean > printed:
            exact = self.kept("exact", name, path, text, lambda: self.reference(path, golden["ids"], chunk))
            figure += f"; float32 {perplexity_of(exact):.4f}"
        return mean <= limit, label, figure + ")"

    def tiny(self):
        isas = list(reversed(accept_quality.isas(self.report, self.asked.isa)))
        golden = accept_quality.golden("tiny/tiny.json")
        ids = golden["ids"]
        with tempfile.TemporaryDirectory(dir=self.folder) as name_of_folder:
            folder = Path(name_of_folder)
            (folder / "ids.json").write_text(json.dumps({"ids": ids}), encoding="utf-8")
            for checkpoint, sizes in WIDE.items():
                spec = dict(make_tiny.CHECKPOINTS[checkpoint])
                spec["config"] = spec["config"] | sizes
                model, config = make_tiny.build(checkpoint, spec)
                plain = folder / f"{checkpoint}-F32.gguf"
                make_tiny.write(plain, checkpoint, spec, model, config, "F32")
                for name in self.names:
                    self.tiny_in(name, checkpoint, (spec, model, config), plain, isas)

    def tiny_in(self, name, checkpoint, built, plain, isas):
        spec, model, config = built
        label = f"tiny {checkpoint} {name}{writer_of(name)}"
        folder, path = plain.parent, plain.parent / f"{checkpoint}-{name}.gguf"
        try:
            if name != "F32":
                self.peers.quantise(plain, path, name, "--pure")
            state, kinds = state_of(path, spec, config)
            model.load_state_dict(state, strict=True)
            ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))["ids"]
            wanted = model(torch.tensor([ids])).logits[0].float().numpy().reshape(-1)
            count = len(gguf.GGUFReader(path).tensors)
            rewrite(path, folder / "split.gguf", as_they_are, split_max_tensors=-(-count // 3))
            parts = sorted(folder.glob("split-0000?-of-0000?.gguf"))
            worst = 0.0
            for isa in isas:
                for file in (path, parts[-1]):
                    out = folder / "logits.bin"
                    out.unlink(missing_ok=True)
                    self.tenon.logits(file, "--ids", folder / "ids.json", "--compute", "precise", "--full", out, isa=isa)
                    found = numpy.fromfile(out, "<f4")
                    off = numpy.abs(found - wanted).max() if found.shape == wanted.shape else numpy.inf
                    worst = max(worst, float(off) if numpy.isfinite(off) else math.inf)
            good = worst <= TINY_LIMIT and name in kinds and len(parts) > 1
            self.report.line(good, label, f"{', '.join(f'{n} {kind}' for kind, n in kinds.items())}, whole and in {len(parts)} "
                             f"parts, {len(isas)} paths: off by at most {worst:.1e} (limit {TINY_LIMIT:.0e})")
        except accept_quality.Failure as error:
            self.report.line(False, label, str(error))
        finally:
            for part in folder.glob("split-*"):
                part.unlink()
            if path != plain:
                path.unlink(missing_ok=True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("line", choices=("files", "decode", "precise", "fast", "tiny"))
    parser.add_argument("--tenon", required=True, help="the program")
    parser.add_argument("--peers", required=True, help="folder with bin/llama-quantize and bin/llama-perplexity")
    parser.add_argument("--folder", required=True, help="where files and references are kept")
    parser.add_argument("--model", help="SmolLM2-135M-Instruct in GGUF; every line but tiny")
    parser.add_argument("--decoder", help="decode_gguf of the build (decode)")
    parser.add_argument("--format", action="append", choices=tuple(FORMATS), help="only this one; may be repeated")
    parser.add_argument("--isa", action="append", choices=tuple(accept_quality.ISAS) + accept_quality.ARM_ISAS,
                        help="only this ISA path; may be repeated")
    asked = parser.parse_args()
    if asked.line != "tiny" and not asked.model:
        parser.error(f"{asked.line} needs --model FILE")
    if asked.line == "decode" and not asked.decoder:
        parser.error("decode needs --decoder PROGRAM")
    judge = Judge(asked)
    if asked.line == "tiny":
        judge.tiny()
    else:
        judge.each_file(getattr(judge, asked.line))
    return 1 if judge.report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
