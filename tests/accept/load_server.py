"""What the topics of serve_load.py share: a server of their own, connections to it, its figures."""
import asyncio
import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

RST = struct.pack("ii", 1, 0)
MIB = 1 << 20
WORDS = ("river stone cloud paper green market seven window letter winter engine garden silver "
         "number copper yellow village simple harbour morning").split()


def say(text):
    print(text, file=sys.stderr, flush=True)


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))] if values else float("nan")


def resident_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(pid):
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9


class Server:
    """`tenon serve` with a configuration of its own; ends with the block."""

    def __init__(self, options, limits=None, engine=None):
        self.options, self.found = options, {}
        self.folder = tempfile.TemporaryDirectory(prefix="tenon-load-")
        self.log = pathlib.Path(self.folder.name) / "log"
        lines = ["served_model_name: [m]", "port: 0", "host: 127.0.0.1",
                 f"in_process: {'true' if options.in_process else 'false'}",
                 "log:", f"  file: {self.log}", "  format: json"]
        lines += [f"{name}: {value}" for name, value in (engine or {}).items()]
        lines.append("limits:")
        # One client plays many: what is meant for one address must not be what is measured.
        rows = {"ip_requests_per_minute": 100_000_000, "ip_tokens_per_minute": 1_000_000_000,
                "drain_delay_ms": 1, **(limits or {})}
        lines += [f"  {name}: {value}" for name, value in rows.items()]
        config = pathlib.Path(self.folder.name) / "serve.yaml"
        config.write_text("\n".join(lines) + "\n", encoding="ascii")
        self.command = [options.tenon, "serve", options.model, "--config", str(config)]

    def __enter__(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TENON_")}
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, env=kept,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        begin = time.monotonic()
        while time.monotonic() - begin < 60:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self.process.stderr.read().decode()}")
            for line in self.log.read_text().splitlines() if self.log.exists() else []:
                entry = json.loads(line)
                if entry["msg"].startswith("ready"):
                    self.port = int(entry["url"].rsplit(":", 1)[1])
                    self.admin_port = self.admin_of()
                    return self
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError("the server was not ready after 60 s")

    def admin_of(self):
        for line in self.log.read_text().splitlines():
            entry = json.loads(line)
            if "metrics" in entry:
                return int(entry["metrics"].rsplit(":", 1)[1])
        raise RuntimeError("the log names no address of the metrics")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        self.folder.cleanup()

    def pids(self):
        """Name -> pid; one process holds both with --in-process."""
        if not self.found:
            self.found = self.find_pids()
        return self.found

    def find_pids(self):
        front = self.process.pid
        children = pathlib.Path(f"/proc/{front}/task").glob("*/children")
        engines = [int(word) for path in children for word in path.read_text().split()]
        return {"front": front, **({"engine": engines[0]} if engines else {})}

    def head(self, path, body=b"", method=b"POST"):
        return (b"%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % (method, path, len(body))) + body

    def ask(self, method, path, port=None):
        """A plain call, for figures."""
        with socket.create_connection(("127.0.0.1", port or self.port), timeout=10) as link:
            link.sendall(self.head(path.encode(), method=method.encode())
                         .replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
            answer = b""
            while piece := link.recv(1 << 16):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), unchunk(body) if b"chunked" in head else body

    def stats(self):
        return json.loads(self.ask("GET", "/server_info")[1])["stats"]

    def metric(self, name):
        text = self.ask("GET", "/metrics", self.admin_port)[1].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines()
                   if line.split("{")[0].split(" ")[0] == name)

    def flush(self):
        return self.ask("POST", "/flush_cache", self.admin_port)

    def completion(self, prompt, tokens, stream=False, **more):
        body = {"model": "m", "prompt": prompt, "max_tokens": tokens, "temperature": 0,
                "ignore_eos": True, **({"stream": True} if stream else {}), **more}
        return self.head(b"/v1/completions", json.dumps(body).encode())


def unchunk(body):
    out, at = [], 0
    while True:
        end = body.find(b"\r\n", at)
        if end < 0:
            return b"".join(out)
        size = int(body[at:end], 16)
        if size == 0:
            return b"".join(out)
        out.append(body[end + 2:end + 2 + size])
        at = end + 4 + size


class Link(asyncio.Protocol):
    """One connection, one request at a time. `answer` gets (status, head, body) or an error."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.transport, self.answer, self.first, self.is_open = None, None, None, False
        self.pieces, self.size, self.head, self.length = [], 0, b"", None

    def connection_made(self, transport):
        self.transport, self.is_open = transport, True

    def connection_lost(self, error):
        self.is_open = False
        if self.answer and not self.answer.done():
            self.answer.set_exception(error or ConnectionResetError("closed without an answer"))
            self.answer.exception()  # who cut the connection does not ask

    def ask(self, request):
        self.pieces, self.size, self.head, self.length, self.first = [], 0, b"", None, None
        self.answer = self.loop.create_future()
        self.transport.write(request)
        return self.answer

    def data_received(self, data):
        if self.answer is None or self.answer.done():
            return
        if self.first is None:
            self.first = time.monotonic()
        if not self.head:
            data = b"".join(self.pieces) + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.pieces = [data]
                return
            self.head, data, self.pieces, self.size = data[:end], data[end + 4:], [], 0
            found = self.head.find(b"Content-Length: ")
            if found >= 0:
                self.length = int(self.head[found + 16:].split(b"\r\n", 1)[0])
        self.pieces.append(data)
        self.size += len(data)
        if self.length is None:
            if not (data if len(data) >= 5 else b"".join(self.pieces[-3:])).endswith(b"0\r\n\r\n"):
                return
        elif self.size < self.length:
            return
        body = b"".join(self.pieces)
        self.answer.set_result((int(self.head[9:12]), self.head,
                                unchunk(body) if self.length is None else body))


async def connect(port, source="127.0.0.1"):
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(Link, "127.0.0.1", port, local_addr=(source, 0))
    return link


def text_of(body, stream):
    """The answer's text, or why it is none."""
    if not stream:
        return json.loads(body)["choices"][0]["text"]
    events = body.decode().split("\n\n")
    if events[-2] != "data: [DONE]":
        return f"stream without its end: {events[-2]}"
    return "".join(json.loads(event[6:])["choices"][0]["text"] for event in events[:-2]
                   if event.startswith("data: {"))
