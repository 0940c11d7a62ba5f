#!/usr/bin/python3
"""What `tenon run` promises."""
import json
import platform

import product


class RunTest(product.ProductTest):
    def tokens(self, *words, **options):
        return self.json("run", "model.gguf", *words, **options)["tokens"]

    def test_json_contract(self):
        answer = self.json("run", "model.gguf", "hello there", "-n", "7", "--seed", "3")
        self.assertEqual(set(answer), {"prompt_ids", "tokens", "text", "finish_reason", "timings",
                                       "memory"})
        self.assertLessEqual(len(answer["tokens"]), 7)
        self.assertIn(answer["finish_reason"], ("stop", "length"))
        self.assertTrue(all(0 <= t < 288 for t in answer["tokens"] + answer["prompt_ids"]))
        self.assertEqual(set(answer["timings"]), {
            "load_ms", "prompt_ms", "decode_ms", "prompt_tokens_per_second",
            "decode_tokens_per_second"})
        self.assertTrue(all(value >= 0 for value in answer["timings"].values()))
        memory = dict(answer["memory"])
        total = memory.pop("total")
        self.assertEqual(total, sum(memory.values()))
        self.assertGreater(memory["weights"], 100000)
        self.assertGreater(memory["kv_pool"], 0)

    def test_text_is_the_text_of_json(self):
        words = ("run", "model.gguf", "hello", "-n", "9", "--seed", "4")
        self.assertEqual(self.good(*words), self.json(*words)["text"] + "\n")

    def test_template_wraps_the_prompt_and_raw_does_not(self):
        wrapped = self.json("run", "model.gguf", "hello", "-n", "1")["prompt_ids"]
        raw = self.json("run", "model.gguf", "hello", "-n", "1", "--raw")["prompt_ids"]
        ids = self.json("tokenize", "model.gguf", "hello")["ids"]
        self.assertEqual(raw, ids)
        self.assertGreater(len(wrapped), len(raw))
        self.assertIn(",".join(map(str, raw[1:])), ",".join(map(str, wrapped)))
        system = self.json("run", "model.gguf", "hello", "-n", "1", "-s", "be")["prompt_ids"]
        self.assertGreater(len(system), len(wrapped))

    def test_control_tokens_typed_by_a_user_stay_text(self):
        wrapped = self.json("run", "model.gguf", "a<|im_end|>b", "-n", "1")["prompt_ids"]
        plain = self.json("run", "model.gguf", "ab", "-n", "1")["prompt_ids"]
        self.assertEqual(wrapped.count(2), plain.count(2))

    def test_prompt_from_standard_input(self):
        words = ("run", "model.gguf", "-n", "5", "--temp", "0")
        piped, given = self.json(*words, stdin="hello"), self.json(*words, "hello")
        self.assertEqual(piped["prompt_ids"], given["prompt_ids"])
        self.assertEqual(piped["tokens"], given["tokens"])

    def test_a_prompt_may_look_like_an_option_behind_two_dashes(self):
        answer = self.json("run", "model.gguf", "-n", "1", "--raw", "--", "--x")
        ids = self.json("tokenize", "model.gguf", "--", "--x")["ids"]
        self.assertEqual(answer["prompt_ids"], ids)

    def test_stop_ends_before_the_text(self):
        words = ("run", "model.gguf", "a", "--raw", "--temp", "1.5", "--seed", "11", "-n", "60")
        whole = self.json(*words)["text"]
        stop = next(c for c in whole[4:] if " " < c <= "~" and c not in whole[:4])
        answer = self.json(*words, "--stop", "--never--", "--stop", stop)
        self.assertEqual(answer["text"], whole[:whole.index(stop)])
        self.assertEqual(answer["finish_reason"], "stop")

    def test_a_seed_repeats_and_another_differs(self):
        words = ("hello", "-n", "12", "--temp", "1.5", "--top-k", "0", "--raw")
        first = self.tokens(*words, "--seed", "11")
        self.assertEqual(first, self.tokens(*words, "--seed", "11"))
        self.assertNotEqual(first, self.tokens(*words, "--seed", "12"))
        unseeded = [self.tokens(*words) for _ in range(3)]
        self.assertGreater(len(set(map(tuple, unseeded))), 1)

    def test_greedy_is_the_same_on_every_instruction_set_and_thread_count(self):
        words = ("hello", "-n", "24", "--temp", "0", "--raw", "--compute", "precise")
        expected = self.tokens(*words)
        self.assertEqual(len(expected), 24)
        arm = platform.machine() == "aarch64"
        for isa in ("scalar", *(("neon", "dotprod", "i8mm") if arm else ("avx2", "avx512"))):
            answer = self.call("run", "model.gguf", *words, "--json", "--set",
                               f"cpu.force_isa={isa}")
            if answer.code != 0 and "processor" in answer.err:
                print(f"skipped: {answer.err.strip()}")
                continue
            self.assertEqual(answer.code, 0, answer.err)
            self.assertEqual(json.loads(answer.out)["tokens"], expected, isa)
        for threads in ("1", "2", "3"):
            self.assertEqual(self.tokens(*words, "-t", threads), expected, threads)

    def test_flags_beat_environment_beats_file(self):
        (self.folder / "c.yaml").write_text("context_length: 64\ncompute: precise\n")
        def pool(*words, **env):
            return self.json("run", "model.gguf", "a", "-n", "1", *words,
                             env=env)["memory"]["kv_pool"]
        in_file = pool("--config", "c.yaml")
        self.assertEqual(in_file, 2 * pool("--config", "c.yaml", TENON_CONTEXT_LENGTH="32"))
        self.assertEqual(in_file, pool("--config", "c.yaml", "-c", "64", TENON_CONTEXT_LENGTH="32"))
        self.assertEqual(in_file, 2 * pool("--config", "c.yaml", "--compute", "fast"))

    def test_a_prompt_longer_than_the_context(self):
        sentence = self.refused("run", "model.gguf", "hello " * 50, "-c", "16")
        self.assertRegex(sentence,
                         r"^the prompt has \d+ tokens; a context of 16 leaves no room for an answer")

    def test_an_empty_prompt(self):
        self.assertEqual(self.call("run", "model.gguf", "", "-n", "1").code, 0)

    def test_two_runs_at_once(self):
        words = ("run", "model.gguf", "hello", "-n", "200", "--temp", "0", "--raw")
        alone = self.good(*words)
        both = [self.start(*words) for _ in range(2)]
        for process in both:
            out, err = process.communicate(timeout=60)
            self.assertEqual((process.returncode, out.decode(), err), (0, alone, b""))

    def test_the_null_backend_answers_nothing(self):
        if not product.has_backend("null"):
            self.skipTest("this build has no null backend (TENON_BACKENDS)")
        answer = self.json("run", "model.gguf", "a", "-n", "4", "--backend", "null")
        self.assertEqual((answer["tokens"], answer["finish_reason"]), ([], "stop"))


if __name__ == "__main__":
    product.main()
