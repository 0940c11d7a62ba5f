#!/usr/bin/python3
"""`tenon serve` on a device that is lost in the middle of a step, and on a machine without drivers."""
import json
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import product  # noqa: E402
from server import Server  # noqa: E402

LAYER = os.environ.get("FAULT_LAYER_FOLDER", "")
BODY = {"prompt": "Hello", "max_tokens": 24, "temperature": 0, "ignore_eos": True}


class Lost(product.ProductTest):
    needs_backend = "vulkan"

    def setUp(self):
        super().setUp()
        self.trigger = self.folder / "lose"
        self.layer = {"VK_LAYER_PATH": LAYER, "VK_INSTANCE_LAYERS": "VK_LAYER_TENON_fault",
                      "FAULT_LAYER_TRIGGER": str(self.trigger)}
        devices = self.call("devices", "--json", "--backend", "vulkan")
        if devices.code != 0:
            self.skipTest("no Vulkan device on this machine")

    def serve(self):
        server = Server(product.BINARY, "model.gguf", "--backend", "vulkan", "--deterministic",
                        folder=self.folder, env=self.environment(**self.layer), ready=False)
        self.addCleanup(server.stop, signal.SIGKILL)
        server.wait_ready(120)
        return server

    def text_of(self, server):
        reply = server.post("/v1/completions", BODY)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json["choices"][0]["text"]

    def test_a_device_lost_in_a_step_costs_one_engine(self):
        server = self.serve()
        wanted = self.text_of(server)
        first_engine = server.engine_pid()
        # While requests run, one after the other in each thread, the next submit loses the device.
        replies = []
        lock = threading.Lock()
        armed = threading.Event()
        def is_lost():
            with lock:
                return armed.is_set() and not self.trigger.exists()
        def ask():
            while not is_lost():
                replies.append(server.post("/v1/completions", {**BODY, "max_tokens": 100}))
        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        with lock:
            self.trigger.touch()
            armed.set()
        for thread in threads:
            thread.join(120)
            self.assertFalse(thread.is_alive(), "a request never ended")
        # Each was replayed on the next engine, or got one error that says what happened.
        self.assertGreaterEqual(len(replies), 3)
        for reply in replies:
            if reply.status == 200:
                self.assertTrue(reply.json["choices"][0]["text"].startswith(wanted), reply.body)
            else:
                self.assertEqual((reply.status, reply.error["code"]), (503, "worker_lost"), reply.body)
        server.wait_ready(120)
        self.assertNotEqual(server.engine_pid(), first_engine)
        self.assertEqual(self.text_of(server), wanted)
        self.assertEqual(server.stop(), 0)

    def test_two_losses_in_a_row(self):
        server = self.serve()
        wanted = self.text_of(server)
        for _ in range(2):
            self.trigger.touch()
            reply = server.post("/v1/completions", BODY)
            self.assertIn(reply.status, (200, 503), reply.body)
            server.wait_ready(120)
        self.assertEqual(self.text_of(server), wanted)
        self.assertEqual(server.stop(), 0)


class NoDriver(product.ProductTest):
    needs_backend = "vulkan"
    nothing = {"VK_ICD_FILENAMES": "", "VK_DRIVER_FILES": "/nonexistent/driver.json"}

    def test_without_a_driver_there_is_no_device(self):
        answer = self.call("devices", "--json", env=self.nothing)
        self.assertEqual(answer.code, 0, answer.err)
        seen = json.loads(answer.out)
        self.assertNotIn("vulkan", [device["backend"] for device in seen["devices"]])
        silent = {plugin["backend"]: plugin["reason"] for plugin in seen["without"]}
        self.assertIn("no device on this machine", silent["vulkan"])
        self.assertRegex(silent["vulkan"], "(?i)driver")
        answer = self.call("doctor", env=self.nothing)
        self.assertEqual(answer.code, 0, answer.err)
        self.assertRegex(answer.out, r"(?m)^  ok   plugin vulkan: loads; no device on this machine")

    def test_a_run_names_what_is_missing(self):
        self.assertIn("finds no device on this machine",
                      self.refused("run", "model.gguf", "a", "--backend", "vulkan", env=self.nothing))


if __name__ == "__main__":
    product.main()
