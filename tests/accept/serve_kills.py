#!/usr/bin/python3
"""The engine process of `tenon serve` is killed under load: serve_kills.py --tenon PROGRAM --model FILE.

SIGKILL and SIGSEGV at seeded moments. The ledger is kept here: every request has exactly one outcome,
an answer that is the one of a run without kills, an error event after an exact prefix of it and no
[DONE], or an HTTP error. The front keeps its process and its connections, and serves again within
3 s. The last line is the figure; exit code 1 when one of this is not so.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from server import Server  # noqa: E402

SERVING_AGAIN_S = 3.0
PATH = "/v1/completions"
SUBJECTS = ("kings", "rivers", "clocks", "bridges", "winters", "engines", "letters", "gardens")


def prompts(rng):
    return [(f"Once upon a time, {rng.randint(2, 99)} {subject}", rng.choice((6, 24, 48, 96)))
            for subject in SUBJECTS for _ in range(3)]


def body_of(prompt, tokens, stream):
    return json.dumps({"prompt": prompt, "max_tokens": tokens, "temperature": 0, "stream": stream,
                       "ignore_eos": True})


def outcome(reply, stream, expected):
    """(outcome, None), or (None, what is wrong with it)."""
    status, text = reply
    if status != 200:
        error = json.loads(text)["error"]
        return (f"HTTP {status} {error['code']}", None) if status >= 500 else (None, f"{status}: {text}")
    if not stream:
        got = json.loads(text)["choices"][0]["text"]
        return ("complete", None) if got == expected else (None, f"{got!r}, without kills {expected!r}")
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    has_end = bool(lines) and lines[-1] == "[DONE]"
    events = [json.loads(line) for line in (lines[:-1] if has_end else lines)]
    errors = [i for i, event in enumerate(events) if "error" in event]
    got = "".join(c["text"] for event in events for c in event.get("choices", []))
    if has_end:
        good = not errors and got == expected
        return ("complete", None) if good else (None, f"[DONE] after {got!r}, expected {expected!r}")
    if errors != [len(events) - 1] or not expected.startswith(got):
        return None, f"cut after {got!r}, errors at {errors} of {len(events)}, expected {expected!r}"
    return f"error event {events[-1]['error']['code']}", None


class Kills:
    def __init__(self, server, options):
        self.server, self.options = server, options
        self.rng = random.Random(options.seed)
        self.work = prompts(self.rng)
        self.oracle = {}
        self.outcomes = collections.Counter()
        self.wrong = []
        self.sent = 0
        self.reconnects = 0
        self.lock = threading.Lock()
        self.is_over = False

    def ask(self, connection, prompt, tokens, stream):
        connection.request("POST", PATH, body_of(prompt, tokens, stream),
                           {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode()

    def ask_alone(self):
        connection = self.server.connect()
        for prompt, tokens in self.work:
            status, text = self.ask(connection, prompt, tokens, False)
            if status != 200:
                raise RuntimeError(f"the run without kills got {status}: {text}")
            self.oracle[prompt, tokens] = json.loads(text)["choices"][0]["text"]
        connection.close()

    def client(self, seed):
        rng = random.Random(seed)
        connection = self.server.connect(120)
        connection.connect()
        kept = connection.sock
        while not self.is_over:
            prompt, tokens = rng.choice(self.work)
            stream = rng.random() < 0.5
            with self.lock:
                self.sent += 1
            try:
                reply = self.ask(connection, prompt, tokens, stream)
                kind, fault = outcome(reply, stream, self.oracle[prompt, tokens])
            except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
                kind, fault = None, repr(error)
                connection.close()
            with self.lock:
                if connection.sock is not kept:
                    self.reconnects += 1
                    connection.close()
                    connection.connect()
                    kept = connection.sock
                if fault:
                    self.wrong.append(f"{prompt!r} stream={stream}: {fault}")
                else:
                    self.outcomes[kind] += 1
            if kind != "complete":
                time.sleep(0.02)
        connection.close()

    def serving_again(self, dead):
        """Seconds until another engine has answered."""
        begin = time.monotonic()
        while time.monotonic() - begin < 30:
            reply = self.server.post(PATH, {"prompt": "a", "max_tokens": 1})
            with self.lock:
                self.sent += 1
            if reply.status == 200 and self.server.engine_pid() not in (0, dead):
                return time.monotonic() - begin
            time.sleep(0.01)
        return float("inf")

    def run(self):
        self.ask_alone()
        idle = [self.server.connect() for _ in range(16)]
        for connection in idle:
            connection.connect()
        sockets = [connection.sock for connection in idle]
        clients = [threading.Thread(target=self.client, args=(self.options.seed * 1000 + i,))
                   for i in range(self.options.clients)]
        for client in clients:
            client.start()
        took = []
        for number in range(self.options.kills):
            time.sleep(self.rng.random() * 0.5)
            engine = self.server.engine_pid()
            kind = self.rng.choice((signal.SIGKILL, signal.SIGSEGV))
            os.kill(engine, kind)
            took.append(self.serving_again(engine))
            for i, connection in enumerate(idle):
                reply = self.server.ask("GET", "/livez", connection=connection)
                if reply.status != 200 or connection.sock is not sockets[i]:
                    self.reconnects += 1
            if (number + 1) % 10 == 0:
                print(f"  {number + 1} kills, last {took[-1]:.2f} s, {dict(self.outcomes)}, "
                      f"{len(self.wrong)} wrong", file=sys.stderr, flush=True)
        self.is_over = True
        for client in clients:
            client.join()
        for connection in idle:
            connection.close()
        return took


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--tenon", required=True, help="the program")
    parser.add_argument("--model", required=True, help="a .gguf file")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    quiet = ["limits.ip_requests_per_minute=100000000", "limits.ip_tokens_per_minute=1000000000"]
    with tempfile.TemporaryDirectory(prefix="tenon-kills-") as folder:
        server = Server(pathlib.Path(options.tenon).absolute(), pathlib.Path(options.model).absolute(),
                        "--deterministic", *[word for row in quiet for word in ("--set", row)],
                        folder=folder)
        try:
            kills = Kills(server, options)
            took = kills.run()
            is_same_front = server.process.poll() is None
            restarts = server.stats()["restarts"]
            counted = sum(value for name, value in server.figures().items()
                          if name.startswith("tenon_http_requests_total") and f'"{PATH}"' in name)
        finally:
            server.stop()
    answered = sum(kills.outcomes.values())
    for line in kills.wrong[:10]:
        print(f"  wrong: {line}", file=sys.stderr)
    alone = len(kills.work)
    uncounted = kills.sent + alone - counted
    met = (not kills.wrong and is_same_front and kills.reconnects == 0 and uncounted == 0 and
           max(took) <= SERVING_AGAIN_S and restarts == len(took))
    parts = ", ".join(f"{count} {kind}" for kind, count in kills.outcomes.most_common())
    print(f"{len(took)} kills, {answered} requests: {parts}, {len(kills.wrong)} wrong; "
          f"{kills.reconnects} connections lost, {uncounted:.0f} requests the front did not count, "
          f"{restarts} restarts; serving again after {sorted(took)[len(took) // 2]:.2f} s median, "
          f"{max(took):.2f} s worst (limit {SERVING_AGAIN_S:.0f} s)")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
