#!/usr/bin/python3
"""Counts the strings that Tenon and llama.cpp tokenize differently.

usage: compare_llama_cpp.py --tenon PROGRAM --peers DIR [--smollm MODEL.gguf] [--count 10000] [--seed N]

PROGRAM is build/<preset>/bin/tenon; tokenize_batch beside it is what runs. DIR holds a built llama.cpp
of llama-cpp-python's source package: DIR/src/llama_cpp_python-*/vendor/llama.cpp (headers and
vocabularies) and DIR/build/bin. That package has no vocabulary with the smollm rules: they run over
its starcoder vocabulary, which both sides are told is smollm, and over MODEL (or $TENON_TEST_MODEL),
any SmolLM2 in GGUF, if there is one.
Prints one line per set of split rules; exit code 1 when a string differs, 77 when nothing can run.
"""
import argparse
import os
import pathlib
import random
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
           "<|reserved_special_token_17|>", "<|python_tag|>", "<|im_end|", "<<|im_end|>>", "<|", "|>"]
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


def with_rules(path, rules, copy):
    """Copies a GGUF without tensors, its split rules renamed."""
    data = path.read_bytes()
    key = b"tokenizer.ggml.pre" + struct.pack("<I", 8)
    at = data.index(key) + len(key)
    length, = struct.unpack_from("<Q", data, at)
    with open(copy, "wb") as out:
        out.write(data[:at] + struct.pack("<Q", len(rules)) + rules + data[at + 8 + length:])


def answers(command, requests):
    done = subprocess.run(command, input=requests, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    out, at = [], 0
    while at < len(done.stdout):
        count, = struct.unpack_from("=i", done.stdout, at)
        ids = struct.unpack_from(f"={max(count, 0)}i", done.stdout, at + 4)
        out.append(ids if count >= 0 else None)
        at += 4 + 4 * max(count, 0)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tenon", required=True, type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path)
    parser.add_argument("--smollm", default=os.environ.get("TENON_TEST_MODEL"))
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()

    if args.peers is None:
        print("needs --peers DIR, a built llama.cpp to compare with")
        sys.exit(77)
    program = args.tenon.parent / "tokenize_batch"
    if not program.is_file():
        sys.exit(f"{program} is not there; build the target tokenize_batch")
    source = next(args.peers.glob("src/llama_cpp_python-*/vendor/llama.cpp"), None)
    if source is None:
        sys.exit(f"{args.peers} has no src/llama_cpp_python-*/vendor/llama.cpp; it must hold a built llama.cpp")
    libraries = args.peers.resolve() / "build" / "bin"
    texts = strings(args.count, random.Random(args.seed))
    flags = [random.Random(args.seed + 1 + i).randrange(4) for i in range(len(texts))]
    requests = b"".join(struct.pack("=II", f, len(t)) + t for f, t in zip(flags, texts))
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        peer = os.path.join(folder, "llama_batch")
        subprocess.run(["cc", "-O1", "-std=c11", f"-I{source}/include", f"-I{source}/ggml/include",
                        HERE / "llama_batch.c", "-o", peer, f"-L{libraries}", "-lllama", "-lggml", "-lggml-base",
                        f"-Wl,-rpath,{libraries}", f"-Wl,-rpath-link,{libraries}"], check=True)
        renamed = os.path.join(folder, "smollm.gguf")
        with_rules(source / "models/ggml-vocab-starcoder.gguf", b"smollm", renamed)
        vocabularies = [("smollm", renamed), ("gpt-2", source / "models/ggml-vocab-gpt-2.gguf"),
                        ("llama-bpe", source / "models/ggml-vocab-llama-bpe.gguf")]
        if args.smollm:
            vocabularies.insert(1, ("smollm (SmolLM2)", args.smollm))
        for name, path in vocabularies:
            ours = answers([program, path], requests)
            theirs = answers([peer, path], requests)
            if len(ours) != len(texts) or len(theirs) != len(texts):
                sys.exit(f"{name}: {len(ours)} and {len(theirs)} answers to {len(texts)} strings")
            wrong = [i for i in range(len(texts)) if ours[i] != theirs[i]]
            tokens = sum(len(ids) for ids in theirs)
            print(f"{name}: {len(wrong)} differences in {len(texts)} strings "
                  f"({sum(map(len, texts))} bytes, {tokens} tokens, seed {args.seed})")
            for i in wrong[:3]:
                print(f"  {texts[i]!r} flags {flags[i]}\n    ours   {ours[i]}\n    theirs {theirs[i]}")
            failed = failed or bool(wrong)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
