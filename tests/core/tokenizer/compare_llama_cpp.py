#!/usr/bin/python3
"""Counts the strings that Tenon and llama.cpp tokenize differently.

usage: compare_llama_cpp.py --tenon PROGRAM --peers DIR [--smollm MODEL.gguf] [--count 10000] [--seed N]
                            [--only NAME[,NAME]]

PROGRAM is build/<preset>/bin/tenon; tokenize_batch beside it is what runs. DIR holds a built llama.cpp
of llama-cpp-python's source package: DIR/src/llama_cpp_python-*/vendor/llama.cpp (headers and
vocabularies) and DIR/build/bin. Every kind of tokenizer runs over a vocabulary of that package, made
for it or, where the package has none, for a relative of it: then both sides are told the same other
rules. MODEL (or $TENON_TEST_MODEL), any SmolLM2 in GGUF, is one more if there is one.
Prints one line per kind. Besides the strings it compares what each token stands for, which tokens end
a generation, and those that fill in the middle. Then the same for code points that llama.cpp's Unicode
has and Unicode 14 has not: those differences are counted and listed, and are no failure.
Exit code 1 when a string differs, 77 when nothing can run.
"""
import argparse
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

HERE = pathlib.Path(__file__).resolve().parent
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, 0x180E, *range(0x2000, 0x200C),
                           0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF, 0x1C, 0x1F, 0)]
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'RE", "'Ve", "'lL", "'\u017f",
                "\u2019s", "''s", "'", " 's", "'r", "'l", "'v e", "I'm", "we'LL", "\u212a'm"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin_of_text|>", "<|eot_id|>",
           "<|start_header_id|>", "<|end_header_id|>", "<|end_of_text|>", "<repo_name>", "<file_sep>",
           "<jupyter_text>", "<empty_output>", "<|reserved_special_token_0|>",
           "<|reserved_special_token_17|>", "<|python_tag|>", "<|im_end|", "<<|im_end|>>", "<|", "|>",
           "<s>", "</s>", "<unk>", "<pad>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "<0x0A>", "<|user|>",
           "<|end|>", "<|assistant|>\n ", "<|fim_prefix|>", "<|fim_middle|>", "<tool_call>", "</tool_call>",
           "<\uff5cfim\u2581begin\uff5c>", "<\uff5cfim\u2581hole\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
           "<|EOT|>", "<start_of_turn>", "<end_of_turn>", "<bos>", "<table>", "\u2581", "\u2581\u2581"]
CODE = ["def f(x):\n    return x ** 2\n", "for (int i = 0; i < n; ++i) {\n\t\ta[i] += b[i];\n}\n",
        "#include <vector>\r\n\r\nint main() { return 0; }\r\n", "SELECT * FROM t WHERE a >= 10;",
        "<div class=\"x\">\n  <p>&nbsp;</p>\n</div>", "x = {'a': [1, 2.5e-3, None]}  # note\n",
        "let r = vec![1u8; 0xFF];\n\n\n", "if x != y && !z || ~w ^ v { $e->{k} }", "\\u00e9\\n\\x41",
        "printf(\"%5.2f%%\\n\", v);", "a_b.c::d<e>(f)[g]@h #i `j` ~k", "/* ---- */ // ====\n", "--- +++ ... !!!"]
WORDS = ("the quick brown fox jumps over a lazy dog Tokenizer naïve café über Straße Привет мир "
         "Γειά σου κόσμε שלום עולם مرحبا بالعالم नमस्ते दुनिया こんにちは 世界 你好 안녕하세요 สวัสดี "
         "Việt Nam İstanbul ǅ ﬁ Ⅷ ½ ² ₃ ٣ ४ ৩ 一二三 😀 👩‍👩‍👧 🇩🇪 é ñ zero\u200bwidth").split()
BROKEN = [b"\x80", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc0\x80", b"\xc1\x81", b"\xe0\x80\x80",
          b"\xe0\x81\x81", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf0\x80\x80\x80",
          b"\xf0\x82\x82\xac", b"\xf8\x88\x80\x80\x80", b"\xfe\xff", b"\xe2\x28\xa1", b"\xf0\x9f\x41",
          b"\xef\xbf\xbd", b"\xef\xbf\xbe", b"\xf4\x8f\xbf\xbf", b"\xc2\xa0\xc2", b"\xe3\x80"]


def assigned():
    """All code points of this Python's Unicode but surrogates (those come as broken UTF-8)."""
    return [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")] + \
           [chr(c) for c in (0xE000, 0xF8FF, 0xF0000, 0x10FFFD, 0x378, 0x10FFFF)]


def spaces(rng):
    kind = rng.random()
    if kind < 0.5:
        return " " * rng.randrange(1, 20)
    if kind < 0.8:
        return "".join(rng.choice(" \n\t\r") for _ in range(rng.randrange(1, 12)))
    return "".join(rng.choice(SPACES) for _ in range(rng.randrange(1, 6)))


def digits(rng):
    if rng.random() < 0.7:
        return str(rng.randrange(10 ** rng.randrange(1, 25)))
    return "".join(rng.choice("0123456789٣४½²Ⅷ一,. -") for _ in range(rng.randrange(1, 10)))


def broken(rng):
    if rng.random() < 0.6:
        return rng.choice(BROKEN)
    # llama.cpp throws on lead bytes F4 to F7 that give values over 0x10FFFF: such a string has no
    # answer to compare with.
    return bytes(rng.choice([b for b in range(256) if b not in range(0xF4, 0xF8)])
                 for _ in range(rng.randrange(1, 9)))


def strings(count, rng):
    """`count` byte strings; the first ones hold every assigned code point."""
    points = assigned()
    rng.shuffle(points)
    per_string = -(-len(points) // max(1, count // 2))
    out = []
    for i in range(0, len(points), per_string):
        parts = []
        for ch in points[i:i + per_string]:
            parts.append(rng.choice(["", "", "", " ", "  ", "a", "7", ".", "\n", " b", "'"]) + ch)
        out.append("".join(parts).encode())
    while len(out) < count:
        parts = []
        for _ in range(rng.randrange(1, 12)):
            kind = rng.randrange(9)
            if kind == 0:
                parts.append(rng.choice(CODE).encode())
            elif kind == 1:
                parts.append(spaces(rng).encode())
            elif kind == 2:
                parts.append(digits(rng).encode())
            elif kind == 3:
                parts.append(rng.choice(CONTRACTIONS).encode())
            elif kind == 4:
                parts.append(rng.choice(SPECIAL).encode())
            elif kind == 5:
                parts.append(broken(rng))
            elif kind == 6:
                parts.append(b"".join(rng.choice(points).encode() for _ in range(rng.randrange(1, 6))))
            elif kind == 7:
                parts.append((rng.choice("ab !=-x") * rng.randrange(1, 200)).encode())
            else:
                parts.append(" ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 9))).encode())
        out.append(b"".join(parts))
    return out[:count]


def with_keys(path, keys, copy):
    """Copies a GGUF without tensors, the values of some keys changed or added."""
    data = path.read_bytes()
    count, = struct.unpack_from("<Q", data, 16)
    for key, value in keys.items():
        name = struct.pack("<Q", len(key)) + key.encode()
        if isinstance(value, bool):
            coded = struct.pack("<I?", 7, value)
        else:
            coded = struct.pack("<IQ", 8, len(value)) + value.encode()
        at = data.find(name)
        if at < 0:
            data = data[:24] + name + coded + data[24:]
            count += 1
            continue
        begin = at + len(name)
        kind, = struct.unpack_from("<I", data, begin)
        end = begin + 5 if kind == 7 else begin + 12 + struct.unpack_from("<Q", data, begin + 4)[0]
        data = data[:begin] + coded + data[end:]
    with open(copy, "wb") as out:
        out.write(data[:16] + struct.pack("<Q", count) + data[24:])


def answers(command, requests):
    done = subprocess.run(command, input=requests, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    out, at = [], 0
    while at < len(done.stdout):
        count, = struct.unpack_from("=i", done.stdout, at)
        ids = struct.unpack_from(f"={max(count, 0)}i", done.stdout, at + 4)
        out.append(ids if count >= 0 else None)
        at += 4 + 4 * max(count, 0)
    return out


# Name, vocabulary of the package, keys that both sides see in its place.
KEY = "tokenizer.ggml."
KINDS = [
    ("smollm", "starcoder", {KEY + "pre": "smollm"}),
    ("gpt-2", "gpt-2", {}),
    ("llama-bpe", "llama-bpe", {}),
    ("qwen2", "qwen2", {}),
    ("deepseek-r1-qwen", "qwen2", {KEY + "pre": "deepseek-r1-qwen"}),
    ("qwen35", "qwen35", {}),
    ("deepseek-llm", "deepseek-llm", {}),
    ("deepseek-coder", "deepseek-coder", {}),
    ("deepseek-v3", "deepseek-llm", {KEY + "pre": "deepseek-v3"}),
    ("tekken", "llama-bpe", {KEY + "pre": "tekken"}),
    ("gpt-4o", "llama-bpe", {KEY + "pre": "gpt-4o"}),
    ("falcon", "falcon", {}),
    ("llama (Llama 2)", "llama-spm", {}),
    ("llama (no space prefix)", "llama-spm", {KEY + "add_space_prefix": False}),
    ("llama (Phi-3)", "phi-3", {}),
    ("llama (Baichuan)", "baichuan", {}),
    ("llama (Gemma)", "gemma-4", {KEY + "model": "llama", KEY + "add_space_prefix": False}),
    ("t5 (XLM-R)", "nomic-bert-moe", {}),
    ("t5 (no prefix, spaces kept)", "nomic-bert-moe",
     {KEY + "add_space_prefix": False, KEY + "remove_extra_whitespaces": False}),
    ("t5 (prefix, spaces kept)", "nomic-bert-moe", {KEY + "remove_extra_whitespaces": False}),
    ("bert (BGE)", "bert-bge", {}),
    ("bert (case and accents kept)", "bert-bge", {KEY + "normalizer.lowercase": False}),
    ("bert (case kept)", "bert-bge",
     {KEY + "normalizer.lowercase": False, KEY + "normalizer.strip_accents": True}),
]


def later_points(source):
    """Code points that llama.cpp's Unicode tables have and this Python's (14) have not."""
    text = (source / "src/unicode-data.cpp").read_text(encoding="utf-8")
    ranges = re.search(r"unicode_ranges_flags = \{.*?\n(.*?)\n\};", text, re.S).group(1)
    starts = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\{0x(\w+), 0x(\w+)\}", ranges)]
    out = []
    for (first, flags), (end, _) in zip(starts, starts[1:]):
        if not flags & 1:
            out += [c for c in range(first, end) if unicodedata.category(chr(c)) == "Cn"]
    return out


def listed(points):
    """Code points as ranges."""
    blocks = []
    for c in sorted(points):
        if blocks and blocks[-1][1] == c - 1:
            blocks[-1][1] = c
        else:
            blocks.append([c, c])
    return " ".join(f"U+{a:04X}" if a == b else f"U+{a:04X}-{b:04X}" for a, b in blocks)


def coded(texts, flags):
    return b"".join(struct.pack("=II", f, len(t)) + t for f, t in zip(flags, texts))


def facts(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.splitlines()


def source_of(peers):
    source = next(peers.glob("src/llama_cpp_python-*/vendor/llama.cpp"), None)
    if source is None:
        sys.exit(f"{peers} has no src/llama_cpp_python-*/vendor/llama.cpp; it must hold a built llama.cpp")
    return source


def build_peer(peers, folder):
    """Compiles llama_batch.c; returns the program."""
    source = source_of(peers)
    libraries = peers.resolve() / "build" / "bin"
    program = os.path.join(folder, "llama_batch")
    subprocess.run(["cc", "-O1", "-std=c11", f"-I{source}/include", f"-I{source}/ggml/include",
                    HERE / "llama_batch.c", "-o", program, f"-L{libraries}", "-lllama", "-lggml", "-lggml-base",
                    f"-Wl,-rpath,{libraries}", f"-Wl,-rpath-link,{libraries}"], check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tenon", required=True, type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path)
    parser.add_argument("--smollm", default=os.environ.get("TENON_TEST_MODEL"))
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="")
    args = parser.parse_args()

    if args.peers is None:
        print("needs --peers DIR, a built llama.cpp to compare with")
        sys.exit(77)
    program = args.tenon.parent / "tokenize_batch"
    if not program.is_file():
        sys.exit(f"{program} is not there; build the target tokenize_batch")
    source = source_of(args.peers)
    texts = strings(args.count, random.Random(args.seed))
    flags = [random.Random(args.seed + 1 + i).randrange(4) for i in range(len(texts))]
    requests = coded(texts, flags)
    later = later_points(source)
    later_texts = [(before + chr(c) + after).encode() for c in later for before, after in (("a", "b"), (" ", "1"))]
    later_requests = coded(later_texts, [0] * len(later_texts))
    failed = False
    later_reasons = {}
    with tempfile.TemporaryDirectory() as folder:
        peer = build_peer(args.peers, folder)
        kinds = list(KINDS)
        if args.smollm:
            kinds.insert(1, ("smollm (SmolLM2)", pathlib.Path(args.smollm), {}))
        if args.only:
            kinds = [k for k in kinds if any(k[0].startswith(part) for part in args.only.split(","))]
        for name, vocabulary, keys in kinds:
            path = vocabulary
            if isinstance(vocabulary, str):
                path = os.path.join(folder, "vocabulary.gguf")
                with_keys(source / f"models/ggml-vocab-{vocabulary}.gguf", keys, path)
            ours = answers([program, path], requests)
            theirs = answers([peer, path], requests)
            if len(ours) != len(texts) or len(theirs) != len(texts):
                sys.exit(f"{name}: {len(ours)} and {len(theirs)} answers to {len(texts)} strings")
            wrong = [i for i in range(len(texts)) if ours[i] != theirs[i]]
            tokens = sum(len(ids) for ids in theirs)
            print(f"{name}: {len(wrong)} differences in {len(texts)} strings "
                  f"({sum(map(len, texts))} bytes, {tokens} tokens, seed {args.seed})", flush=True)
            for i in wrong[:3]:
                print(f"  {texts[i]!r} flags {flags[i]}\n    ours   {ours[i]}\n    theirs {theirs[i]}")
            ours, theirs = facts([program, path, "facts"]), facts([peer, path, "facts"])
            differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
            if differing:
                print(f"  {len(differing)} facts about tokens differ, such as {differing[:3]}")
            failed = failed or bool(wrong) or bool(differing)
            ours, theirs = answers([program, path], later_requests), answers([peer, path], later_requests)
            points = frozenset(later[i // 2] for i in range(len(later_texts)) if ours[i] != theirs[i])
            later_reasons.setdefault(points, []).append(name)
    print(f"code points that Unicode 14, which Tenon's tables and PCRE2 have, does not assign, but llama.cpp's "
          f"tables do: {len(later)}")
    for points, names in later_reasons.items():
        print(f"  {len(points)} cut differently by {', '.join(names)}" + (": " + listed(points) if points else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
