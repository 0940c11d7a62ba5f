#!/usr/bin/python3
"""Files that are no good model end in one sentence and exit code 1, whatever they are."""
import math
import os
import random
import socket
import struct
import time

import gguf_edit
import product


class FilesTest(product.ProductTest):
    needs_backend = None

    def edited(self, change):
        gguf = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        change(gguf)
        gguf.write(self.folder / "edited.gguf")
        return "edited.gguf"

    def run_refuses(self, name, pattern, code=1):
        sentence = self.refused("run", name, "hi", "-n", "3", code=code)
        self.assertRegex(sentence, pattern)
        return sentence

    def need(self, backend):
        if not product.has_backend(backend):
            self.skipTest(f"this build has no {backend} backend (TENON_BACKENDS)")

    def test_the_editor_writes_what_it_read(self):
        self.edited(lambda gguf: None)
        for verb in (["tokenize", "FILE", "hello there"], ["program", "FILE", "--text"]):
            texts = [self.good(*[name if w == "FILE" else w for w in verb])
                     for name in ("model.gguf", "edited.gguf")]
            self.assertEqual(*texts)

    def test_a_symlink_is_followed(self):
        self.need("cpu")
        (self.folder / "link.gguf").symlink_to("model.gguf")
        words = ("hi", "-n", "4", "--temp", "0")
        self.assertEqual(self.good("run", "link.gguf", *words), self.good("run", "model.gguf", *words))
        (self.folder / "dangling.gguf").symlink_to("nothing")
        self.run_refuses("dangling.gguf", "No such file or directory")
        (self.folder / "loop.gguf").symlink_to("loop.gguf")
        self.run_refuses("loop.gguf", "Too many levels of symbolic links")

    def test_what_is_no_regular_file(self):
        os.mkfifo(self.folder / "fifo")
        (self.folder / "folder").mkdir()
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.folder / "socket"))
            self.run_refuses("socket", "socket")
        self.run_refuses("fifo", "^fifo is a FIFO; a regular file is wanted")
        self.run_refuses("folder", "^folder is a directory; a regular file is wanted")
        self.run_refuses("/dev/zero", "^/dev/zero is a character device; a regular file is wanted")

    def test_an_unreadable_file(self):
        if os.geteuid() == 0:
            self.skipTest("root reads every file")
        (self.folder / "model.gguf").chmod(0)
        self.run_refuses("model.gguf", "Permission denied")

    def test_files_cut_short(self):
        data = (self.folder / "model.gguf").read_bytes()
        cut = self.folder / "cut.gguf"
        cut.write_bytes(b"")
        self.run_refuses("cut.gguf", r"^cut.gguf is empty \(0 bytes\)")
        for size in (3, 4, 7, 20, 24, 100, 3000, 6000, 10000, len(data) // 2, len(data) - 1):
            cut.write_bytes(data[:size])
            self.run_refuses("cut.gguf", rf"truncated: .*needs \d+ bytes, has {size} bytes")

    def test_magic_and_version(self):
        data = (self.folder / "model.gguf").read_bytes()
        wrong = self.folder / "wrong.gguf"
        wrong.write_bytes(b"PK\3\4" + data[4:])
        self.run_refuses("wrong.gguf", "not a GGUF file")
        for version in (0, 1, 4, 99):
            wrong.write_bytes(data[:4] + struct.pack("<I", version) + data[8:])
            self.run_refuses("wrong.gguf", f"GGUF version {version} is not supported, wants 2 or 3")
        wrong.write_bytes(data[:4] + struct.pack(">I", 3) + data[8:])
        self.run_refuses("wrong.gguf", "the file is big-endian")
        for offset in (8, 16):  # the two counts
            wrong.write_bytes(data[:offset] + b"\xff" * 8 + data[offset + 8:])
            self.run_refuses("wrong.gguf", ".")

    def test_metadata_that_makes_no_model(self):
        def set_pair(key, kind, value):
            return lambda gguf: gguf.pairs.update({key: (kind, value)})

        def without(key):
            return lambda gguf: gguf.pairs.pop(key)

        u32, text = gguf_edit.U32, gguf_edit.STRING
        for change, pattern in [
            (set_pair("llama.attention.head_count", u32, 0), "head_count"),
            (set_pair("llama.attention.head_count", u32, 7), "head"),
            (set_pair("llama.attention.head_count_kv", u32, 3), "head"),
            (set_pair("llama.block_count", u32, 0), "block_count"),
            (set_pair("llama.block_count", u32, 9), "blk.2"),
            (set_pair("llama.block_count", u32, 4294967295), "block_count|layers"),
            (set_pair("llama.embedding_length", u32, 0), "embedding_length"),
            (set_pair("llama.context_length", text, "long"), "context_length"),
            (set_pair("general.architecture", text, "lamma"), "architecture.*lamma"),
            (set_pair("tokenizer.ggml.model", text, "words"), "tokenizer.*words"),
            (set_pair("tokenizer.ggml.pre", text, "nothing"), "nothing"),
            (set_pair("tokenizer.chat_template", text, "{% for %}"), "chat_template"),
            (set_pair("tokenizer.chat_template", text, "{{ " + "(" * 5000), "chat_template"),
            (without("general.architecture"), "general.architecture"),
            (without("llama.embedding_length"), "embedding_length"),
            (without("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens"),
            (lambda gguf: gguf.tensors.pop("output_norm.weight"), "output_norm.weight"),
        ]:
            self.run_refuses(self.edited(change), "^edited.gguf: .*(" + pattern + ")")

    def test_a_vocabulary_of_another_size_than_the_logits(self):
        def lengthen(gguf):
            for key, item in (("tokens", "one more"), ("token_type", 1)):
                kind, (element, items) = gguf.pairs["tokenizer.ggml." + key]
                gguf.pairs["tokenizer.ggml." + key] = kind, (element, items + [item])

        self.run_refuses(self.edited(lengthen), "289.*288|288.*289")

    def test_a_template_bomb_ends_when_it_is_rendered(self):
        self.need("cpu")
        for bomb in ("{% for i in range(999999999) %}x{% endfor %}",
                     "{{ 'x' * 10000000000 }}",
                     "{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}"
                     "{% endfor %}"):
            name = self.edited(lambda gguf: gguf.pairs.update(
                {"tokenizer.chat_template": (gguf_edit.STRING, bomb)}))
            start = time.monotonic()
            self.run_refuses(name, ".")
            self.assertLess(time.monotonic() - start, 10)
            self.assertEqual(self.call("run", name, "hi", "-n", "1", "--raw").code, 0)

    def test_weights_that_are_not_finite(self):
        self.need("cpu")
        (self.folder / "text").write_text("some text to score, long enough for a chunk " * 4)
        (self.folder / "ids.json").write_text('{"ids": [5, 6, 7]}')
        for name, value in (("output_norm.weight", math.nan), ("blk.0.attn_v.weight", math.nan),
                            ("output_norm.weight", math.inf)):
            def spoil(gguf):
                data = gguf.tensors[name]["data"]
                data[:] = struct.pack("<f", value) * (len(data) // 4)

            self.edited(spoil)
            for how in (["--temp", "0"], ["--temp", "1"], ["--compute", "precise"]):
                sentence = self.refused("run", "edited.gguf", "hi", "-n", "9", *how)
                self.assertIn("finite", sentence)
            self.assertIn("finite", self.refused("perplexity", "edited.gguf", "--file", "text",
                                                 "-c", "32"))
            self.assertIn("finite", self.refused("logits", "edited.gguf", "--ids", "ids.json"))

    def test_a_file_cut_short_while_it_is_used(self):
        """Whatever the moment: a whole answer or one sentence, and never a signal."""
        self.need("cpu")
        whole = (self.folder / "model.gguf").read_bytes()
        copy = self.folder / "copy.gguf"
        chance = random.Random(20261121)
        seen = set()
        for _ in range(24):
            copy.write_bytes(whole)
            process = self.start("run", "copy.gguf", "hi", "-n", "20", "--temp", "0")
            time.sleep(chance.uniform(0, 0.03))
            os.truncate(copy, chance.choice((0, 4096, 100000)))
            out, err = process.communicate(timeout=60)
            self.assertIn(process.returncode, (0, 1), err)
            if process.returncode == 1:
                self.assertEqual(err.count(b"\n"), 1, err)
                self.assertEqual(out, b"")
            else:
                self.assertEqual(err, b"")
            seen.add(process.returncode)
        self.assertTrue(seen)


if __name__ == "__main__":
    product.main()
