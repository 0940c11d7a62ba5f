#!/usr/bin/env python3
"""The official `openai` and `anthropic` clients against `tenon serve`.

clients_suite.py --tenon PROGRAM --model FILE [--in-process]    starts the server itself
clients_suite.py --base-url URL [--key KEY [--limited-key KEY]] asks one that runs

The limited key is one with requests_burst=1, for the exceptions of refused rates. The last line of
stdout is the figure; exit code 1 when a test failed.
"""
import argparse
import asyncio
import importlib.metadata
import json
import pathlib
import sys
import tempfile
import time
import unittest
import urllib.request

import anthropic
import openai

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from server import Server  # noqa: E402

KEY, LIMITED = "sk-suite-0123456789", "sk-limited-0123456789"
# Its greedy answer is short, and the same whatever the rounding.
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WAIT_S = 10


class Target:
    """Who is asked; filled in by main."""
    url = key = limited_key = model = None

    @classmethod
    def openai(cls, key=None, **options):
        return openai.OpenAI(base_url=cls.url + "/v1", api_key=key or cls.key or "EMPTY",
                             max_retries=0, timeout=60, **options)

    @classmethod
    def anthropic(cls, key=None):
        return anthropic.Anthropic(base_url=cls.url, api_key=key or cls.key or "EMPTY",
                                   max_retries=0, timeout=60)

    @classmethod
    def stats(cls):
        headers = {"Authorization": f"Bearer {cls.key}"} if cls.key else {}
        request = urllib.request.Request(cls.url + "/server_info", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["stats"]


class SuiteTest(unittest.TestCase):
    def wait_for(self, is_met, what):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            stats = Target.stats()
            if is_met(stats):
                return
            time.sleep(0.01)
        self.fail(f"not {what} after {WAIT_S} s: {stats}")

    def wait_idle(self):
        self.wait_for(lambda stats: stats["running"] == stats["waiting"] == stats["blocks_used"] == 0,
                      "idle")

    # The figures of another process come a moment later.
    def wait_running(self):
        self.wait_for(lambda stats: stats["running"] > 0, "running")


class OpenAi(SuiteTest):
    def setUp(self):
        self.client = Target.openai()
        self.addCleanup(self.client.close)

    def chat(self, **more):
        options = {"model": Target.model, "messages": QUESTION, "max_tokens": 24, "temperature": 0, **more}
        return self.client.chat.completions.create(**options)

    def test_models(self):
        self.assertIn(Target.model, [model.id for model in self.client.models.list()])
        # A name with a slash is no path; such a model is found in the list alone.
        if "/" not in Target.model:
            self.assertEqual(self.client.models.retrieve(Target.model).id, Target.model)

    def test_chat(self):
        answer = self.chat()
        choice = answer.choices[0]
        self.assertEqual(choice.message.role, "assistant")
        self.assertTrue(choice.message.content)
        self.assertIn(choice.finish_reason, ("stop", "length"))
        usage = answer.usage
        self.assertEqual(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens)
        self.assertEqual(answer.model, Target.model)

    def test_chat_of_many_turns_and_parts(self):
        messages = [{"role": "system", "content": "You are brief."}, *QUESTION,
                    {"role": "assistant", "content": "It is Paris."},
                    {"role": "user", "content": [{"type": "text", "text": "And "},
                                                 {"type": "text", "text": "goodbye?"}]}]
        self.assertTrue(self.chat(messages=messages).choices[0].message.content)

    def test_stream(self):
        whole = self.chat()
        text, usage, reason = "", None, None
        for chunk in self.chat(stream=True, stream_options={"include_usage": True}):
            if chunk.usage:
                usage = chunk.usage
                self.assertEqual(chunk.choices, [])
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(reason, whole.choices[0].finish_reason)
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
        self.assertEqual(usage.prompt_tokens, whole.usage.prompt_tokens)

    def test_stream_without_usage_has_none(self):
        self.assertFalse([chunk for chunk in self.chat(stream=True) if chunk.usage])

    def test_stream_helper(self):
        # It does not pass a temperature on its own; the final text is built from the events.
        with self.client.chat.completions.stream(model=Target.model, messages=QUESTION, temperature=0,
                                                 max_tokens=None, seed=1) as stream:
            for _ in stream:
                pass
            final = stream.get_final_completion()
        self.assertTrue(final.choices[0].message.content)

    def test_logprobs(self):
        answer = self.chat(logprobs=True, top_logprobs=4)
        tokens = answer.choices[0].logprobs.content
        self.assertEqual(len(tokens), answer.usage.completion_tokens)
        text = b"".join(bytes(token.bytes) for token in tokens).decode()
        self.assertTrue(text.startswith(answer.choices[0].message.content))
        for token in tokens:
            self.assertEqual(len(token.top_logprobs), 4)
            self.assertEqual(token.top_logprobs[0].token, token.token, "greedy takes the first")

    def test_n(self):
        answer = self.chat(n=2, temperature=1, seed=5)
        self.assertEqual([choice.index for choice in answer.choices], [0, 1])
        texts = [choice.message.content for choice in answer.choices]
        self.assertNotEqual(texts[0], texts[1])
        pieces = ["", ""]
        for chunk in self.chat(n=2, temperature=1, seed=5, stream=True):
            for choice in chunk.choices:
                pieces[choice.index] += choice.delta.content or ""
        self.assertEqual(pieces, texts)

    def test_stop(self):
        free = self.chat().choices[0].message.content
        word = free.split()[2]
        answer = self.chat(stop=[word]).choices[0]
        self.assertEqual(answer.finish_reason, "stop")
        self.assertEqual(answer.message.content, free[:free.index(word)])

    def test_seed(self):
        texts = [self.chat(temperature=1, seed=seed).choices[0].message.content for seed in (1, 1, 2)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_completions(self):
        options = {"model": Target.model, "prompt": "The capital of France is", "max_tokens": 8,
                   "temperature": 0}
        whole = self.client.completions.create(**options)
        pieces = self.client.completions.create(**options, stream=True)
        self.assertEqual("".join(c.text for chunk in pieces for c in chunk.choices),
                         whole.choices[0].text)
        echoed = self.client.completions.create(**options, echo=True)
        self.assertEqual(echoed.choices[0].text, options["prompt"] + whole.choices[0].text)
        both = self.client.completions.create(**{**options, "prompt": ["one", "two"]})
        self.assertEqual([choice.index for choice in both.choices], [0, 1])

    def test_embeddings(self):
        # The client asks for base64 by itself; "float" is the other form of the same numbers.
        packed = self.client.embeddings.create(model=Target.model, input=["cat", "dog"])
        plain = self.client.embeddings.create(model=Target.model, input=["cat", "dog"],
                                              encoding_format="float")
        for a, b in zip(packed.data, plain.data):
            self.assertAlmostEqual(sum(x * x for x in a.embedding), 1, places=3)
            for x, y in zip(a.embedding, b.embedding):
                self.assertAlmostEqual(x, y, places=5)
        self.assertGreater(plain.usage.prompt_tokens, 0)

    def test_responses(self):
        # Short enough to end by itself.
        options = {"model": Target.model, "input": "Reply with the word yes.", "temperature": 0}
        whole = self.client.responses.create(**options)
        self.assertEqual(whole.status, "completed")
        self.assertTrue(whole.output_text)
        text, last = "", None
        for event in self.client.responses.create(**options, stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            last = event
        self.assertEqual(last.type, "response.completed")
        self.assertEqual(text, whole.output_text)
        self.assertEqual(last.response.usage.output_tokens, whole.usage.output_tokens)
        with self.client.responses.stream(**options) as stream:
            for _ in stream:
                pass
            self.assertEqual(stream.get_final_response().output_text, text)
        cut = self.client.responses.create(**options, instructions="Be brief.", max_output_tokens=1)
        self.assertEqual((cut.status, cut.incomplete_details.reason), ("incomplete", "max_output_tokens"))

    def test_errors_are_their_exceptions(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat(model="no-such-model")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(temperature=9)
        self.assertEqual(caught.exception.param, "temperature")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(max_tokens=10 ** 7)
        self.assertEqual(caught.exception.code, "context_length_exceeded")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.chat(tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
        self.assertEqual(caught.exception.param, "tools")
        with self.assertRaises(openai.BadRequestError):
            self.chat(stream=True, stop=["a", ""])

    def test_keys(self):
        if not Target.key:
            self.skipTest("the server has no keys")
        with self.assertRaises(openai.AuthenticationError):
            Target.openai(key="sk-wrong-0123456789").models.list()

    def test_rates(self):
        if not Target.limited_key:
            self.skipTest("no --limited-key")
        client = Target.openai(key=Target.limited_key)
        with self.assertRaises(openai.RateLimitError) as caught:
            for _ in range(8):
                client.completions.create(model=Target.model, prompt="a", max_tokens=1)
        self.assertGreaterEqual(int(caught.exception.response.headers["retry-after"]), 1)

    def test_a_closed_stream_frees_its_slot(self):
        self.wait_idle()
        stream = self.client.completions.create(model=Target.model, prompt="Once upon a time",
                                                max_tokens=1500, stream=True,
                                                extra_body={"ignore_eos": True})
        next(iter(stream))
        self.wait_running()
        stream.close()
        self.wait_idle()


class AsyncOpenAi(unittest.IsolatedAsyncioTestCase):
    async def test_many_at_once(self):
        async with openai.AsyncOpenAI(base_url=Target.url + "/v1", api_key=Target.key or "EMPTY",
                                      max_retries=0) as client:
            async def ask(i):
                text = ""
                async for chunk in await client.chat.completions.create(
                        model=Target.model, stream=True, max_tokens=8, seed=i,
                        messages=[{"role": "user", "content": f"Count to {i}."}]):
                    text += chunk.choices[0].delta.content or ""
                return text
            self.assertEqual(len(await asyncio.gather(*(ask(i) for i in range(12)))), 12)


class Anthropic(SuiteTest):
    def setUp(self):
        self.client = Target.anthropic()
        self.addCleanup(self.client.close)
        # This client has no parameter for a temperature.
        self.options = {"model": Target.model, "messages": QUESTION, "max_tokens": 24,
                        "extra_body": {"temperature": 0}}

    def test_messages(self):
        message = self.client.messages.create(**self.options, system="You are brief.")
        self.assertEqual((message.type, message.role), ("message", "assistant"))
        self.assertTrue(message.content[0].text)
        self.assertIn(message.stop_reason, ("end_turn", "max_tokens"))

    def test_stream(self):
        whole = self.client.messages.create(**self.options)
        with self.client.messages.stream(**self.options) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, whole.content[0].text)
        self.assertEqual(final.stop_reason, whole.stop_reason)
        self.assertEqual(final.usage.output_tokens, whole.usage.output_tokens)
        kinds = [event.type for event in self.client.messages.create(**self.options, stream=True)]
        self.assertEqual((kinds[0], kinds[-1]), ("message_start", "message_stop"))

    def test_stop_sequences(self):
        free = self.client.messages.create(**self.options).content[0].text
        word = free.split()[2]
        cut = self.client.messages.create(**self.options, stop_sequences=[word])
        self.assertEqual((cut.stop_reason, cut.stop_sequence), ("stop_sequence", word))
        self.assertEqual(cut.content[0].text, free[:free.index(word)])

    def test_count_tokens(self):
        count = self.client.messages.count_tokens(model=Target.model, messages=QUESTION).input_tokens
        usage = self.client.messages.create(**self.options).usage
        self.assertEqual(count, usage.input_tokens + usage.cache_read_input_tokens)

    def test_errors_are_their_exceptions(self):
        with self.assertRaises(anthropic.NotFoundError):
            self.client.messages.create(**{**self.options, "model": "no-such-model"})
        with self.assertRaises(anthropic.BadRequestError) as caught:
            self.client.messages.create(**{**self.options, "max_tokens": 0})
        self.assertEqual(caught.exception.body["error"]["type"], "invalid_request_error")
        with self.assertRaises(anthropic.BadRequestError):
            self.client.messages.create(**self.options, tools=[{"name": "f", "input_schema": {}}])

    def test_keys(self):
        if not Target.key:
            self.skipTest("the server has no keys")
        with self.assertRaises(anthropic.AuthenticationError):
            Target.anthropic(key="sk-wrong-0123456789").messages.create(**self.options)

    def test_rates(self):
        if not Target.limited_key:
            self.skipTest("no --limited-key")
        client = Target.anthropic(key=Target.limited_key)
        with self.assertRaises(anthropic.RateLimitError):
            for _ in range(8):
                client.messages.create(**{**self.options, "max_tokens": 1})

    def test_a_closed_stream_frees_its_slot(self):
        self.wait_idle()
        endless = {**self.options, "max_tokens": 1500, "extra_body": {"ignore_eos": True}}
        stream = self.client.messages.create(**endless, stream=True)
        next(event for event in stream if event.type == "content_block_delta")
        self.wait_running()
        stream.close()
        self.wait_idle()


def run():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    begin = time.monotonic()
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    failed = len(result.failures) + len(result.errors)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("openai", "anthropic"))
    skipped = f", {len(result.skipped)} skipped" if result.skipped else ""
    names = "; ".join(test.id().split(".", 1)[1] for test, _ in result.failures + result.errors)
    print(f"{result.testsRun - failed - len(result.skipped)} of {result.testsRun} tests passed with "
          f"{versions}{skipped} in {time.monotonic() - begin:.0f} s" + (f"; failed: {names}" if names else ""))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--base-url")
    parser.add_argument("--key")
    parser.add_argument("--limited-key")
    parser.add_argument("--tenon")
    parser.add_argument("--model")
    parser.add_argument("--in-process", action="store_true")
    options = parser.parse_args()
    if options.base_url:
        Target.url, Target.key = options.base_url.rstrip("/").removesuffix("/v1"), options.key
        Target.limited_key = options.limited_key
        Target.model = Target.openai().models.list().data[0].id
        return run()
    if not options.tenon or not options.model:
        parser.error("--base-url, or --tenon with --model")
    with tempfile.TemporaryDirectory(prefix="tenon-clients-") as folder:
        keys = pathlib.Path(folder) / "keys"
        keys.touch(mode=0o600)
        keys.write_text(f"suite:{KEY} requests_per_second=1000 requests_burst=1000 "
                        f"tokens_per_minute=100000000\nlimited:{LIMITED} requests_per_second=1 "
                        "requests_burst=2\n", encoding="ascii")
        server = Server(pathlib.Path(options.tenon).absolute(), pathlib.Path(options.model).absolute(),
                        "--deterministic", "--api-key-file", keys, "--alias", "model",
                        *(["--in-process"] if options.in_process else []), folder=folder)
        try:
            Target.url, Target.key, Target.limited_key, Target.model = server.url, KEY, LIMITED, "model"
            return run()
        finally:
            server.stop()


if __name__ == "__main__":
    sys.exit(main())
