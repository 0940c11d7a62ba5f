#!/usr/bin/python3
"""Trains a small vocabulary of every kind on text made here and asks llama.cpp for ids.

usage: make_small.py --peers DIR     (as tests/core/tokenizer/compare_llama_cpp.py; run by hand)
Writes bpe.gguf, spm.gguf, unigram.gguf and wordpiece.gguf beside itself, and small.tsv: a kind, flags
(1 = add special tokens, 2 = parse special tokens), a text, its ids. Kinds "bpe:RULES" are bpe.gguf with
these split rules. Needs PyPI's sentencepiece, tokenizers and gguf.
"""
import argparse
import io
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import gguf
import sentencepiece
import tokenizers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "core" / "tokenizer"))
import compare_llama_cpp as compare  # noqa: E402

RULES = ["gpt-2", "smollm", "llama-bpe", "qwen2", "deepseek-r1-qwen", "qwen35", "deepseek-llm", "deepseek-coder",
         "deepseek-v3", "tekken", "gpt-4o", "falcon", "default"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
CORPUS_WORDS = ("the quick brown fox jumps over lazy dogs and counts 1 23 456 tokens token tokenizer naïve café "
                "über Straße привет мир γειά κόσμε こんにちは 世界 你好 한국어 def return for while {} () += == // # "
                "it's we're I'll you've they'd").split()


def corpus():
    rng = random.Random(11)
    return [" ".join(rng.choice(CORPUS_WORDS) for _ in range(rng.randrange(3, 14))) + rng.choice([".", "!", "?", " ", ";"])
            for _ in range(3000)]


def writer(name, model):
    out = gguf.GGUFWriter(HERE / f"{name}.gguf", "llama")
    out.add_context_length(64)
    out.add_embedding_length(8)
    out.add_feed_forward_length(8)
    out.add_block_count(1)
    out.add_head_count(1)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_tokenizer_model(model)
    return out


def finish(out):
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.close()


def make_bpe():
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(corpus(), tokenizers.trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    with tempfile.TemporaryDirectory() as folder:
        _, merges = trained.model.save(folder)
        lines = pathlib.Path(merges).read_text(encoding="utf-8").splitlines()[1:]
    vocabulary = trained.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get) + SPECIAL
    out = writer("bpe", "gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([1] * (len(tokens) - len(SPECIAL)) + [3] * len(SPECIAL))
    out.add_token_merges(lines)
    out.add_bos_token_id(tokens.index("<|im_start|>"))
    out.add_eos_token_id(tokens.index("<|im_end|>"))
    finish(out)


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def field(data, number):
    """The bytes of one field of a protobuf message."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        size = {1: 8, 5: 4}.get(tag & 7)
        if size is None:
            size, behind = varint(data, at)
            if tag & 7 == 0:
                at = behind
                continue
            at = behind
        if tag >> 3 == number:
            return data[at:at + size]
        at += size
    raise ValueError(f"no field {number}")


def make_sentencepiece(name, model, size, **options):
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=trained, vocab_size=size, num_threads=1, minloglevel=2,
        user_defined_symbols=["<tool>", "\u2581\u2581\u2581"], control_symbols=["<|im_end|>"], **options)
    sp = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    tokens, scores, kinds = [], [], []
    for i in range(sp.get_piece_size()):
        text = sp.id_to_piece(i)
        kind = 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 5 if sp.is_unused(i) else 6 if sp.is_byte(i) else 1
        if text in ("<tool>", "\u2581\u2581\u2581"):
            kind, text = 4, text.replace("\u2581", " ")
        tokens.append(text)
        scores.append(sp.get_score(i))
        kinds.append(kind)
    out = writer(name, model)
    out.add_tokenizer_pre("default")
    out.add_token_list(tokens)
    out.add_token_scores(scores)
    out.add_token_types(kinds)
    out.add_unk_token_id(sp.unk_id())
    out.add_bos_token_id(sp.bos_id())
    out.add_eos_token_id(sp.eos_id())
    out.add_add_space_prefix(True)
    if model == "t5":
        # In the trained model: field 3 is how it normalises, of that field 2 is the table.
        out.add_remove_extra_whitespaces(True)
        out.add_precompiled_charsmap(field(field(trained.getvalue(), 3), 2))
    finish(out)


def make_unigram():
    # A normaliser of a few rules, so that the table stays small: a ligature, wide letters, a space.
    rules = {"\ufb01": "fi", "\u2460": "1", "\uff21": "A", "\uff22\uff23": "bc", "\u3000": " ", "\u00ad": "", "e\u0301": "é"}
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        for old, new in rules.items():
            table.write(" ".join(f"{ord(c):X}" for c in old) + "\t" + " ".join(f"{ord(c):X}" for c in new) + "\n")
        table.flush()
        make_sentencepiece("unigram", "t5", 125, model_type="unigram", normalization_rule_tsv=table.name)


def make_wordpiece():
    trained = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    trained.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained.train_from_iterator(corpus(), tokenizers.trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=special, show_progress=False))
    vocabulary = trained.get_vocab()
    tokens = sorted(vocabulary, key=vocabulary.get)
    # As converters write them: a mark where a word begins, nothing where it goes on.
    spelled = [t if t in special else t[2:] if t.startswith("##") else "\u2581" + t for t in tokens]
    out = writer("wordpiece", "bert")
    out.add_tokenizer_pre("default")
    out.add_token_list(spelled)
    out.add_token_types([3 if t in special else 1 for t in tokens])
    for add, text in ((out.add_bos_token_id, "[CLS]"), (out.add_sep_token_id, "[SEP]"), (out.add_unk_token_id, "[UNK]"),
                      (out.add_pad_token_id, "[PAD]"), (out.add_mask_token_id, "[MASK]")):
        add(spelled.index(text))
    finish(out)


def texts():
    """Short ones of the comparison's own making, and some that fit these vocabularies."""
    made = [t for t in compare.strings(4000, random.Random(5))[2000:] if len(t) < 60][:50]
    return made + [t.encode() for t in (
        "", " ", "   ", "hello token tokenizer", " the  quick   brown ", "cafe\u0301 ca\u0301fe", "\ufb01sh \u2460 \uff21\uff22\uff23\u00adx",
        "a<tool>b <tool> c", "x<|im_end|>\n y", "naïve NAÏVE Über STRASSE", "世界你好 한국어 привет", "token\u3000token", "<0x41> \u2581\u2581",
        "1234567 tokens, 89.", "it's WE'RE i'LL", "[MASK] [mask] unknownword\u2603", "\u0130stanbul \u00c5\u030a")]


def spelled(data):
    names = {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}
    return "".join(names.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    peers = parser.parse_args().peers
    make_bpe()
    make_sentencepiece("spm", "llama", 500, model_type="bpe", byte_fallback=True)
    make_unigram()
    make_wordpiece()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        peer = compare.build_peer(peers, folder)
        for kind in [f"bpe:{rules}" for rules in RULES] + ["spm", "unigram", "wordpiece"]:
            name, _, rules = kind.partition(":")
            path = HERE / f"{name}.gguf"
            if rules:
                compare.with_keys(path, {"tokenizer.ggml.pre": rules}, f"{folder}/model.gguf")
                path = f"{folder}/model.gguf"
            asked = texts()
            flags = [i % 4 for i in range(len(asked))]
            for flag, text, ids in zip(flags, asked, compare.answers([peer, path], compare.coded(asked, flags)), strict=True):
                lines.append(f"{kind}\t{flag}\t{spelled(text)}\t{' '.join(map(str, ids))}")
    (HERE / "small.tsv").write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
