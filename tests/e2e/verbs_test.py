#!/usr/bin/python3
"""The contracts of tokenize, perplexity, bench, plugins, program, doctor and logits."""
import json
import math
import re
import struct

import product

REFERENCE = json.loads((product.TINY / "tiny.json").read_text())


class ModelVerbsTest(product.ProductTest):
    def setUp(self):
        super().setUp()
        (self.folder / "text").write_text("The quick brown fox jumps over the lazy dog.\n" * 30)
        (self.folder / "ids.json").write_text(json.dumps({"ids": REFERENCE["ids"]}))

    def test_perplexity(self):
        words = ("perplexity", "model.gguf", "--file", "text", "-c", "64")
        answer = self.json(*words, "--compute", "precise")
        self.assertEqual(set(answer), {"perplexity", "tokens", "nll_per_token", "nll_per_chunk", "compute",
                                       "backend"})
        ids = self.json("tokenize", "model.gguf", "--file", "text")["ids"]
        self.assertEqual(answer["tokens"], len(ids) // 64 * 31)
        chunks = answer["nll_per_chunk"]
        self.assertEqual(len(chunks), len(ids) // 64)
        self.assertAlmostEqual(sum(chunks) / len(chunks), answer["nll_per_token"], 6)
        self.assertAlmostEqual(answer["perplexity"], math.exp(answer["nll_per_token"]), 6)
        self.assertEqual((answer["compute"], answer["backend"]), ("precise", "cpu"))
        fast = self.json(*words)
        self.assertEqual(fast["compute"], "fast")
        self.assertAlmostEqual(fast["perplexity"] / answer["perplexity"], 1, 2)
        self.assertRegex(self.good(*words), r"^perplexity \d+\.\d{4} over \d+ tokens \(fast, ")

    def test_perplexity_of_too_little_text(self):
        (self.folder / "brief").write_text("few words")
        for file, chunk, count in (("brief", "64", r"\d+"), ("text", "3", r"\d+"),
                                   ("/dev/null", "64", "1")):
            self.assertRegex(
                self.refused("perplexity", "model.gguf", "--file", file, "-c", chunk),
                rf"^the text has {count} tokens; expected at least one chunk of {chunk} \(4 or more\)")

    def test_bench(self):
        answer = self.json("bench", "model.gguf", "-p", "24", "-n", "6", "-b", "2", "-r", "3",
                           "-t", "1")
        self.assertEqual(set(answer), {"model", "backend", "device", "detail", "threads", "compute",
                                       "results"})
        self.assertEqual((answer["model"], answer["backend"], answer["threads"]),
                         ("model.gguf", "cpu", 1))
        self.assertEqual([row["test"] for row in answer["results"]], ["pp24", "tg6"])
        for row in answer["results"]:
            self.assertEqual(set(row), {"test", "batch", "tokens_per_second", "min", "max", "all"})
            self.assertEqual((row["batch"], len(row["all"])), (2, 3))
            self.assertEqual(row["tokens_per_second"], sorted(row["all"])[1])
            self.assertTrue(0 < row["min"] <= row["tokens_per_second"] <= row["max"])
        only = self.json("bench", "model.gguf", "-p", "0", "-n", "2", "-r", "1")
        self.assertEqual([row["test"] for row in only["results"]], ["tg2"])

    def test_bench_of_several_batches_and_a_mix(self):
        answer = self.json("bench", "model.gguf", "-p", "24", "-n", "6", "-b", "1,5", "--mix", "-r", "1",
                           "-t", "1", "--set", "chunked_prefill_size=32")
        self.assertEqual([(row["test"], row["batch"]) for row in answer["results"]],
                         [(test, batch) for batch in (1, 5) for test in ("pp24", "tg6", "mix24+6")])
        self.assertTrue(all(row["tokens_per_second"] > 0 for row in answer["results"]))

    def test_logits_agree_with_the_reference(self):
        words = ("logits", "model.gguf", "--ids", "ids.json", "--compute", "precise")
        answer = self.json(*words, "--full", "full.bin")
        count, vocabulary = len(REFERENCE["ids"]), REFERENCE["vocab"]
        self.assertEqual(set(answer), {"argmax", "second", "margin", "detail"})
        self.assertEqual([len(answer[key]) for key in ("argmax", "second", "margin")], [count] * 3)
        full = (self.folder / "full.bin").read_bytes()
        self.assertEqual(len(full), count * vocabulary * 4)
        rows = [struct.unpack_from(f"<{vocabulary}f", full, i * vocabulary * 4) for i in range(count)]
        for position, row in enumerate(rows):
            self.assertEqual(answer["argmax"][position], row.index(max(row)))
            self.assertAlmostEqual(answer["margin"][position],
                                   max(row) - row[answer["second"][position]], 5)
        reference = (product.TINY / self.model).with_suffix(".bin").read_bytes()
        for index, position in enumerate(REFERENCE["positions"]):
            wanted = struct.unpack_from(f"<{vocabulary}f", reference, index * vocabulary * 4)
            worst = max(abs(a - b) for a, b in zip(wanted, rows[position]))
            self.assertLess(worst, 1e-3)

    def test_logits_do_not_depend_on_chunks_or_the_order_of_blocks(self):
        words = ("logits", "model.gguf", "--ids", "ids.json", "--set", "deterministic=true")
        expected = self.json(*words)
        self.assertEqual(expected, self.json(*words, "--chunk", "5"))
        self.assertEqual(expected, self.json(*words, "--chunk", "17", "--shuffle-blocks", "99"))

    def test_logits_of_wrong_ids(self):
        for text, pattern in (('{"ids": [1, 288]}', "token id 288 is outside 0 to 287"),
                              ('{"ids": [-1]}', "token id -1 is outside 0 to 287"),
                              ('{"ids": 3', "expected an object"), ("[1]", "expected an object"),
                              ('{"ids": ["a"]}', "expected an object"), ("", "expected an object")):
            (self.folder / "wrong.json").write_text(text)
            self.assertIn(pattern, self.refused("logits", "model.gguf", "--ids", "wrong.json"))

    def test_doctor(self):
        answer = self.json("doctor")
        self.assertEqual(set(answer), {"ok", "findings"})
        self.assertTrue(answer["ok"])
        self.assertIn("plugin cpu", [finding["what"] for finding in answer["findings"]])
        self.assertRegex(self.good("doctor"), r"(?m)^  ok   plugin cpu: ")
        sick = self.call("doctor", "--set", "plugin_trust=allowlist")
        self.assertEqual((sick.code, sick.err), (1, ""))
        self.assertRegex(sick.out, r"(?m)^  BAD  plugin cpu: ")
        self.assertRegex(sick.out, r"(?m)^  BAD  devices: no plugin has a device that computes")
        sick = self.call("doctor", "--json", "--set", "plugin_trust=allowlist")
        self.assertEqual((sick.code, json.loads(sick.out)["ok"]), (1, False))
        self.assertEqual(self.call("doctor", "--config", "absent").code, 78)

    def test_without_a_usable_backend_a_run_says_so(self):
        answer = self.call("run", "model.gguf", "a", "--set", "plugin_trust=allowlist")
        self.assertEqual((answer.code, answer.out), (1, ""))
        self.assertTrue(answer.err.startswith(
            "tenon run: no backend plugin has a device on this machine\n"), answer.err)
        self.assertTrue(answer.err.endswith("See 'tenon plugins list --why'.\n"))


class OtherVerbsTest(product.ProductTest):
    needs_backend = None

    def test_tokenize(self):
        answer = self.json("tokenize", "model.gguf", "hi there")
        self.assertEqual(set(answer), {"ids", "pieces"})
        self.assertEqual("".join(answer["pieces"]), "<|endoftext|>hi there")
        self.assertEqual(len(answer["ids"]), len(answer["pieces"]))
        self.assertEqual(self.json("tokenize", "model.gguf", "--no-special", "hi there")["ids"],
                         answer["ids"][1:])
        self.assertEqual(self.json("tokenize", "model.gguf", stdin="hi there"), answer)
        (self.folder / "text").write_text("hi there")
        self.assertEqual(self.json("tokenize", "model.gguf", "--file", "text"), answer)
        lines = self.good("tokenize", "model.gguf", "hi there").splitlines()
        self.assertEqual([int(line.split()[0]) for line in lines], answer["ids"])
        self.assertEqual(self.json("tokenize", "model.gguf", "")["ids"], answer["ids"][:1])
        plain = self.json("tokenize", "model.gguf", "<|im_end|>")["ids"]
        parsed = self.json("tokenize", "model.gguf", "<|im_end|>", "--parse-special")["ids"]
        self.assertGreater(len(plain), 2)
        self.assertEqual(len(parsed), 2)

    def test_tokenize_refuses_endless_text(self):
        self.assertIn("bytes", self.refused("tokenize", "model.gguf", "--file", "/dev/zero"))

    def test_plugins(self):
        answer = self.json("plugins", "list")
        self.assertEqual(set(answer), {"places", "plugins"})
        for place in answer["places"]:
            self.assertEqual(set(place), {"path", "origin", "searched", "note"})
        found = {plugin["id"]: plugin for plugin in answer["plugins"]}
        for name in ("cpu", "null"):
            if not product.has_backend(name):
                continue
            self.assertEqual(set(found[name]), {"id", "version", "kinds", "path", "usable", "reason",
                                                "sha256"})
            self.assertTrue(found[name]["usable"])
            self.assertRegex(found[name]["sha256"], "^[0-9a-f]{64}$")
        self.assertNotIn("looked in", self.good("plugins", "list"))
        why = self.good("plugins", "list", "--why", "--plugin-dir", "nowhere")
        self.assertIn(f"  {self.folder}/nowhere (configured): It does not exist.\n", why)
        for plugin in found.values():
            self.assertIn(plugin["path"], why)

    def test_plugins_that_are_refused(self):
        bad = self.folder / "plugins" / "bad"
        bad.mkdir(parents=True)
        (bad / "plugin.yaml").write_text("id: [")
        why = self.good("plugins", "list", "--why", "--plugin-dir", "plugins")
        self.assertIn("refused", why)
        self.assertIn(str(bad), why)
        (self.folder / "plugins").chmod(0o777)
        why = self.good("plugins", "list", "--why", "--plugin-dir", "plugins")
        self.assertRegex(why, r"plugins \(configured\): .*writ")

    def test_program_as_text(self):
        text = self.good("program", "model.gguf")
        self.assertEqual(text, self.good("program", "model.gguf", "--text"))
        for word in ("embed", "rms_norm", "matmul", "paged_attn", "sample"):
            self.assertIn(word, text)
        self.assertNotIn("sample", self.good("program", "model.gguf", "--logits"))

    def test_program_as_a_graph(self):
        """Every statement is one that dot knows, and no edge ends at a node that is not declared."""
        text = self.good("program", "model.gguf", "--dot")
        self.assertTrue(text.startswith("digraph program {\n") and text.endswith("}\n"))
        token = re.compile(r'\s*("(?:[^"\\]|\\.)*"|->|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|[{}\[\]=,;])')
        tokens, at = [], 0
        while text[at:].strip():
            match = token.match(text, at)
            self.assertTrue(match, text[at:at + 60])
            tokens.append(match.group(1))
            at = match.end()
        self.assertEqual(tokens.count("{"), tokens.count("}"))
        depth, nodes, ends, statement = 0, set(), set(), []
        for word in tokens:
            if word in "{}":
                depth += 1 if word == "{" else -1
                self.assertGreaterEqual(depth, 0)
                self.assertTrue(word == "}" or statement[0] in ("digraph", "subgraph"), statement)
                statement = []
            elif word == ";":
                if "->" in statement:
                    chain = statement[:statement.index("[")] if "[" in statement else statement
                    self.assertEqual(chain[1::2], ["->"] * (len(chain) // 2), statement)
                    ends.update(chain[::2])
                elif statement[1:2] == ["["]:
                    self.assertEqual(statement[-1], "]")
                    nodes.add(statement[0])
                elif len(statement) == 1:
                    nodes.add(statement[0])
                else:
                    self.assertEqual((len(statement), statement[1]), (3, "="), statement)
                statement = []
            else:
                statement.append(word)
        self.assertEqual((depth, statement), (0, []))
        self.assertGreater(len(ends), 20)
        self.assertLessEqual(ends, nodes)


if __name__ == "__main__":
    product.main()
