#!/usr/bin/python3
"""`tenon serve`: what each endpoint answers, with two processes and with one."""
import base64
import json
import pathlib
import shutil
import socket
import struct
import tempfile
import unittest

import product
from server import Server

HELLO = [{"role": "user", "content": "Hello"}]
# Every answer must depend on its request alone.
SAMPLED = {"temperature": 1, "seed": 7, "max_tokens": 12}
GREEDY = {"temperature": 0, "max_tokens": 12}


class Api(unittest.TestCase):
    """One server for all tests; `words` are what the process mode adds."""
    words = ()

    @classmethod
    def setUpClass(cls):
        if not product.has_backend("cpu"):
            raise unittest.SkipTest("this build has no cpu backend (TENON_BACKENDS)")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.server = Server(product.BINARY, product.TINY / "llama3-untied-f32.gguf", "--deterministic",
                            "--alias", "tiny", *cls.words, folder=cls.folder)
        cls.addClassCleanup(cls.server.stop)

    def good(self, path, body):
        reply = self.server.post(path, body)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def refused(self, path, body, status, param):
        reply = self.server.post(path, body)
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.error["param"], param, reply.body)
        self.assertTrue(reply.error["message"].endswith("."), reply.body)
        return reply.error

    def chat(self, **more):
        return self.good("/v1/chat/completions", {"messages": HELLO, **SAMPLED, **more})

    def test_models(self):
        models = self.server.get("/v1/models").json
        self.assertEqual([model["id"] for model in models["data"]], ["tiny"])
        self.assertEqual(self.server.get("/v1/models/tiny").json["object"], "model")
        self.assertEqual(self.server.get("/v1/models/other").status, 404)

    def test_chat(self):
        answer = self.chat(model="tiny")
        self.assertEqual(answer["object"], "chat.completion")
        choice = answer["choices"][0]
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertEqual(choice["finish_reason"], "length")
        usage = answer["usage"]
        self.assertEqual(usage["completion_tokens"], 12)
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 12)

    def test_a_seed_is_reproducible_and_another_is_another(self):
        texts = [self.chat(seed=seed)["choices"][0]["message"]["content"] for seed in (7, 7, 8)]
        self.assertEqual(texts[0], texts[1])
        self.assertNotEqual(texts[0], texts[2])

    def test_a_stream_is_the_answer_in_pieces(self):
        for path, body, piece in (
                ("/v1/chat/completions", {"messages": HELLO},
                 lambda choice: choice.get("delta", choice.get("message")).get("content") or ""),
                ("/v1/completions", {"prompt": "Hello"}, lambda choice: choice["text"])):
            body = {**body, **SAMPLED, "n": 2}
            whole = self.good(path, body)
            reply = self.server.post(path, {**body, "stream": True,
                                            "stream_options": {"include_usage": True}})
            self.assertEqual(reply.headers["Content-Type"].split(";")[0], "text/event-stream")
            events = reply.events()
            self.assertIsNone(events.pop(), "the stream ends in [DONE]")
            last = events.pop()
            self.assertEqual(last["choices"], [])
            self.assertEqual({**last["usage"], "prompt_tokens_details": None},
                             {**whole["usage"], "prompt_tokens_details": None})
            texts, reasons = ["", ""], [None, None]
            for event in events:
                self.assertIsNone(event["usage"])
                for choice in event["choices"]:
                    self.assertIsNone(reasons[choice["index"]], "nothing follows a finish_reason")
                    texts[choice["index"]] += piece(choice)
                    reasons[choice["index"]] = choice["finish_reason"]
            self.assertEqual(texts, [piece(choice) for choice in whole["choices"]])
            self.assertEqual(reasons, [choice["finish_reason"] for choice in whole["choices"]])

    def test_logprobs(self):
        content = self.chat(logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
        self.assertEqual(len(content), 12)
        for token in content:
            top = [entry["logprob"] for entry in token["top_logprobs"]]
            self.assertEqual(len(top), 3)
            self.assertEqual(top, sorted(top, reverse=True))
            self.assertLessEqual(token["logprob"], top[0])
        answer = self.good("/v1/completions", {"prompt": "Hello", "logprobs": 2, **GREEDY})
        logprobs = answer["choices"][0]["logprobs"]
        self.assertEqual([len(logprobs[name]) for name in ("tokens", "token_logprobs", "text_offset")],
                         [12, 12, 12])

    def test_echo_gives_the_prompt_back(self):
        body = {"prompt": "Hello", "max_tokens": 3, "temperature": 0}
        plain = self.good("/v1/completions", body)["choices"][0]["text"]
        echoed = self.good("/v1/completions", {**body, "echo": True})["choices"][0]["text"]
        self.assertEqual(echoed, "Hello" + plain)

    def test_prompts_are_texts_or_ids(self):
        ids = self.good("/tokenize", {"prompt": "Hello"})["tokens"]
        texts = [choice["text"] for prompt in ("Hello", ids, ["Hello", "Hello"], [ids])
                 for choice in self.good("/v1/completions", {"prompt": prompt, **GREEDY})["choices"]]
        self.assertEqual(len(texts), 5)
        self.assertEqual(set(texts), {texts[0]})

    def test_stop_cuts_before_the_string(self):
        free = self.good("/v1/completions", {"prompt": "Hello", **SAMPLED, "max_tokens": 60})
        text = free["choices"][0]["text"]
        # A piece that is valid text, from the middle.
        at = next(i for i in range(4, len(text)) if text[i].isascii() and text[i] not in text[:i])
        for stream in (False, True):
            body = {"prompt": "Hello", **SAMPLED, "max_tokens": 60, "stop": [text[at]], "stream": stream}
            reply = self.server.post("/v1/completions", body)
            choices = [c for event in reply.events() if event for c in event["choices"]] \
                if stream else reply.json["choices"]
            self.assertEqual("".join(choice["text"] for choice in choices), text[:at])
            self.assertEqual(choices[-1]["finish_reason"], "stop")

    def test_tokens_and_templates(self):
        ids = self.good("/tokenize", {"prompt": "Hello you", "add_special_tokens": False})
        self.assertEqual(ids["count"], len(ids["tokens"]))
        self.assertEqual(self.good("/detokenize", {"tokens": ids["tokens"]})["prompt"], "Hello you")
        prompt = self.good("/apply-template", {"messages": HELLO})["prompt"]
        self.assertIn("Hello", prompt)
        counted = self.good("/tokenize", {"messages": HELLO})["count"]
        self.assertEqual(self.chat()["usage"]["prompt_tokens"], counted)

    def test_embeddings(self):
        answer = self.good("/v1/embeddings", {"input": ["Hello", "you", "Hello"]})
        vectors = [entry["embedding"] for entry in answer["data"]]
        self.assertEqual([entry["index"] for entry in answer["data"]], [0, 1, 2])
        self.assertEqual(vectors[0], vectors[2])
        self.assertNotEqual(vectors[0], vectors[1])
        for vector in vectors:
            self.assertAlmostEqual(sum(x * x for x in vector), 1, places=4)
        packed = self.good("/v1/embeddings", {"input": "Hello", "encoding_format": "base64"})
        raw = base64.b64decode(packed["data"][0]["embedding"])
        self.assertEqual(len(raw), 4 * len(vectors[0]))
        for a, b in zip(struct.unpack(f"<{len(vectors[0])}f", raw), vectors[0]):
            self.assertAlmostEqual(a, b, places=6)

    def test_responses(self):
        body = {"input": "Hello", "max_output_tokens": 6, "temperature": 0}
        whole = self.good("/v1/responses", body)
        self.assertEqual((whole["object"], whole["status"]), ("response", "incomplete"))
        events = self.server.post("/v1/responses", {**body, "stream": True}).events()
        kinds = [event["type"] for event in events if event]
        self.assertEqual((kinds[0], kinds[-1]), ("response.created", "response.incomplete"))
        text = "".join(event["delta"] for event in events
                       if event and event["type"] == "response.output_text.delta")
        self.assertEqual(text, whole["output"][0]["content"][0]["text"])
        numbers = [event["sequence_number"] for event in events if event]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(kinds))))

    def test_messages(self):
        body = {"model": "tiny", "messages": HELLO, "max_tokens": 6, "temperature": 0}
        whole = self.good("/v1/messages", body)
        self.assertEqual((whole["type"], whole["stop_reason"]), ("message", "max_tokens"))
        events = self.server.post("/v1/messages", {**body, "stream": True}).events()
        kinds = [event["type"] for event in events]
        self.assertEqual((kinds[0], kinds[-1]), ("message_start", "message_stop"))
        text = "".join(event["delta"]["text"] for event in events
                       if event["type"] == "content_block_delta")
        self.assertEqual(text, whole["content"][0]["text"])
        count = self.good("/v1/messages/count_tokens", {"model": "tiny", "messages": HELLO})
        usage = whole["usage"]
        self.assertEqual(count["input_tokens"],
                         usage["input_tokens"] + usage["cache_read_input_tokens"])
        reply = self.server.post("/v1/messages", {"messages": HELLO})
        self.assertEqual((reply.status, reply.json["type"]), (400, "error"))
        self.assertEqual(reply.error["type"], "invalid_request_error")

    def test_sagemaker(self):
        self.assertEqual(self.server.get("/ping").status, 200)
        self.assertEqual(self.good("/invocations", {"prompt": "Hello", **GREEDY})["object"],
                         "text_completion")
        self.assertEqual(self.good("/invocations", {"messages": HELLO, **GREEDY})["object"],
                         "chat.completion")

    def test_errors_name_the_field(self):
        chat = "/v1/chat/completions"
        for more, param in (({"temperature": 3}, "temperature"), ({"top_p": 0}, "top_p"),
                            ({"n": 0}, "n"), ({"max_tokens": 0}, "max_tokens"),
                            ({"max_tokens": "many"}, "max_tokens"), ({"stop": 5}, "stop"),
                            ({"logit_bias": {"999999": 1}}, "logit_bias"),
                            ({"max_tokens": 100000}, "max_tokens"),
                            ({"tools": [{"type": "function"}]}, "tools"),
                            ({"response_format": {"type": "json_object"}}, "response_format"),
                            ({"regex": "a*"}, "regex"), ({"top_logprobs": 2}, "top_logprobs")):
            self.refused(chat, {"messages": HELLO, **more}, 400, param)
        self.refused(chat, {}, 400, "messages")
        self.refused(chat, {"messages": HELLO, "model": "other"}, 404, "model")
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
        self.assertEqual(self.server.post(chat, {"messages": image}).status, 400)
        error = self.refused("/v1/completions", {"prompt": "a" * 4000}, 400, "prompt")
        self.assertEqual(error["code"], "context_length_exceeded")

    def test_bodies_that_are_none(self):
        for body in (b"", b"{", b"[]", b"null", b'{"messages":[],"messages":[]}', b"\xff\xfe",
                     b"[" * 3000):
            reply = self.server.post("/v1/chat/completions", body)
            self.assertEqual(reply.status, 400, (body[:20], reply.body))
            self.assertEqual(reply.error["type"], "invalid_request_error")
        self.assertEqual(self.server.get("/nowhere").status, 404)
        reply = self.server.get("/v1/completions")
        self.assertEqual((reply.status, reply.headers["Allow"]), (405, "POST"))

    def test_request_ids_come_back(self):
        reply = self.server.get("/livez", headers={"X-Request-Id": "mine-1"})
        self.assertEqual(reply.headers["X-Request-Id"], "mine-1")
        self.assertNotEqual(self.server.get("/livez").headers["X-Request-Id"], "mine-1")

    def test_a_client_that_goes_frees_its_blocks(self):
        total = self.server.stats()
        body = json.dumps({"prompt": "Hello", "max_tokens": 400, "n": 8, "stream": True,
                           "ignore_eos": True, "logprobs": 20}).encode()
        for reset in (False, True):
            link = socket.create_connection((self.server.host, int(self.server.port)), 10)
            link.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                         b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertIn(b"200", link.recv(4096))
            if reset:
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            link.close()
            self.server.wait_for(lambda: self.idle(total), "an idle engine", 10)

    def idle(self, total):
        stats = self.server.stats()
        names = ("blocks_free", "blocks_cached", "blocks_used")
        return (stats["running"] == stats["waiting"] == stats["blocks_used"] == 0 and
                sum(stats[n] for n in names) == sum(total[n] for n in names))


class ApiInProcess(Api):
    words = ("--in-process",)


class Modes(unittest.TestCase):
    """Two processes are one to a client: the same tokens, the same errors."""

    def test_alike(self):
        if not product.has_backend("cpu"):
            self.skipTest("this build has no cpu backend (TENON_BACKENDS)")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-e2e-"))
        self.addCleanup(shutil.rmtree, folder)
        bodies = [{"prompt": "Hello", **SAMPLED, "logprobs": 3}, {"prompt": "Hello", **GREEDY, "n": 2},
                  {"prompt": "Hello", "max_tokens": 90000}, {"prompt": []},
                  {"prompt": "you", "stop": "a", **SAMPLED, "min_tokens": 5}]
        answers = []
        for words in ((), ("--in-process",)):
            server = Server(product.BINARY, product.TINY / "mistral-f32.gguf", "--deterministic",
                            *words, folder=folder)
            self.addCleanup(server.stop)
            replies = [server.post("/v1/completions", body) for body in bodies]
            answers.append([(reply.status, reply.json.get("choices"), reply.json.get("error"))
                            for reply in replies])
        self.assertEqual(answers[0], answers[1])


if __name__ == "__main__":
    product.main()
