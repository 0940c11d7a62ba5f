#!/usr/bin/python3
"""One checkpoint of each architecture: its logits, its program, and files of it with one thing wrong."""
import json
import struct

import gguf_edit
import product

REFERENCE = json.loads((product.TINY / "tiny.json").read_text())
ARCHITECTURES = ("gemma3", "phi3", "qwen2-yarn", "qwen3")


def file_of(name):
    return next(file for file in REFERENCE["files"] if file["model"] == f"{name}-f32.gguf")


class ModelsTest(product.ProductTest):
    def take(self, name):
        (self.folder / "model.gguf").write_bytes((product.TINY / f"{name}-f32.gguf").read_bytes())

    def worst(self, ids, golden, positions):
        """Largest distance of the program's logits for `ids` from a golden file."""
        (self.folder / "ids.json").write_text(json.dumps({"ids": ids}))
        self.good("logits", "model.gguf", "--ids", "ids.json", "--compute", "precise", "--full", "full.bin")
        vocabulary = REFERENCE["vocab"]
        full = (self.folder / "full.bin").read_bytes()
        wanted = (product.TINY / golden).read_bytes()
        self.assertEqual(len(wanted), len(positions) * vocabulary * 4)
        worst = 0
        for index, position in enumerate(positions):
            row = struct.unpack_from(f"<{vocabulary}f", full, position * vocabulary * 4)
            expected = struct.unpack_from(f"<{vocabulary}f", wanted, index * vocabulary * 4)
            worst = max(worst, *(abs(a - b) for a, b in zip(row, expected)))
        return worst

    def test_logits_agree_with_the_reference(self):
        for name in ARCHITECTURES:
            with self.subTest(name):
                self.take(name)
                worst = self.worst(REFERENCE["ids"], file_of(name)["logits"], REFERENCE["positions"])
                self.assertLess(worst, 1e-3)

    def test_a_short_context_takes_the_factors_of_the_short_rotation(self):
        self.take("phi3")
        file = file_of("phi3")
        ids = REFERENCE["ids"][:file["short_length"]]
        positions = [p for p in REFERENCE["positions"] if p < len(ids)]
        self.assertLess(self.worst(ids, file["short_logits"], positions), 1e-3)
        longer = ids + ids[:1]
        self.assertGreater(self.worst(longer, file["short_logits"], positions), 1e-2)

    def test_every_backend_runs_every_node(self):
        for backend in ("cpu", "null"):
            if not product.has_backend(backend):
                continue
            for name in ARCHITECTURES:
                with self.subTest(f"{name} on {backend}"):
                    self.take(name)
                    self.good("run", "model.gguf", "hi", "-n", "3", "--temp", "0", "--backend", backend)

    def test_the_program_says_what_the_architecture_is(self):
        for name, words in (("gemma3", ("cap: 0.04", "activation: gelu_tanh", "scale: 5.65", "window: 24",
                                         "blk.0.attn_post_norm", "rope_inv_freq_local")),
                            ("phi3", ("blk.0.attn_q.weight", "rope_inv_freq_long", "window: 40", "mscale: ")),
                            ("qwen2-yarn", ("blk.1.attn_k.bias",)), ("qwen3", ("blk.1.attn_k_norm.weight",))):
            self.take(name)
            text = self.good("program", "model.gguf", "--ctx", "128")
            for word in words:
                self.assertIn(word, text)
        self.take("phi3")
        self.assertNotIn("rope_inv_freq_long", self.good("program", "model.gguf", "--ctx", "64"))

    def test_one_thing_wrong(self):
        def key(name, value):
            return lambda gguf: gguf.pairs.update({name: value})

        def without(name):
            return lambda gguf: gguf.tensors.pop(name)

        def renamed(old, new):
            return lambda gguf: gguf.tensors.update({new: gguf.tensors.pop(old)})

        for name, change, sentence in (
                ("qwen2-yarn", without("blk.0.attn_v.bias"), "tensor blk.0.attn_v.bias is missing"),
                ("qwen2-yarn", lambda gguf: gguf.pairs.pop("qwen2.rope.scaling.factor"), "qwen2.rope.scaling.factor"),
                ("qwen3", renamed("blk.1.attn_q_norm.weight", "blk.1.attn_q_gain.weight"),
                 "tensor blk.1.attn_q_norm.weight is missing"),
                ("qwen3", key("general.architecture", (gguf_edit.STRING, "qwen9")),
                 "architecture 'qwen9' is not known; known are: gemma3, llama, phi3, qwen2, qwen3"),
                ("gemma3", renamed("blk.6.post_ffw_norm.weight", "blk.7.post_ffw_norm.weight"),
                 "tensor blk.6.post_ffw_norm.weight is missing"),
                ("gemma3", key("gemma3.block_count", (gguf_edit.U32, 6)),
                 "is none that a gemma3 model of 6 layers reads"),
                ("phi3", without("rope_factors_short.weight"), "tensor rope_factors_short.weight is missing"),
                ("phi3", key("phi3.rope.dimension_count", (gguf_edit.U32, 6)),
                 "tensor rope_factors_short.weight has 1 rows of 4 columns; this model needs 1 rows of 3"),
                ("phi3", key("phi3.attention.head_count_kv", (gguf_edit.U32, 2)),
                 "tensor blk.0.attn_qkv.weight has 64 rows of 32 columns; this model needs 96 rows of 32")):
            with self.subTest(sentence):
                self.take(name)
                gguf = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
                change(gguf)
                gguf.write(self.folder / "model.gguf")
                self.assertIn(sentence, self.refused("run", "model.gguf", "hi", "-n", "1"))


if __name__ == "__main__":
    product.main()
