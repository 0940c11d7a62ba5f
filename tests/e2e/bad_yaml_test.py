#!/usr/bin/python3
"""300 wrong configuration files: every mistake of each is named at its place, and none does harm."""
import json
import re
import subprocess

import bad_yaml
import product

SEED = 4
COUNT = 300
ENTRY = re.compile(r"^f\.yaml:(\d+):(\d+): (.*)$")


class BadYamlTest(product.ProductTest):
    needs_backend = None

    def check(self, data):
        (self.folder / "f.yaml").write_bytes(data)
        done = subprocess.run([str(product.BINARY), "config", "check", "f.yaml"], cwd=self.folder,
                              env=self.environment(), capture_output=True, timeout=20)
        return done.returncode, done.stdout, done.stderr.decode()

    def test_every_mistake_is_named_at_its_place(self):
        kinds = set()
        for number, bad in enumerate(bad_yaml.files(SEED, COUNT)):
            with self.subTest(number=number, kind=bad.kind, data=bad.data[:200]):
                kinds.add(bad.kind)
                code, out, err = self.check(bad.data)
                self.assertEqual((code, out), (78, b""), err)
                lines = err.splitlines()
                places, sentences = [], []
                for at, line in enumerate(lines):
                    entry = ENTRY.match(line)
                    if not entry:
                        continue
                    places.append((int(entry[1]), int(entry[2])))
                    sentences.append(entry[3])
                    if places[-1][0] <= bad.data.count(b"\n") + (not bad.data.endswith(b"\n")):
                        self.assertRegex(lines[at + 1], "^    ")
                        self.assertRegex(lines[at + 2], r"^    (\.\.\.)? *\^$")
                self.assertTrue(places, err)
                if bad.places is not None:
                    self.assertEqual(sorted(places), sorted(bad.places), err)
                for word in bad.words:
                    self.assertTrue(any(word in sentence for sentence in sentences), (word, err))
                total = len(places)
                self.assertEqual(lines[-1], f"tenon config check: {total} mistake{'s' * (total > 1)} in f.yaml")
                for character in err:
                    self.assertTrue(character == "\n" or character.isprintable(), repr(err))
        self.assertEqual(kinds, {*bad_yaml.SEMANTIC, *bad_yaml.OTHERS})

    def test_a_good_file(self):
        self.assertEqual(self.check("\n".join(bad_yaml.GOOD).encode()),
                         (0, b"f.yaml: no mistakes\n", ""))
        self.assertEqual(self.check(b"")[0], 0)
        self.assertEqual(self.check("# \u00fcber\n".encode())[0], 0)

    def test_json_and_the_other_reader(self):
        (self.folder / "f.yaml").write_text("port: 1\nthreds: 2\n")
        answer = self.call("config", "check", "f.yaml", "--json")
        self.assertEqual(answer.code, 78)
        self.assertEqual(json.loads(answer.out), {"ok": False, "mistakes": [
            {"file": "f.yaml", "line": 2, "column": 1,
             "text": "'threds' is not an option; did you mean 'threads'?"}]})
        answer = self.call("config", "check", "f.yaml", "--for", "run")
        self.assertIn("f.yaml:1:1: 'port' is not an option", answer.err)

    def test_files_that_cannot_be_read(self):
        for name in ("absent.yaml", "."):
            answer = self.call("config", "check", name)
            self.assertEqual((answer.code, answer.out), (78, ""))
            self.assertEqual(answer.err.count("\n"), 1)
        (self.folder / "large.yaml").write_bytes(b"#" * (1 << 21))
        answer = self.call("config", "check", "large.yaml")
        self.assertEqual(answer.code, 78)
        self.assertIn("a configuration has at most 1048576", answer.err)


if __name__ == "__main__":
    product.main()
