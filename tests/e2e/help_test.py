#!/usr/bin/python3
"""Mistakes of verbs, arguments and configuration have the texts in golden/. --update rewrites them."""
import re
import sys

import product

BAD_YAML = {
    "unknown.yaml": "thread: 2\ncompute: precise\n",
    "types.yaml": "threads: many\nbackend: [cpu]\ndeterministic: yes\n",
    "tab.yaml": "plugins:\n\tcpu: 1\n",
    "range.yaml": "threads: 1\ncontext_length: 99999999\nchunked_prefill_size: 010\n",
    "twice.yaml": "threads: 1\nthreads: 2\n",
    "list.yaml": "- threads\n",
    "option.yaml": "plugins:\n  cpu:\n    force_iso: scalar\n",
}
UPDATE = "--update" in sys.argv


class HelpTest(product.ProductTest):
    needs_backend = None
    maxDiff = None

    def transcript(self, name, commands):
        text = ""
        for words in commands:
            answer = self.call(*words)
            shown = " ".join(w if re.fullmatch(r"[\w./=:-]+", w) else f"'{w}'" for w in words)
            text += f"$ tenon {shown}\n{answer.out}{answer.err}-> {answer.code}\n\n"
        text = text.replace(str(self.folder), "FOLDER")
        golden = product.HERE / "golden" / name
        if UPDATE:
            golden.write_text(text)
        self.assertEqual(golden.read_text(), text, f"see --update of {__file__}")

    def test_wrong_verbs(self):
        self.transcript("verbs.txt", [[], ["runn", "model.gguf"], ["--hlep"], ["frobnicate"],
                                      ["help", "rnu"]])

    def test_what_is_missing_or_too_much(self):
        self.transcript("arguments.txt", [
            *[[verb] for verb in ("run", "tokenize", "perplexity", "bench", "plugins", "program",
                                  "logits")],
            ["run", "model.gguf", "a", "b"], ["run", "model.gguf", "a", "-q"],
            ["run", "model.gguf", "a", "-n"], ["run", "model.gguf", "a", "-n", "1", "-n", "2"],
            ["run", "model.gguf", "a", "-n", "-1"], ["run", "model.gguf", "a", "-n", "4294967296"],
            ["run", "model.gguf", "a", "--temp", "hot"], ["run", "model.gguf", "a", "--temp", "9"],
            ["run", "model.gguf", "a", "--top-p", "nan"], ["run", "model.gguf", "a", "--min-p", "2"],
            ["run", "model.gguf", "a", "--compute", "slow"], ["run", "model.gguf", "a", "-c", "99999999"],
            ["run", "model.gguf", "a", "-t", "5000"], ["run", "model.gguf", "a", "--set", "x"],
            ["run", "model.gguf", "a", "--set", "treads=1"], ["doctor", "now"], ["plugins", "lst"],
            ["program", "model.gguf", "--dot", "--text"], ["bench", "model.gguf", "-p", "0", "-n", "0"]])

    def test_wrong_configuration(self):
        for name, text in BAD_YAML.items():
            (self.folder / name).write_text(text)
        commands = [["doctor", "--config", name] for name in BAD_YAML if name != "option.yaml"]
        for words in commands:
            answer = self.call(*words)
            self.assertEqual(answer.code, 78, answer)
            self.assertRegex(answer.err, rf"^tenon doctor: {words[2]}:\d+:\d+: ")
            self.assertRegex(answer.err, r"\n +\^")
        self.transcript("configuration.txt", commands + [["doctor", "--config", "."]])

    def test_wrong_environment(self):
        answer = self.call("doctor", env={"TENON_THREADS": "many"})
        self.assertEqual(answer.code, 78)
        self.assertEqual(answer.err, "tenon doctor: TENON_THREADS: threads: expected a whole number "
                                     "from 0 to 1024, got 'many'\n")

    def test_a_backend_says_what_is_wrong_with_its_options(self):
        if not product.has_backend("cpu"):
            self.skipTest("this build has no cpu backend (TENON_BACKENDS)")
        (self.folder / "option.yaml").write_text(BAD_YAML["option.yaml"])
        sentence = self.refused("run", "model.gguf", "x", "--config", "option.yaml", code=78)
        self.assertTrue(sentence.startswith(
            "backend cpu has no option 'force_iso'; did you mean 'force_isa'?"), sentence)
        sentence = self.refused("run", "model.gguf", "x", "--set", "cpu.force_isa=mmx", code=78)
        self.assertIn("'mmx'", sentence)
        sentence = self.refused("run", "model.gguf", "x", "--backend", "cpuu", code=78)
        self.assertTrue(sentence.startswith("backend 'cpuu' cannot be used; found are: "), sentence)

    def test_version(self):
        self.assertRegex(self.good("--version"),
                         r"^tenon \d+\.\d+\.\d+ \(plugin ABI v\d+ revision \d+, [0-9a-f]{16}\)\n$")


if __name__ == "__main__":
    if UPDATE:
        sys.argv.remove("--update")
    product.main()
