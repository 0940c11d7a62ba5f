#!/usr/bin/python3
"""Help fits a screen, and the texts of help and mistakes are those in golden/. --update rewrites them."""
import re
import sys

import product

VERBS = ("run", "tokenize", "perplexity", "bench", "plugins", "program", "doctor", "logits")
MODEL_VERBS = ("run", "tokenize", "perplexity", "bench", "program", "logits")
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

    def test_help_fits_a_screen(self):
        listed = re.findall(r"^  (\w+)  +\S", self.good("--help"), re.M)
        self.assertGreaterEqual(set(listed), set(VERBS) - {"logits"})
        for verb in [*listed, "logits"]:
            text = self.good(verb, "--help")
            self.assertEqual(self.good(verb, "-h"), text)
            self.assertEqual(self.good("help", verb), text)
            lines = text.splitlines()
            # serve has the flags of four servers.
            self.assertLessEqual(len(lines), 56 if verb == "serve" else 40, verb)
            self.assertLessEqual(max(map(len, lines)), 110, verb)
            self.assertTrue(lines[0].startswith(f"usage: tenon {verb}"), lines[0])

    def test_help_text(self):
        self.transcript("help.txt", [["--help"]] + [[verb, "--help"] for verb in VERBS]
                        + [["bench", "serve", "--help"]])

    def test_wrong_verbs(self):
        self.transcript("verbs.txt", [[], ["runn", "model.gguf"], ["--hlep"], ["frobnicate"],
                                      ["help", "rnu"]])

    def test_each_verb_wrong_in_three_ways(self):
        wrong = {"run": ["model.gguf", "hi"], "tokenize": ["model.gguf", "hi"],
                 "perplexity": ["model.gguf", "--file", "text"], "bench": ["model.gguf"],
                 "plugins": ["list"], "program": ["model.gguf"], "doctor": [],
                 "logits": ["model.gguf", "--ids", "ids.json"]}
        flag = {"run": "--tmep", "tokenize": "--jsno", "perplexity": "--fiel", "bench": "--promt",
                "plugins": "--wyh", "program": "--dto", "doctor": "--jsn", "logits": "--chunks"}
        value = {"run": ["-n", "many"], "tokenize": ["--file"], "perplexity": ["-c", "99999999"],
                 "bench": ["-b", "0"], "plugins": ["--set", "threads=x"],
                 "program": ["--sequences", "0"], "doctor": ["--fallback", "maybe"],
                 "logits": ["--top", "7"]}
        absent = {"plugins": ["list", "--config", "absent.yaml"],
                  "doctor": ["--config", "absent.yaml"],
                  "perplexity": ["model.gguf", "--file", "absent.txt"],
                  "logits": ["model.gguf", "--ids", "absent.json"]}
        (self.folder / "text").write_text("some text")
        (self.folder / "ids.json").write_text('{"ids": [1, 2]}')
        commands = []
        for verb in VERBS:
            commands.append([verb, *wrong[verb], flag[verb], "1"])
            commands.append([verb, *absent.get(verb, ["absent.gguf", "hi"])][:5])
            if verb in ("bench", "program"):
                commands[-1] = [verb, "absent.gguf"]
            commands.append([verb, *wrong[verb], *value[verb]])
        for words in commands:
            answer = self.call(*words)
            self.assertIn(answer.code, (1, 2, 78), words)
            self.assertEqual(answer.out, "")
            self.assertTrue(answer.err.startswith(f"tenon {words[0]}: "), answer.err)
        self.transcript("mistakes.txt", commands)

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
