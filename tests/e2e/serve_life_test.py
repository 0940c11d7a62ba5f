#!/usr/bin/python3
"""`tenon serve`: its start, its end, and the ends of its engine."""
import json
import os
import signal
import socket
import threading
import time

import product
from server import Server

# About 3 MB of events for a client that reads slowly: it runs until somebody reads.
LONG = {"prompt": "Hello", "max_tokens": 400, "ignore_eos": True, "n": 4, "logprobs": 20,
        "temperature": 0, "stream": True}
SHORT = {"prompt": "Hello", "max_tokens": 16, "temperature": 1, "seed": 3}


class SlowStream:
    """A streamed request whose answer is read when somebody asks for it."""

    def __init__(self, server, body=None):
        self.link = socket.socket()
        self.link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.link.settimeout(30)
        self.link.connect((server.host, int(server.port)))
        text = json.dumps(body or LONG).encode()
        self.link.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                          b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        self.bytes = self.link.recv(1024)

    def rest(self):
        """Everything that was sent, the frames of the chunked coding among it."""
        while True:
            try:
                piece = self.link.recv(1 << 16)
            except ConnectionResetError:
                piece = b""
            if not piece:
                self.link.close()
                return self.bytes
            self.bytes += piece


class Life(product.ProductTest):
    def serve(self, *words, **options):
        server = Server(product.BINARY, "model.gguf", "--deterministic", "--set",
                        "limits.stream_high_bytes=8192", "--set", "limits.stream_low_bytes=4096",
                        *words, folder=self.folder, env=self.environment(), **options)
        self.addCleanup(server.stop, signal.SIGKILL)
        return server

    def text_of(self, server, **options):
        reply = server.post("/v1/completions", SHORT, **options)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json["choices"][0]["text"]

    def test_health_is_503_while_the_model_loads(self):
        # The engine is halted before it is ready; who is too late tries again.
        for _ in range(20):
            server = self.serve(ready=False)
            child = server.wait_for(server.engine_pid, "an engine process")
            os.kill(child, signal.SIGSTOP)
            time.sleep(0.05)
            if server.get("/readyz").status == 503:
                break
            os.kill(child, signal.SIGCONT)
            server.stop()
        for path in ("/health", "/readyz", "/ping"):
            self.assertEqual(server.get(path).status, 503, path)
        self.assertEqual(server.get("/livez").status, 200)
        reply = server.post("/v1/completions", SHORT)
        self.assertEqual((reply.status, reply.error["code"]), (503, "loading"))
        os.kill(child, signal.SIGCONT)
        server.wait_ready()
        self.text_of(server)
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_sigterm_lets_streams_end(self):
        for words in ((), ("--in-process",)):
            server = self.serve("--set", "limits.drain_delay_ms=1500", *words)
            slow = SlowStream(server)
            self.text_of(server)
            os.kill(server.pid, signal.SIGTERM)
            server.wait_for(lambda: server.get("/readyz").status == 503, "not ready")
            # Balancers need a moment: until it is over, work is still taken.
            self.text_of(server)
            server.wait_for(lambda: self.is_refused(server), "a refusal")
            self.assertIsNone(server.process.poll(), "a stream still runs")
            text = slow.rest()
            self.assertIn(b"data: [DONE]", text)
            self.assertNotIn(b'"error"', text)
            self.assertEqual(server.process.wait(20), 0)

    def is_refused(self, server):
        try:
            return server.post("/v1/completions", SHORT).status == 503
        except OSError:
            return True  # it listens no longer

    def test_a_second_signal_is_now(self):
        server = self.serve()
        slow = SlowStream(server)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for(lambda: server.get("/readyz").status == 503, "not ready")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(20), 1)
        self.assertNotIn(b"data: [DONE]", slow.rest())

    def test_the_engine_dies_and_the_front_stays(self):
        server = self.serve()
        kept = server.connect()
        expected = self.text_of(server, connection=kept)
        pid = server.pid
        for number in (signal.SIGKILL, signal.SIGSEGV):
            slow = SlowStream(server)
            server.wait_for(lambda: server.stats()["running"] + server.stats()["paused"] > 0,
                            "a stream that runs")
            engine = server.engine_pid()
            os.kill(engine, number)
            # Nothing of it was sent yet: it is computed by the next engine, as if nothing had been.
            self.assertEqual(self.text_of(server, connection=kept), expected)
            text = slow.rest()
            self.assertIn(b'"error"', text)
            self.assertIn(b"worker_lost", text)
            self.assertNotIn(b"[DONE]", text)
            self.assertNotIn(server.engine_pid(), (0, engine))
            server.wait_ready()
        self.assertEqual(server.pid, pid)
        self.assertIsNone(server.process.poll())
        self.assertEqual(server.stop(), 0)
        kept.close()

    def test_a_killed_front_leaves_no_engine(self):
        server = self.serve()
        engine = server.engine_pid()
        server.stop(signal.SIGKILL)
        end = time.monotonic() + 20
        while os.path.exists(f"/proc/{engine}") and time.monotonic() < end:
            with open(f"/proc/{engine}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    break
            time.sleep(0.02)
        else:
            self.assertFalse(os.path.exists(f"/proc/{engine}"), "the engine outlives its front")

    def test_many_at_once_get_what_each_gets_alone(self):
        server = self.serve("--set", "limits.queue_requests=100")
        bodies = [{"prompt": f"number {i}", "max_tokens": 24, "temperature": 1, "seed": i}
                  for i in range(24)]
        alone = [server.post("/v1/completions", body).json["choices"] for body in bodies]
        together = [None] * len(bodies)

        def ask(i):
            together[i] = server.post("/v1/completions", bodies[i]).json["choices"]
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(together, alone)


if __name__ == "__main__":
    product.main()
