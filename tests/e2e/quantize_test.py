#!/usr/bin/python3
"""tenon quantize: a tiny checkpoint in every format, what comes of it, and what never comes of a mistake."""
import json
import os
import resource
import signal
import time
import unittest

import gguf_edit
import product
import split_gguf

FILE_TYPES = ("f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "q2_k", "q2_k_s", "q3_k_s", "q3_k_m",
              "q3_k_l", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k", "iq4_nl", "iq4_xs", "tq1_0", "tq2_0",
              "mxfp4_moe")
PURE = ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k", "q8_k", "iq4_xs", "tq1_0", "tq2_0", "mxfp4")
TOY = """id: toy
version: 1.0.0
kinds: [quant]
formats:
  - {id: toy.q3/0, name: q3_toy, gguf_type: 1003, class: lut_group, bits: 3, group: 32, block_elems: 32,
     block_bytes: 14, packing: lsb_first, codes_offset: 2, scale: {type: f16, offset: 0},
     lut: [-1.5, -0.75, -0.3, -0.1, 0.1, 0.3, 0.75, 1.5]}
"""


class QuantizeTest(product.ProductTest):
    needs_backend = None
    model = "llama3-untied-f32.gguf"

    def quantize(self, *words, **options):
        return self.json("quantize", "model.gguf", "out.gguf", "--force", *words, **options)

    def leftovers(self):
        return sorted(path.name for path in self.folder.iterdir()
                      if path.name not in ("model.gguf", "plugins"))

    def test_every_file_type(self):
        source = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        errors = {}
        for name in FILE_TYPES:
            with self.subTest(type=name):
                report = self.quantize("--format", name)
                data = (self.folder / "out.gguf").read_bytes()
                self.assertEqual(report["bytes"], len(data))
                out = gguf_edit.Gguf(data)
                self.assertEqual(list(out.tensors), list(source.tensors))
                self.assertEqual([t["name"] for t in report["tensors"]], list(source.tensors))
                for key, value in source.pairs.items():
                    if key != "general.file_type":
                        self.assertEqual(out.pairs[key], value)
                self.assertEqual(out.pairs["general.quantization_version"][1], 2)
                for tensor in report["tensors"]:
                    self.assertEqual("nmse" in tensor, tensor["from"] != tensor["to"], tensor)
                    if "norm" in tensor["name"]:
                        self.assertEqual(tensor["to"], "f32")
                self.assertLess(report["total"]["nmse"], 0.15)
                errors[name] = report["total"]["nmse"]
                self.assertEqual(self.leftovers(), ["out.gguf"])
        for better, worse in (("f16", "q8_0"), ("q8_0", "q5_1"), ("q5_0", "q4_0"), ("q5_1", "q4_1")):
            self.assertLess(errors[better], errors[worse])

    def test_the_output_runs(self):
        if not product.has_backend("cpu"):
            self.skipTest("this build has no cpu backend (TENON_BACKENDS)")
        for name in ("q8_0", "q4_1", "q5_0", "iq4_nl", "f16"):
            with self.subTest(type=name):
                self.quantize("--format", name)
                self.good("run", "out.gguf", "hello", "-n", "4", "--temp", "0")

    def test_pure_formats_fall_back_where_columns_do_not_fit(self):
        for name in PURE:
            with self.subTest(format=name):
                report = self.quantize("--format", name, "--pure")
                weights = [t for t in report["tensors"] if t["rows"] > 1]
                for tensor in weights:
                    if "note" in tensor:
                        self.assertRegex(tensor["note"], rf"^\w+ instead of {name}: \d+ columns are no multiple")
                    else:
                        self.assertEqual(tensor["to"], name)
                self.assertEqual(report["fallbacks"], sum("note" in t for t in weights))

    def test_a_format_out_of_a_manifest(self):
        folder = self.folder / "plugins" / "toy"
        folder.mkdir(parents=True)
        (folder / "plugin.yaml").write_text(TOY)
        os.chmod(folder, 0o755)
        os.chmod(folder / "plugin.yaml", 0o644)
        report = self.quantize("--format", "q3_toy", "--plugin-dir", str(self.folder / "plugins"))
        self.assertIn("q3_toy", {t["to"] for t in report["tensors"]})
        self.assertLess(report["total"]["nmse"], 0.1)
        out = gguf_edit.Gguf((self.folder / "out.gguf").read_bytes())
        self.assertIn(1003, {t["type"] for t in out.tensors.values()})
        self.assertIn("there is no format 'q3_toy'",
                      self.refused("quantize", "model.gguf", "o.gguf", "--format", "q3_toy"))

    def test_tensor_types_and_table(self):
        report = self.quantize("--format", "q4_0", "--tensor-type", "attn_v=q8_0", "--tensor-type",
                               "blk.?.ffn_up.*=f16")
        kinds = {t["name"]: t["to"] for t in report["tensors"]}
        self.assertEqual(kinds["blk.0.attn_v.weight"], "q8_0")
        self.assertEqual(kinds["blk.1.ffn_up.weight"], "f16")
        self.assertEqual(kinds["blk.0.attn_q.weight"], "q4_0")
        text = self.good("quantize", "model.gguf", "out.gguf", "--force", "--format", "q4_k_m")
        self.assertRegex(text, r"(?m)^blk\.0\.attn_q\.weight +f32 +q5_0 .*e-.*  q5_0 instead of q4_k: 64 columns")
        self.assertRegex(text, r"(?m)^out\.gguf: [\d.]+ MiB, NMSE [\d.e-]+, RMSE [\d.e-]+, max error [\d.e-]+$")

    def test_threads_and_dry_run(self):
        self.quantize("--format", "q6_k", "--threads", "1")
        one = (self.folder / "out.gguf").read_bytes()
        self.quantize("--format", "q6_k", "--threads", "5")
        self.assertEqual((self.folder / "out.gguf").read_bytes(), one)
        os.remove(self.folder / "out.gguf")
        report = self.quantize("--format", "q6_k", "--dry-run")
        self.assertEqual(report["bytes"], len(one))
        self.assertFalse(report["written"])
        self.assertEqual(self.leftovers(), [])

    def test_a_split_model_becomes_one_file(self):
        self.quantize("--format", "q8_0")
        parts = split_gguf.split(self.folder / "model.gguf", self.folder / "cut", 3)
        for part in (parts[0].name, parts[2].name):
            self.good("quantize", part, "whole.gguf", "--force", "--format", "q8_0")
            self.assertEqual((self.folder / "whole.gguf").read_bytes(), (self.folder / "out.gguf").read_bytes())
        self.assertIn("is the model that is read",
                      self.refused("quantize", parts[0].name, parts[1].name, "--force", "--format", "q8_0"))

    def test_lossy_sources_need_a_word(self):
        self.quantize("--format", "q4_1")
        os.rename(self.folder / "out.gguf", self.folder / "lossy.gguf")
        self.assertIn("pass --allow-requantize",
                      self.refused("quantize", "lossy.gguf", "o.gguf", "--format", "q4_0"))
        self.good("quantize", "lossy.gguf", "o.gguf", "--format", "q4_0", "--allow-requantize")
        self.quantize("--format", "q8_0")
        self.good("quantize", "out.gguf", "o2.gguf", "--format", "q4_0")

    def test_mistakes(self):
        (self.folder / "there.gguf").write_text("mine")
        os.symlink("model.gguf", self.folder / "link.gguf")
        for words, said in (
                (("model.gguf", "there.gguf"), "there.gguf exists already; --force replaces it"),
                (("model.gguf", "model.gguf", "--force"), "model.gguf is the model that is read from model.gguf"),
                (("model.gguf", "link.gguf", "--force"), "link.gguf is the model that is read from model.gguf"),
                (("model.gguf", "no/where.gguf"), "no/where.gguf.part: cannot be created: No such file"),
                (("model.gguf", "."), ". is not a regular file"),
                (("absent.gguf", "o.gguf"), "absent.gguf"),
                (("there.gguf", "o.gguf"), "there.gguf"),
                (("model.gguf", "o.gguf", "--tensor-type", "attn_w=q8_0"), "no weight has such a name"),
        ):
            with self.subTest(words=words):
                self.assertIn(said, self.refused("quantize", *words, "--format", "q8_0"))
        self.assertIn("there is no format 'q4_km'; there are f32, ",
                      self.refused("quantize", "model.gguf", "o.gguf", "--format", "q4_km"))
        self.refused("quantize", "model.gguf", "o.gguf", code=2)
        self.assertEqual((self.folder / "there.gguf").read_text(), "mine")
        self.assertEqual(self.leftovers(), ["link.gguf", "there.gguf"])

    def limited(self, size):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return limit

    def test_a_file_that_cannot_grow_leaves_nothing(self):
        process = self.start("quantize", "model.gguf", "o.gguf", "--format", "f16", preexec_fn=self.limited(30000))
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (1, b""))
        self.assertRegex(err.decode(), r"^tenon quantize: o\.gguf: cannot .*: File too large\n$")
        self.assertEqual(self.leftovers(), [])

    def big_model(self):
        """A model whose quantisation takes seconds: the tiny one's output, many times as many rows."""
        model = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        tensor = model.tensors["output.weight"]
        tensor["data"] = bytes(tensor["data"])[:tensor["dims"][0] * tensor["dims"][1] * 4] * 400
        tensor["dims"] = [tensor["dims"][0], tensor["dims"][1] * 400]
        model.write(self.folder / "big.gguf")
        os.remove(self.folder / "model.gguf")
        return ("quantize", "big.gguf", "o.gguf", "--format", "iq4_nl", "--threads", "1", "--tensor-type",
                "output=iq4_nl")

    def wait_for_part(self, process):
        until = time.monotonic() + 30
        while not (self.folder / "o.gguf.part").exists():
            self.assertIsNone(process.poll(), "it ended before it wrote anything")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.005)

    def test_ctrl_c_leaves_nothing_and_a_kill_no_final_name(self):
        words = self.big_model()
        process = self.start(*words)
        self.wait_for_part(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out, err), (1, b"", b"tenon quantize: interrupted\n"))
        self.assertEqual(self.leftovers(), ["big.gguf"])

        process = self.start(*words)
        self.wait_for_part(process)
        second = self.refused(*words)
        self.assertEqual(second, "o.gguf is being written by another process\n")
        process.kill()
        process.communicate(timeout=60)
        self.assertFalse((self.folder / "o.gguf").exists())
        report = json.loads(self.good(*words, "--json"))
        self.assertEqual(report["bytes"], (self.folder / "o.gguf").stat().st_size)
        self.assertEqual(self.leftovers(), ["big.gguf", "o.gguf"])


if __name__ == "__main__":
    unittest.main()
