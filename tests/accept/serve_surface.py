#!/usr/bin/python3
"""What `tenon serve` shows to strangers and at its end: serve_surface.py ready|routes|schemas|drain.

ready    from the start of the process to the first 200 of /readyz: 1 s at most, files being warm
routes   every route of --print-routes but the public ones gives 401 without a key, on both listeners
schemas  schemathesis over /openapi.json: no answer is a server error; wants --schemathesis PROGRAM
drain    SIGTERM under load: no request fails inside the budget, and the exit code is 0

--tenon and --model name program and file. The last line is the figure; exit code 1 when it is not met.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from server import Server  # noqa: E402

READY_S = 1.0
KEY = "sk-surface-0123456789"
# What may be asked without a key, and nothing else.
PUBLIC = {"GET /livez", "GET /health", "GET /readyz", "GET /health_generate", "GET /ping"}
QUIET = ("limits.ip_requests_per_minute=100000000", "limits.ip_tokens_per_minute=1000000000",
         "limits.key_requests_per_second=1000000", "limits.key_requests_burst=1000000",
         "limits.key_tokens_per_minute=1000000000", "limits.key_streams=4096",
         "limits.failed_auth_per_minute=1000000")


def start(options, folder, *words):
    keys = pathlib.Path(folder) / "keys"
    keys.touch(mode=0o600)
    keys.write_text(KEY + "\n", encoding="ascii")
    rows = [word for row in QUIET for word in ("--set", row)]
    return Server(options.tenon, options.model, "--api-key-file", keys, *rows, *words, folder=folder, key=None)


def run_ready(options, folder):
    took = []
    for _ in range(6):
        begin = time.monotonic()
        server = Server(options.tenon, options.model, folder=folder)
        took.append(time.monotonic() - begin)
        server.stop()
    warm = sorted(took[1:])
    median = warm[len(warm) // 2]
    print(f"{median:.3f} s median of {len(warm)} starts, {warm[0]:.3f} to {warm[-1]:.3f}, limit {READY_S:.0f}")
    return median <= READY_S


def run_routes(options, folder):
    dump = subprocess.run([options.tenon, "serve", "--print-routes"], check=True, capture_output=True)
    routes = json.loads(dump.stdout)
    faults = []
    server = start(options, folder)
    try:
        for route in routes:
            name = f"{route['method']} {route['path']}"
            is_public, is_admin = name in PUBLIC, route["access"] == "admin"
            if is_public != (route["access"] == "public"):
                faults.append(f"{name} is {route['access']}")
            path = route["path"].replace("{model}", "any")
            for method in {route["method"], "HEAD" if route["method"] == "GET" else route["method"]}:
                status = server.ask(method, path, body="{}" if method == "POST" else None).status
                wanted = {200} if is_public else {404} if is_admin else {401}
                if status not in wanted and not (method == "HEAD" and status == 405):
                    faults.append(f"{method} {path} gives {status} without a key")
            wrong = server.ask(route["method"], path, body="{}", key="sk-wrong-0123456789").status
            if not is_public and not is_admin and wrong != 401:
                faults.append(f"{name} gives {wrong} with a wrong key")
            if is_admin and server.ask(route["method"], path, admin=True).status != 200:
                faults.append(f"{name} is not on the second listener")
    finally:
        server.stop()
    closed = sum(route["access"] == "key" for route in routes)
    print(f"{len(routes)} routes: {len(PUBLIC)} public, {closed} give 401 without a key and with a wrong "
          f"one, {len(routes) - len(PUBLIC) - closed} on the second listener alone"
          + "".join(f"; {fault}" for fault in faults))
    return not faults


def requests_of(server):
    """How often each status was the answer."""
    statuses = collections.Counter()
    for name, value in server.figures().items():
        if name.startswith("tenon_http_requests_total"):
            statuses[name.split('code="')[1][:3]] += int(value)
    return statuses


def run_schemas(options, folder):
    server = start(options, folder)
    try:
        before = requests_of(server)
        report = pathlib.Path(folder) / "report.txt"
        command = [options.schemathesis, "run", server.url + "/openapi.json", "--checks",
                   "not_a_server_error", "--max-examples", str(options.examples), "--seed", "1",
                   "--header", f"Authorization: Bearer {KEY}", "--request-timeout", "30", "--no-color",
                   "--workers", "2"]
        with open(report, "wb") as out:
            code = subprocess.run(command, cwd=folder, stdout=out, stderr=out, timeout=600,
                                  check=False).returncode
        text = report.read_text(errors="replace")
        print(text, file=sys.stderr)
        statuses = requests_of(server) - before
        is_alive = server.process.poll() is None and server.get("/health").status == 200
    finally:
        server.stop()
    errors = sum(count for status, count in statuses.items() if status.startswith("5"))
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    print(f"schemathesis exit code {code}; {sum(statuses.values())} requests, {errors} server errors ({told})")
    return code == 0 and errors == 0 and is_alive and statuses["200"] > 0 and statuses["400"] > 0


class Load:
    """Clients behind a balancer: they send while /readyz says so, on connections that are kept."""

    def __init__(self, server, count):
        self.server, self.is_ready = server, True
        self.outcomes, self.failed = collections.Counter(), []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.client, args=(i,)) for i in range(count)]
        self.threads.append(threading.Thread(target=self.balancer))

    def balancer(self):
        while self.is_ready:
            try:
                self.is_ready = self.server.get("/readyz").status == 200
            except OSError:
                self.is_ready = False
            time.sleep(0.05)

    def client(self, number):
        connection = self.server.connect(300)
        while self.is_ready:
            stream = number % 2 == 0
            body = {"prompt": f"Number {number} of", "max_tokens": 64, "temperature": 0, "stream": stream,
                    "ignore_eos": True}
            try:
                reply = self.server.post("/v1/completions", body, key=KEY, connection=connection)
                good = reply.status == 200 and (not stream or reply.body.endswith(b"data: [DONE]\n\n"))
                fault = None if good else f"{reply.status}: {reply.body[-200:]}"
            except (OSError, http.client.HTTPException) as error:
                fault = repr(error)
            with self.lock:
                self.outcomes["failed" if fault else "answered"] += 1
                if fault:
                    self.failed.append(fault)
                    return
        connection.close()


def run_drain(options, folder):
    told, all_good = [], True
    for words in ((), ("--in-process",)):
        server = start(options, folder, "--set", "limits.drain_delay_ms=1000", *words)
        try:
            load = Load(server, 16)
            for thread in load.threads:
                thread.start()
            server.wait_for(lambda: load.outcomes["answered"] >= 32, "load", 120)
            before = load.outcomes["answered"]
            begin = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            for thread in load.threads:
                thread.join()
            code = server.process.wait(120)
            seconds = time.monotonic() - begin
        finally:
            server.stop(signal.SIGKILL)
        for fault in load.failed:
            print(f"  failed: {fault}", file=sys.stderr)
        all_good = all_good and code == 0 and not load.failed and load.outcomes["answered"] > before
        told.append(f"{'in process' if words else 'two processes'}: {load.outcomes['answered'] - before} "
                    f"answered after the signal, {len(load.failed)} failed, exit code {code} after {seconds:.1f} s")
    print("; ".join(told))
    return all_good


TOPICS = {"ready": run_ready, "routes": run_routes, "schemas": run_schemas, "drain": run_drain}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("topic", choices=TOPICS)
    parser.add_argument("--tenon", required=True, type=pathlib.Path, help="the program")
    parser.add_argument("--model", required=True, type=pathlib.Path, help="a .gguf file")
    parser.add_argument("--schemathesis", help="schemas: the program")
    parser.add_argument("--examples", type=int, default=60, help="schemas: of each operation")
    options = parser.parse_args()
    options.tenon, options.model = options.tenon.absolute(), options.model.absolute()
    if options.topic == "schemas" and not options.schemathesis:
        parser.error("schemas wants --schemathesis")
    with tempfile.TemporaryDirectory(prefix="tenon-surface-") as folder:
        return 0 if TOPICS[options.topic](options, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
