#!/usr/bin/python3
"""`tenon bench serve` against a server written here: what it sends, counts and says."""
import http.server
import json
import signal
import threading
import time

import product

USAGE = {"prompt_tokens": 5, "completion_tokens": 3}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.seen = []  # (path, authorization, body)
        self.refuse_every = 0
        self.hang = False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def send_json(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        known = self.path == "/v1/models"
        self.send_json(200 if known else 404, {"data": [{"id": "first"}, {"id": "second"}]} if known else {})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        if self.server.hang:
            time.sleep(30)
        if self.server.refuse_every and len(self.server.seen) % self.server.refuse_every == 0:
            self.send_json(429, {"error": {"message": "slow down"}})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        is_chat = self.path.endswith("/chat/completions")
        for _ in range(3):
            time.sleep(0.002)
            self.event({"choices": [{"delta": {"content": "a"}} if is_chat else {"text": "a"}]})
        self.event({"choices": [], "usage": USAGE})
        self.chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, value):
        self.chunk(f"data: {json.dumps(value)}\n\n")

    def chunk(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())


class BenchServeTest(product.ProductTest):
    needs_backend = None

    def setUp(self):
        super().setUp()
        self.server = Server()
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(self.server.shutdown)

    def measure(self, *words, **options):
        text = self.good("bench", "serve", *words, "--json", **options)
        self.assertEqual(text.count("\n"), 1)
        return json.loads(text)

    def test_a_closed_loop(self):
        answer = self.measure(self.server.url, "--num-concurrent-requests", 3,
                              "--max-num-completed-requests", 12, "--warmup", 2, "--prompts", "ids",
                              "--vocab-size", 288, "--input-tokens", 9, "--output-tokens", 3, "--ignore-eos",
                              "--goodput", "ttft:10s,e2e:20s")
        self.assertEqual(set(answer), {
            "url", "model", "endpoint", "loop", "concurrency", "request_rate", "requests", "completed",
            "failed", "cancelled", "seconds", "in_flight_max", "input_tokens", "output_tokens",
            "requests_per_second", "output_tokens_per_second", "tokens_per_second", "ttft_ms",
            "inter_token_ms", "e2e_ms", "goodput", "errors"})
        self.assertEqual((answer["url"], answer["model"]), (self.server.url + "/v1", "first"))
        self.assertEqual((answer["loop"], answer["concurrency"], answer["request_rate"]), ("closed", 3, None))
        self.assertEqual((answer["completed"], answer["failed"], answer["errors"]), (12, 0, []))
        self.assertEqual((answer["input_tokens"], answer["output_tokens"]), (60, 36))
        self.assertEqual(answer["in_flight_max"], 3)
        self.assertEqual(answer["goodput"]["share"], 1)
        for name in ("ttft_ms", "inter_token_ms", "e2e_ms"):
            row = answer[name]
            self.assertTrue(0 < row["p50"] <= row["p95"] <= row["p99"] <= row["max"], row)
        self.assertEqual(answer["inter_token_ms"]["count"], 24)
        self.assertEqual(len(self.server.seen), 14)
        prompts = {tuple(body["prompt"]) for _, _, body in self.server.seen}
        self.assertEqual(len(prompts), 14)
        path, key, body = self.server.seen[0]
        self.assertEqual((path, key), ("/v1/completions", None))
        self.assertEqual(len(body["prompt"]), 9)
        self.assertTrue(all(36 <= token < 252 for token in body["prompt"]))
        del body["prompt"]
        self.assertEqual(body, {"model": "first", "max_tokens": 3, "temperature": 0, "stream": True,
                                "stream_options": {"include_usage": True}, "ignore_eos": True})

    def test_an_open_loop_of_chats_as_the_environment_says(self):
        answer = self.measure("--request-rate", 200, "--num-prompts", 10, "--endpoint", "chat",
                              "--model", "mine", "--shared-prefix", 20, "--input-tokens", "5,2",
                              env={"OPENAI_API_BASE": self.server.url + "/v1/", "OPENAI_API_KEY": "secret"})
        self.assertEqual((answer["loop"], answer["request_rate"], answer["completed"]), ("open", 200, 10))
        self.assertEqual(answer["goodput"], None)
        paths = {(path, key, body["model"]) for path, key, body in self.server.seen}
        self.assertEqual(paths, {("/v1/chat/completions", "Bearer secret", "mine")})
        words = [body["messages"][0]["content"].split() for _, _, body in self.server.seen]
        self.assertEqual(len({tuple(text[:20]) for text in words}), 1)
        self.assertEqual(len({tuple(text) for text in words}), 10)

    def test_text_and_errors(self):
        self.server.refuse_every = 4
        text = self.good("bench", "serve", self.server.url, "--concurrency", 1, "--num-prompts", 8)
        self.assertRegex(text, r"^http://127\.0\.0\.1:\d+/v1 \(first\), completions, 1 in flight\n"
                               r"  6 completed, 2 failed in \d+\.\d\d s, at most 1 at once\n")
        self.assertRegex(text, r"(?m)^  first token +\d+\.\d\d ")
        self.assertIn('  2 x http 429: {"error": {"message": "slow down"}}\n', text)

    def test_nothing_completed_is_a_failure(self):
        self.server.refuse_every = 1
        answer = self.call("bench", "serve", self.server.url, "--num-prompts", 3)
        self.assertEqual(answer.code, 1)
        self.assertIn("0 completed, 3 failed", answer.out)

    def test_an_interrupt_gives_what_there_is(self):
        self.server.hang = True
        program = self.start("bench", "serve", self.server.url, "--num-prompts", 50)
        end = time.monotonic() + 20
        while not self.server.seen and time.monotonic() < end:
            time.sleep(0.01)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=20)
        self.assertEqual(program.returncode, 1)
        self.assertIn(b"0 completed, 0 failed, 8 cancelled", out)
        self.assertEqual(err, b"tenon bench serve: interrupted\n")

    def test_wrong_use(self):
        for words, sentence in (
                ([], "TARGET is missing, and OPENAI_API_BASE is not set"),
                ([self.server.url, "--request-rate", 1, "--concurrency", 1],
                 "expected one of --concurrency and --request-rate"),
                ([self.server.url, "--goodput", "ttft"], "--goodput: expected parts such as"),
                ([self.server.url, "--input-tokens", "0"], "--input-tokens: expected TOKENS or"),
                ([self.server.url, "--endpoint", "images"], "--endpoint: expected completions or chat"),
                ([self.server.url, "--endpoint", "chat", "--prompts", "ids"], "--prompts ids: a chat")):
            answer = self.call("bench", "serve", *words)
            self.assertEqual((answer.code, answer.out), (2, ""))
            self.assertTrue(answer.err.startswith(f"tenon bench serve: {sentence}"), answer.err)
            self.assertTrue(answer.err.endswith("\nTry 'tenon bench serve --help'.\n"), answer.err)
        self.assertTrue(self.refused("bench", "serve", "http://127.0.0.1:1").startswith(
            "cannot connect to 127.0.0.1:1: "))
        self.assertIn("/v1/models answered 404",
                      self.refused("bench", "serve", self.server.url + "/elsewhere").replace(
                          "/elsewhere/models", "/v1/models"))


if __name__ == "__main__":
    product.main()
