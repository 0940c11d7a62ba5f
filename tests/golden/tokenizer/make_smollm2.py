#!/usr/bin/python3
r"""Writes smollm2.tsv: texts and their ids as llama-tokenize of llama.cpp gives them.

usage: make_smollm2.py LLAMA_TOKENIZE SMOLLM2.gguf >smollm2.tsv

Each line: the flag (parse = special tokens are parsed, plain = they are text), the text as a C string
of bytes with \n, \t, \r, \\ and \xNN, the ids, with tabs between. One call of the program each:
    printf %s TEXT | llama-tokenize -m SMOLLM2.gguf --stdin --ids --log-disable [--no-parse-special]
"""
import ast
import subprocess
import sys

TEXTS = [
    b"Hello, world!", b" leading space", b"trailing space ", b"two  spaces   three", b"\n\n\tindent\r\n",
    b"In 1984 there were 12,345 of them.", b"1234567890", b"I'm sure we'll say it's theirs, they'd've",
    b"I'M WE'LL IT'S", b"def f(x):\n    return x ** 2  # square\n", b"for (int i = 0; i < n; ++i) { a[i] += b[i]; }",
    b"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", b"<|im_end|", b"<|endoftext|><repo_name>x<file_sep>",
    "naïve café über Straße".encode(), "Привет, мир! Γειά σου".encode(), "世界你好 こんにちは 안녕".encode(),
    "नमस्ते दुनिया שלום مرحبا".encode(), "😀 👩‍👩‍👧 🇩🇪".encode(), "½ ² Ⅷ ٣ ४".encode(),
    "a\u00a0b\u2003c\u3000d\u2028e".encode(), "e\u0301 combining \u200b zero".encode(), b"\x80 broken \xc3 \xe2\x82 \xff",
    b"\xc1\x81 overlong, \xed\xa0\x80 surrogate", b"\x01\x02\x03\x04\x05\x06\x07 control", b"a" * 100, b" " * 50 + b"x",
    b"...!!!???---===", b"https://example.org/a/b?c=d&e=f#g", b"{\"key\": [1, 2.5e-3, null, true]}",
]


def spell(text):
    out = []
    for byte in text:
        named = {10: "\\n", 9: "\\t", 13: "\\r", 92: "\\\\"}
        out.append(named.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}"))
    return "".join(out)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, model = sys.argv[1:]
    for flag in ("parse", "plain"):
        for text in TEXTS:
            command = [program, "-m", model, "--stdin", "--ids", "--log-disable"]
            if flag == "plain":
                command.append("--no-parse-special")
            ids = ast.literal_eval(subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True,
                                                  stderr=subprocess.DEVNULL).stdout.decode())
            print(flag, spell(text), " ".join(map(str, ids)), sep="\t")


if __name__ == "__main__":
    main()
