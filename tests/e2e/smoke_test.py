#!/usr/bin/python3
"""tenon smoke: verdicts, exit codes, JSON and JUnit."""
import json
import xml.etree.ElementTree

import product

GREEDY = ("run", "model.gguf", "hello", "--raw", "--temp", "0", "-n", "6")


class SmokeTest(product.ProductTest):
    def suite(self, text, name="suite.yaml"):
        (self.folder / name).write_text(text)
        return name

    def test_what_is_right_passes(self):
        answer = self.json(*GREEDY)
        tokens = answer["tokens"]
        name = self.suite(
            f"model: model.gguf\nname: tiny\ncases:\n"
            f"  - {{name: tokens, prompt: hello, raw: true, max_tokens: 6, expect: {{tokens: {tokens}}}}}\n"
            f"  - {{name: text, prompt: hello, raw: true, max_tokens: 6,"
            f" expect: {{text: {json.dumps(answer['text'])}, finish: length}}}}\n"
            f"  - {{name: chat, prompt: hello, max_tokens: 3, expect: {{regex: '(?s).*'}}}}\n")
        result = self.json("smoke", name)
        self.assertEqual((result["suite"], result["ok"], result["passed"], result["failed"]), ("tiny", True, 3, 0))
        self.assertEqual(result["results"][0]["tokens"], tokens)
        self.assertEqual([r["backend"] for r in result["results"]], ["cpu"] * 3)
        text = self.good("smoke", name)
        self.assertIn("3 of 3 passed", text)
        self.assertNotIn("\x1b", text)

    def test_what_is_wrong_fails_and_junit_says_so(self):
        tokens = self.json(*GREEDY)["tokens"]
        wrong = [tokens[0], (tokens[1] + 1) % 288]
        name = self.suite(
            f"model: model.gguf\nnear_tie: 0\ncases:\n"
            f"  - {{name: 'a <b> & \"c\"', prompt: hello, raw: true, expect: {{tokens: {wrong}}}}}\n"
            f"  - {{name: text, prompt: hello, raw: true, expect: {{contains: [not in there]}}}}\n"
            f"  - {{name: long, prompt: {'x' * 3000}, raw: true}}\n"
            f"  - {{name: fine, prompt: hello}}\n")
        answer = self.call("smoke", name, "--junit", "out.xml", "--json")
        self.assertEqual((answer.code, answer.err), (1, ""))
        result = json.loads(answer.out)
        self.assertEqual([r["verdict"] for r in result["results"]], ["failed", "failed", "error", "passed"])
        self.assertIn(f"wanted {wrong[1]} at place 1, got {tokens[1]}", result["results"][0]["note"])
        self.assertIn("the context holds", result["results"][2]["note"])
        root = xml.etree.ElementTree.parse(self.folder / "out.xml").getroot()
        self.assertEqual((root.tag, root.get("tests"), root.get("failures"), root.get("errors")),
                         ("testsuites", "4", "2", "1"))
        cases = root.findall("testsuite/testcase")
        self.assertEqual(cases[0].get("name"), 'a <b> & "c"')
        self.assertEqual(cases[1].find("failure").get("message"), result["results"][1]["note"])
        self.assertRegex(cases[1].find("failure").text, "^[^\0-\x08\x0e-\x1f]*$")
        self.assertIsNotNone(cases[2].find("error"))

    def test_a_near_tie_excuses(self):
        tokens = self.json(*GREEDY)["tokens"]
        wrong = [tokens[0], (tokens[1] + 1) % 288]
        name = self.suite(f"model: model.gguf\nnear_tie: 100\ncases:\n"
                          f"  - {{prompt: hello, raw: true, expect: {{tokens: {wrong}}}}}\n")
        result = self.json("smoke", name)["results"][0]
        self.assertEqual(result["verdict"], "passed")
        self.assertIn("near-tie at token 1", result["note"])

    def test_backends_are_compared(self):
        name = self.suite("model: model.gguf\ncases:\n  - {prompt: hello, raw: true, max_tokens: 6}\n")
        result = self.json("smoke", name, "--backend", "cpu", "--backend", "cpu")
        self.assertEqual((result["passed"], len(result["results"])), (2, 2))
        answer = self.call("smoke", name, "--backend", "cpu", "--backend", "absent", "--json")
        self.assertEqual(answer.code, 1)
        self.assertEqual([r["verdict"] for r in json.loads(answer.out)["results"]], ["passed", "error"])

    def test_null_disagrees_with_cpu(self):
        if not product.has_backend("null"):
            self.skipTest("this build has no null backend (TENON_BACKENDS)")
        name = self.suite("model: model.gguf\nnear_tie: 0\nbackends: [cpu, 'null']\ncases:\n"
                          "  - {prompt: hello, raw: true, max_tokens: 12}\n")
        answer = self.call("smoke", name, "--json")
        result = json.loads(answer.out)
        self.assertEqual(answer.code, 1)
        self.assertEqual(result["results"][1]["verdict"] in ("failed", "error"), True)

    def test_bad_suites(self):
        name = self.suite("cases:\n  - {prmpt: a}\n  - {prompt: b, max_tokens: x}\n")
        answer = self.call("smoke", name)
        self.assertEqual((answer.code, answer.out), (78, ""))
        self.assertIn("suite.yaml:2:6: 'prmpt' is not an option; did you mean 'prompt'?", answer.err)
        self.assertIn("suite.yaml:3:", answer.err)
        self.assertTrue(answer.err.endswith("tenon smoke: 3 mistakes in suite.yaml\n"), answer.err)
        self.refused("smoke", "absent.yaml", code=78)
        self.assertIn("names no model", self.refused(
            "smoke", self.suite("cases:\n  - {prompt: a}\n"), code=2))
        self.assertIn("cannot be written", self.refused(
            "smoke", self.suite("cases:\n  - {prompt: a, max_tokens: 1}\n"), "--model", "./model.gguf", "--junit",
            "absent/out.xml"))

    def test_the_example_is_read(self):
        example = product.ROOT / "configs" / "examples" / "smoke.yaml"
        answer = self.call("smoke", example, "--model", "./model.gguf", "--json")
        self.assertIn(answer.code, (0, 1), answer.err)
        self.assertEqual(len(json.loads(answer.out)["results"]), 4)


if __name__ == "__main__":
    product.main()
