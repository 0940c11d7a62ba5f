#!/usr/bin/python3
"""config explain, completion, man, devices and inspect."""
import json
import shutil
import subprocess

import gguf_edit
import product


class ExplainTest(product.ProductTest):
    needs_backend = None

    def explain(self, *words, env=None):
        answer = self.call("config", "explain", "--json", *words, env=env)
        self.assertEqual((answer.code, answer.err), (0, ""))
        return {field["key"]: field for field in json.loads(answer.out)["fields"]}

    def test_where_each_value_comes_from(self):
        (self.folder / "c.yaml").write_text("threads: 1\ncompute: precise\nlimits:\n  n: 3\ntls: offloaded\n")
        fields = self.explain("--config", "c.yaml", "--set", "limits.n=4", "--set", "cpu.force_isa=scalar",
                              env={"TENON_COMPUTE": "fast", "TENON_LOG_LEVEL": "debug"})
        origins = {key: (field["value"], field["origin"]) for key, field in fields.items()}
        self.assertEqual(origins["threads"], ("1", "c.yaml:1"))
        self.assertEqual(origins["compute"], ("fast", "$TENON_COMPUTE"))
        self.assertEqual(origins["log.level"], ("debug", "$TENON_LOG_LEVEL"))
        self.assertEqual(origins["limits.n"], ("4", "--set limits.n=4"))
        self.assertEqual(origins["tls.mode"], ("offloaded", "c.yaml:5"))
        self.assertEqual(origins["plugins"], ("{cpu.force_isa: scalar}", "--set cpu.force_isa=scalar"))
        self.assertEqual(origins["port"], ("30000", "default"))
        for field in fields.values():
            self.assertTrue(field["text"] and field["type"] and field["variable"].startswith("TENON_"), field)

    def test_one_field_and_a_section(self):
        text = self.good("config", "explain", "threads")
        for word in ("threads: 0", "from      default", "whole number, 0 to 1024", "TENON_THREADS", "--threads"):
            self.assertIn(word, text)
        self.assertEqual(set(self.explain("log")), {"log.level", "log.format", "log.file"})
        self.assertIn("did you mean 'threads'?", self.refused("config", "explain", "therads", code=2))

    def test_refusals(self):
        (self.folder / "c.yaml").write_text("threds: 1\n")
        self.assertIn("c.yaml:1:1", self.refused("config", "explain", "--config", "c.yaml", code=78))
        self.refused("config", "explain", "--set", "threads=x", code=2)
        self.refused("config", "explain", "--set", "threads", code=2)
        self.refused("config", "explain", code=78, env={"TENON_THREADS": "x"})


class ScriptsTest(product.ProductTest):
    needs_backend = None

    def test_shells_take_the_completion(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.good("completion", shell)
            self.assertIn("perplexity", script)
            found = shutil.which(shell)
            if found:
                done = subprocess.run([found, "-n", "/dev/stdin"], input=script.encode(), capture_output=True)
                self.assertEqual((done.returncode, done.stderr), (0, b""), shell)

    def test_manual_pages(self):
        pages = self.folder / "man"
        pages.mkdir()
        self.good("man", "--all", "man")
        names = {page.name for page in pages.iterdir()}
        self.assertGreater(len(names), 12)
        self.assertIn("tenon-config-check.1", names)
        self.assertEqual((pages / "tenon-run.1").read_text(), self.good("man", "run"))
        self.assertEqual((pages / "tenon.1").read_text(), self.good("man"))
        self.assertIn("cannot be written", self.refused("man", "--all", "absent"))
        if not shutil.which("groff"):
            self.skipTest("groff is missing: the pages were not formatted")
        for page in pages.iterdir():
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", str(page)], capture_output=True)
            self.assertEqual((done.returncode, done.stderr), (0, b""), page.name)


class DevicesTest(product.ProductTest):
    def test_lists_devices(self):
        devices = self.json("devices")["devices"]
        cpu = next(device for device in devices if device["backend"] == "cpu")
        self.assertEqual(cpu["kind"], "cpu")
        self.assertGreater(cpu["memory_bytes"], cpu["memory_free_bytes"] // 2)
        self.assertTrue(cpu["detail"] and cpu["name"] and cpu["version"])
        self.assertEqual(cpu["also"], [])
        text = self.good("devices")
        self.assertIn(cpu["detail"], text)
        only = self.json("devices", "--backend", "cpu")
        self.assertEqual({device["backend"] for device in only["devices"]}, {"cpu"})

    def test_no_device(self):
        answer = self.call("devices", "--backend", "cpuu")
        self.assertEqual((answer.code, answer.out), (78, ""))
        self.assertIn("there is no backend 'cpuu'; did you mean 'cpu'? See 'tenon plugins list --why'.", answer.err)

    def test_a_section_of_a_plugin_that_nobody_has(self):
        answer = self.call("run", "model.gguf", "a", "-n", "1", "--set", "cpuu.pin=true")
        self.assertEqual((answer.code, answer.out), (78, ""))
        self.assertIn("cpuu.pin: there is no plugin 'cpuu'; did you mean 'cpu'?\n", answer.err)


class InspectTest(product.ProductTest):
    def changed(self, change):
        model = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        change(model)
        model.write(self.folder / "changed.gguf")
        return "changed.gguf"

    def test_a_model_that_runs(self):
        seen = self.json("inspect", "model.gguf", "--tensors")
        self.assertEqual((seen["runs"], seen["problems"]), (True, []))
        self.assertEqual((seen["architecture"], seen["layers"], seen["chat_template"]), ("llama", 2, True))
        self.assertEqual(seen["tokenizer"], "gpt2, llama-bpe, 288 tokens")
        stored = gguf_edit.Gguf((self.folder / "model.gguf").read_bytes())
        self.assertEqual({t["name"]: t["shape"] for t in seen["tensors"]},
                         {name: tensor["dims"] for name, tensor in stored.tensors.items()})
        self.assertEqual(len(seen["metadata"]), len(stored.pairs))
        self.assertEqual(sum(f["bytes"] for f in seen["formats"]), sum(t["bytes"] for t in seen["tensors"]))
        self.assertEqual(seen["device"]["backend"], "cpu")
        self.assertEqual(seen["not_native"], [])
        terms = {term["name"]: term["bytes"] for term in seen["memory"]["terms"]}
        # What the plan says is what a run then holds.
        held = self.json("run", "model.gguf", "a", "-n", "1")["memory"]
        self.assertEqual((terms["weights"], terms["kv_pool"]), (held["weights"], held["kv_pool"]))
        kernels = {group["use"]: group["kernel"] for group in seen["weights"]}
        self.assertRegex(kernels["matmul"], r"^f32, float activations, \w+$")
        scalar = self.json("inspect", "model.gguf", "--set", "cpu.force_isa=scalar")
        self.assertIn("f32, float activations, scalar", {group["kernel"] for group in scalar["weights"]})
        shutil.copy(product.TINY / "llama3-tied-q4_0.gguf", self.folder / "q4.gguf")
        for compute, activations in (("fast", "q4_0, 8-bit"), ("precise", "q4_0, float")):
            seen = self.json("inspect", "q4.gguf", "--compute", compute)
            self.assertTrue(any(group["format"] == "q4_0" and group["kernel"].startswith(activations)
                                for group in seen["weights"]), seen["weights"])
        text = self.good("inspect", "model.gguf")
        for word in ("architecture  llama", "kv_pool", "general.architecture", "cpu"):
            self.assertIn(word, text)
        self.assertNotIn("it does not run here", text)

    def test_an_architecture_nobody_knows(self):
        def change(model):
            model.pairs["general.architecture"] = (gguf_edit.STRING, "rwkv99\x1b[31m")
        name = self.changed(change)
        seen = self.json("inspect", name, "--tensors")
        self.assertFalse(seen["runs"])
        self.assertTrue(any("rwkv99" in sentence for sentence in seen["problems"]), seen["problems"])
        self.assertEqual(seen["tokenizer"], "gpt2, llama-bpe, 288 tokens")
        self.assertGreater(len(seen["tensors"]), 10)
        text = self.good("inspect", name)
        self.assertIn("it does not run here", text)
        self.assertNotIn("\x1b", text)

    def test_formats_nobody_reads(self):
        for number, word in ((77, "type 77"), (16, "iq2_xxs")):
            def change(model):
                next(iter(model.tensors.values()))["type"] = number
            name = self.changed(change)
            seen = self.json("inspect", name, "--tensors")
            self.assertFalse(seen["runs"])
            self.assertIn({"format": word, "read": False}, [
                {key: f[key] for key in ("format", "read")} for f in seen["formats"]])
            self.assertTrue(any(word in sentence for sentence in seen["problems"]), seen["problems"])
            self.assertEqual([t["format"] for t in seen["tensors"]].count(word), 1)
            self.assertIn("not read", self.good("inspect", name, "--tensors"))

    def test_no_model_at_all(self):
        (self.folder / "text").write_text("this is no model")
        self.refused("inspect", "text")
        self.refused("inspect", "absent.gguf")

    def test_without_a_device(self):
        seen = self.json("inspect", "model.gguf", "--backend", "absent")
        self.assertFalse(seen["runs"])
        self.assertNotIn("memory", seen)


if __name__ == "__main__":
    product.main()
