#!/usr/bin/python3
"""`tenon serve`: who is let in, and what it does not start with."""
import json
import os
import shutil
import signal
import socket
import subprocess

import product
from server import Server

FIRST, SECOND = "sk-first-0123456789", "sk-second-0123456789"
PUBLIC = {"/livez", "/health", "/readyz", "/health_generate", "/ping"}


class Doors(product.ProductTest):
    def serve(self, *words, **options):
        server = Server(product.BINARY, "model.gguf", *words, folder=self.folder,
                        env=self.environment(), **options)
        self.addCleanup(server.stop)
        return server

    def keys(self, *lines, mode=0o600):
        path = self.folder / "keys"
        path.write_text("".join(line + "\n" for line in lines))
        path.chmod(mode)
        return path

    def not_started(self, *words, code=78):
        done = self.call("serve", *words, timeout=20)
        self.assertEqual(done.code, code, done.err)
        self.assertTrue(done.err.startswith("tenon serve: "), done.err)
        return done.err.removeprefix("tenon serve: ").strip()

    def test_every_route_but_the_public_ones_wants_a_key(self):
        server = self.serve("--api-key-file", self.keys("a:" + FIRST))
        routes = json.loads(self.good("serve", "--print-routes"))
        self.assertEqual({r["path"] for r in routes if r["access"] == "public"}, PUBLIC)
        for route in routes:
            path = route["path"].replace("{model}", "x")
            for admin in (False, True):
                status = server.ask(route["method"], path, admin=admin, body="{}").status
                if route["path"] in PUBLIC:
                    self.assertEqual(status, 200, route)
                elif (route["access"] == "admin") != admin:
                    self.assertIn(status, (401, 404), route)
                elif not admin:
                    self.assertEqual(status, 401, route)
        self.assertEqual(server.get("/nowhere").status, 404)
        reply = server.get("/v1/models")
        self.assertEqual(reply.headers["WWW-Authenticate"], "Bearer")
        self.assertEqual(reply.error["type"], "authentication_error")
        self.assertEqual(server.get("/v1/models", key=FIRST).status, 200)
        self.assertEqual(server.get("/v1/models", headers={"X-Api-Key": FIRST}).status, 200)
        for path in ("//v1/models", "/v1/models/", "/V1/models", "/v1/../v1/models", "/v1/models%00"):
            self.assertIn(server.get(path).status, (400, 401, 404), path)

    def test_wrong_keys_are_counted_and_right_ones_let_in_still(self):
        server = self.serve("--api-key-file", self.keys(FIRST), "--set",
                            "limits.failed_auth_per_minute=3")
        statuses = [server.get("/v1/models", key="sk-wrong-0123456789").status for _ in range(6)]
        self.assertEqual((statuses[0], statuses[-1]), (401, 429))
        self.assertEqual(server.get("/v1/models", key=FIRST).status, 200)

    def test_a_rate_of_a_key_is_429_with_retry_after(self):
        server = self.serve("--api-key-file", self.keys(FIRST), "--set",
                            "limits.key_requests_burst=2", "--set",
                            "limits.key_requests_per_second=1")
        body = {"prompt": "a", "max_tokens": 1}
        replies = [server.post("/v1/completions", body, key=FIRST) for _ in range(6)]
        limited = [reply for reply in replies if reply.status == 429]
        self.assertTrue(limited)
        self.assertEqual(replies[0].status, 200)
        self.assertGreaterEqual(int(limited[0].headers["Retry-After"]), 1)

    def test_sighup_takes_new_keys_and_keeps_the_old_when_they_are_none(self):
        server = self.serve("--api-key-file", self.keys(FIRST))
        self.keys(SECOND)
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for(lambda: server.get("/v1/models", key=SECOND).status == 200, "the new key")
        self.assertEqual(server.get("/v1/models", key=FIRST).status, 401)
        self.keys(FIRST, mode=0o644)
        os.kill(server.pid, signal.SIGHUP)
        server.wait_for(lambda: any("not reloaded" in line["msg"] for line in server.log()),
                        "a line of the log")
        self.assertEqual(server.get("/v1/models", key=SECOND).status, 200)

    def test_no_key_no_prompt_in_the_log(self):
        server = self.serve("--api-key-file", self.keys(FIRST), "--log-level", "debug")
        server.post("/v1/completions", {"prompt": "walnuts", "max_tokens": 2}, key=FIRST)
        server.get("/v1/models", key="sk-guessed-0123456789")
        server.stop()
        text = server.log_path.read_text()
        for secret in (FIRST, "sk-guessed-0123456789", "walnuts"):
            self.assertNotIn(secret, text)
        self.assertIn('"path":"/v1/completions"', text)

    def test_without_keys_any_bearer_is_as_good(self):
        server = self.serve()
        for key in (None, "EMPTY", "None"):
            self.assertEqual(server.get("/v1/models", key=key).status, 200)

    def test_what_it_refuses_to_start_with(self):
        path = self.keys(FIRST, mode=0o644)
        self.assertIn("0600", self.not_started("model.gguf", "--api-key-file", path))
        self.assertIn("keys", self.not_started("model.gguf", "--host", "0.0.0.0"))
        self.assertIn("TLS", self.not_started("model.gguf", "--host", "0.0.0.0", "--auth", "none"))
        self.assertIn("No such file", self.not_started("nowhere.gguf"))
        self.assertIn("limits.bogus", self.not_started("model.gguf", "--set", "limits.bogus=1", code=2))
        (self.folder / "cut.gguf").write_bytes((self.folder / "model.gguf").read_bytes()[:3000])
        done = self.call("serve", "cut.gguf", "--port", "0", "--metrics-port", "0")
        self.assertEqual(done.code, 1, done.err)
        self.assertTrue(done.err.splitlines()[-1].startswith("tenon serve: cut.gguf: "), done.err)

    def test_a_port_that_is_taken(self):
        server = self.serve()
        sentence = self.not_started("model.gguf", "--port", server.port)
        self.assertEqual(sentence.count("\n"), 0)
        self.assertIn("in use", sentence)
        self.assertEqual(server.get("/readyz").status, 200)

    def test_its_configuration_is_a_configuration(self):
        text = self.good("serve", "model.gguf", "--port", "12345", "-np", "3", "--print-config")
        (self.folder / "serve.yaml").write_text(text)
        self.assertEqual(self.good("serve", "--config", "serve.yaml", "--print-config"), text)
        self.assertIn("port: 12345", text)
        self.assertIn("max_running_requests: 3", text)

    def test_pages_of_other_origins_get_no_permission(self):
        server = self.serve("--set", "cors.origins=https://chat.example.org")
        for origin, allowed in (("https://chat.example.org", True), ("https://evil.example", False)):
            reply = server.get("/v1/models", headers={"Origin": origin})
            self.assertEqual(reply.headers["Access-Control-Allow-Origin"], origin if allowed else None)

    def test_bytes_that_are_no_http(self):
        server = self.serve()
        for text in (b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/completions HTTP/1.1\r\n"
                     b"Host: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
                     b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n"):
            with socket.create_connection((server.host, int(server.port)), 10) as link:
                link.sendall(text)
                link.shutdown(socket.SHUT_WR)
                answer = link.recv(4096)
            self.assertTrue(answer == b"" or answer[9:10] in (b"4", b"5"), (text[:30], answer))
        self.assertEqual(server.get("/readyz").status, 200)

    def test_metrics_are_clean(self):
        server = self.serve()
        server.post("/v1/completions", {"prompt": "a", "max_tokens": 3, "stream": True})
        text = server.get("/metrics", admin=True).body
        self.assertEqual(server.get("/metrics").status, 404)
        self.assertIn(b'tenon_time_to_first_token_seconds_bucket{le="5"}', text)
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))


if __name__ == "__main__":
    product.main()
