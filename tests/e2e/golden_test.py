#!/usr/bin/python3
"""Help and mistakes of every verb that the program lists are those kept in tests/golden/cli. --update rewrites them.

VERB.help is its help; wrong-VERB.txt are three ways to call it wrongly: an option that is nearly one, something
missing, and a value that is none.
"""
import re
import sys

import product

GOLDEN = product.ROOT / "tests" / "golden" / "cli"
HIDDEN = ("logits",)
UPDATE = "--update" in sys.argv
LINES_MAX, COLUMNS_MAX = 42, 110
LINES_MAX_OF = {"serve": 58}  # the flags of four servers

# Where what follows from the help says too little: words in place of a value that is none.
BAD_VALUE = {
    "tokenize": ["model.gguf", "hi", "--file"],
    "doctor": ["--fallback", "maybe"],
    "devices": ["--set", "threads=x"],
    "plugins": ["list", "--set", "threads=x"],
    "completion": ["csh"],
    "man": ["rnu"],
    "config": ["explian"],
    "config explain": ["therads"],
    "config check": ["f.yaml", "--for", "walk"],
    "config schema": ["now"],
}
OPTION = re.compile(r"^  ((?:-\w,)?--[\w,-]+)(?: ([\w=.]+))?(?:  |$)", re.M)


class GoldenTest(product.ProductTest):
    needs_backend = None
    maxDiff = None

    def setUp(self):
        super().setUp()
        (self.folder / "f.yaml").write_text("threads: 1\n")

    def verbs(self):
        listed = re.findall(r"^  (\w+)  +\S", self.good("--help"), re.M)
        self.assertGreater(len(listed), 10)
        names = []
        for verb in [*listed, *HIDDEN]:
            names.append(verb)
            names += re.findall(rf"^  ({verb} \w+)  +\S", self.good(verb, "--help"), re.M)
        return names

    def keep(self, name, text):
        path = GOLDEN / name
        if UPDATE:
            path.write_text(text)
        self.assertTrue(path.is_file(), f"{name} is not there; see --update of {__file__}")
        self.assertEqual(path.read_text(), text, f"see --update of {__file__}")

    def test_help(self):
        verbs = self.verbs()
        for verb in verbs:
            with self.subTest(verb=verb):
                text = self.good(*verb.split(), "--help")
                self.assertEqual(self.good(*verb.split(), "-h"), text)
                self.assertEqual(self.good("help", *verb.split()), text)
                lines = text.splitlines()
                self.assertLessEqual(len(lines), LINES_MAX_OF.get(verb, LINES_MAX))
                self.assertLessEqual(max(map(len, lines)), COLUMNS_MAX)
                self.assertTrue(lines[0].startswith(f"usage: tenon {verb} "), lines[0])
                self.keep(verb.replace(" ", "-") + ".help", text)
        self.keep("tenon.help", self.good("--help"))
        kept = {path.name for path in GOLDEN.glob("*.help")}
        wanted = {verb.replace(" ", "-") + ".help" for verb in verbs} | {"tenon.help"}
        self.assertEqual(kept, wanted, "a file for each verb, and no other")

    def wrong_calls(self, verb):
        words = verb.split()
        text = self.good(*words, "--help")
        usage = text.splitlines()[0].split()[1 + len(words) + 1:-1]
        given = ["model.gguf" if name == "MODEL" else "x" for name in usage if not name.startswith("[")]
        options = [(names.split(",")[-1], value) for names, value in OPTION.findall(text)]
        name = max((name for name, _ in options), key=len, default="--help")
        near = name[:-2] + name[-1] + name[-2] if name[-1] != name[-2] else name[:-1]
        yield [*words, *given, near]
        valued = next((name for name, value in options if value), None)
        if given:
            yield words
        elif valued:
            yield [*words, valued]
        else:
            yield [*words, "x"]
        number = next((name for name, value in options if value in ("N", "X")), None)
        if verb in BAD_VALUE:
            yield [*words, *BAD_VALUE[verb]]
        elif number:
            yield [*words, *given, number, "many"]
        elif valued:
            yield [*words, *given, valued]
        else:
            yield [*words, *given, "x", "y", "z"]

    def test_each_verb_wrong_in_three_ways(self):
        for verb in self.verbs():
            with self.subTest(verb=verb):
                transcript = ""
                for words in self.wrong_calls(verb):
                    answer = self.call(*words)
                    self.assertIn(answer.code, (2, 78), words)
                    self.assertEqual(answer.out, "", words)
                    self.assertTrue(answer.err.startswith(f"tenon {verb}"), answer.err)
                    transcript += f"$ tenon {' '.join(words)}\n{answer.err}-> {answer.code}\n\n"
                self.assertIn("did you mean", transcript)
                self.keep(f"wrong-{verb.replace(' ', '-')}.txt", transcript)

    def test_options_of_plugins(self):
        for plugin in ("cpu", "prefix"):
            if not product.has_backend(plugin):
                self.skipTest(f"this build has no plugin {plugin}")
        (self.folder / "f.yaml").write_text(
            "threds: 1\nplugins:\n  cpu:\n    threads: 257\n    spin_us: 10\n    pni: true\n    pin: yes\n"
            "  prefix: {share_tokens: 0}\n  fcfs:\n    share_tokens: 1\n  prefx:\n    share_tokens: 1\n")
        answer = self.call("config", "check", "f.yaml")
        self.assertEqual((answer.code, answer.out), (78, ""))
        self.keep("plugin-options.txt", answer.err)
        for reader in ("serve", "run"):
            (self.folder / "f.yaml").write_text("plugins:\n  cpu:\n    threads: 256\n    pin: true\n")
            self.assertEqual(self.good("config", "check", "f.yaml", "--for", reader), "f.yaml: no mistakes\n")

    def test_schema(self):
        path = product.ROOT / "configs" / "schema" / "tenon.schema.json"
        text = self.good("config", "schema")
        if UPDATE:
            path.write_text(text)
        self.assertEqual(path.read_text(), text, f"see --update of {__file__}")


if __name__ == "__main__":
    if UPDATE:
        sys.argv.remove("--update")
    product.main()
