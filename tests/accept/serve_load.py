#!/usr/bin/python3
"""`tenon serve` under load: serve_load.py cancels|slow|overload|cost --tenon PROGRAM --model FILE [--in-process].

Each topic starts the server itself, with limits by address out of the way (the client is one address),
and prints one line of figures last. Exit code 1 when a limit of the promise is broken.

cancels   requests from 48 connections, 10 % of them cut by FIN or RST at random moments: no block
          leaked, no other answer lost or changed, memory flat, a cut request gone in 100 ms.
slow      2,000 connections that send a byte in 5 s, from many loopback addresses: p99 of the others
          at most doubles.
overload  five times the rate that the server can answer: it answers as many as before, refuses the
          others quickly and in words, and recovers at once.
cost      processor time of the front for each streamed token.
"""
import argparse
import asyncio
import collections
import contextlib
import datetime
import json
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

# The promises.
RSS_GROWTH = 0.01
CANCEL_P99_MS = 100  # beside the step that runs
SLOW_FACTOR = 2.0
IDLE_BYTES = 16 << 10  # resident memory of the front for one slow connection
GOODPUT_SHARE = 0.90
REJECT_P99_MS = 50
RECOVERY_S = 2.0
TOKEN_US = 30

POOL = 1_500  # connections that an overload begins with
IN_FLIGHT_MAX = 4_000  # of the client itself; beyond it the client is what is overloaded

REFUSED = (429, 503)
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


# cancels

class Cancels:
    def __init__(self, server, options):
        self.server, self.options = server, options
        self.random = random.Random(options.seed)
        prefixes = [" ".join(self.random.choices(WORDS, k=12)) for _ in range(6)]
        # (prompt, tokens) -> text
        self.oracle = {(f"{prefix} {self.random.choice(WORDS)} {i}", self.random.randint(4, 40)): None
                       for prefix in prefixes for i in range(6)}
        self.begun = self.finished = self.cut = self.too_late = 0
        self.lost = []
        self.took = collections.deque([0.05], maxlen=200)
        self.memory = []  # (requests begun, pid name, bytes)

    async def ask_alone(self):
        link = await connect(self.server.port)
        for prompt, tokens in self.oracle:
            status, _, body = await link.ask(self.server.completion(prompt, tokens))
            if status != 200:
                raise RuntimeError(f"the oracle's request got {status}: {body.decode()}")
            self.oracle[prompt, tokens] = text_of(body, False)
        link.transport.close()

    async def cut_off(self, link, request):
        """Ends the connection at a random moment; true when the answer was there before."""
        kind = self.random.random()
        answer = link.ask(request if kind > 0.1 else request[:len(request) // 2])
        with contextlib.suppress(asyncio.TimeoutError, OSError):
            # Between the first byte of the request and the last one of the answer.
            await asyncio.wait_for(asyncio.shield(answer),
                                   self.random.random() * statistics.fmean(self.took))
        was_done = answer.done()
        if self.random.random() < 0.5 and link.is_open:
            link.transport.write_eof()
            for _ in range(500):
                if not link.is_open or (was_done and not link.transport.is_closing()):
                    break
                await asyncio.sleep(0.01)
            else:
                self.lost.append("a connection that got FIN was still open after 5 s")
            link.transport.close()
        elif link.is_open:
            link.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
            link.transport.abort()
        return was_done

    async def client(self):
        link, jobs = None, list(self.oracle)
        while self.begun < self.options.requests:
            self.begun += 1
            if link is None or not link.is_open:
                link = await connect(self.server.port)
            key = self.random.choice(jobs)
            stream = self.random.random() < 0.5
            request = self.server.completion(*key, stream)
            if self.random.random() < 0.1:
                self.cut += 1
                self.too_late += await self.cut_off(link, request)
                link = None
                continue
            begin = time.monotonic()
            try:
                status, _, body = await asyncio.wait_for(link.ask(request), 60)
                text = text_of(body, stream) if status == 200 else f"{status}: {body.decode()}"
            except (OSError, ValueError, LookupError, asyncio.TimeoutError) as error:
                text, link = repr(error), None
            self.took.append(time.monotonic() - begin)
            self.finished += 1
            if text != self.oracle[key]:
                self.lost.append(f"{key}: {text!r}, alone {self.oracle[key]!r}")

    async def watch(self):
        told = 0
        while True:
            await asyncio.sleep(0.03)
            for name, pid in self.server.pids().items():
                self.memory.append((self.begun, name, resident_of(pid)))
            if self.begun - told >= 1000:
                told = self.begun
                say(f"  {self.begun} begun, {self.cut} cut, {len(self.lost)} lost, "
                    + ", ".join(f"{name} {resident_of(pid) / MIB:.1f} MiB"
                                for name, pid in self.server.pids().items()))

    def growth(self, name):
        """Median memory of the last tenth against that around three tenths."""
        n = self.options.requests
        early = [size for at, who, size in self.memory if who == name and 0.28 * n <= at <= 0.36 * n]
        late = [size for at, who, size in self.memory if who == name and at >= 0.92 * n]
        return statistics.median(late) / statistics.median(early) - 1 if early and late else 0.0

    async def run(self):
        await self.ask_alone()
        watch = asyncio.create_task(self.watch())
        await asyncio.gather(*(self.client() for _ in range(48)))
        watch.cancel()

    async def freed_after(self, count):
        """Milliseconds from the cut of a stream to its line in the log, which is written when the
        engine has ended all of its sequences and nobody holds the request any more."""
        await asyncio.sleep(1.2)  # the log's limit of lines counts by the second
        cuts = {}
        request = self.server.completion("once upon a time", 440, True, n=8)
        for i in range(count):
            name = f"cut-{i}"
            link = await connect(self.server.port)
            link.ask(request.replace(b"\r\n", b"\r\nx-request-id: %s\r\n" % name.encode(), 1))
            while link.first is None and link.is_open:
                await asyncio.sleep(0)
            cuts[name] = time.time()
            if i % 2 == 0:
                link.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET,
                                                                   socket.SO_LINGER, RST)
                link.transport.abort()
            else:
                link.transport.write_eof()
            await asyncio.sleep(0.05)
            link.transport.close()
        await asyncio.sleep(1)
        took = []
        for line in self.server.log.read_text().splitlines():
            entry = json.loads(line)
            begin = cuts.pop(entry.get("request_id"), None)
            # One that had ended before the cut tells nothing.
            if begin is not None and entry.get("finish") == "cancelled":
                end = datetime.datetime.fromisoformat(entry["ts"].replace("Z", "+00:00")).timestamp()
                took.append(max(0.0, (end - begin) * 1000))
        return took + [1000.0] * len(cuts)


def run_cancels(options):
    engine = {"deterministic": "true"} if options.deterministic else {}
    limits = {"queue_requests": 4096}
    with Server(options, limits, engine) as server:
        cancels = Cancels(server, options)
        begin = time.monotonic()
        asyncio.run(cancels.run())
        seconds = time.monotonic() - begin
        took = asyncio.run(cancels.freed_after(options.samples))
        for _ in range(50):
            server.flush()
            time.sleep(0.1)
            stats = server.stats()
            if stats["blocks_used"] == stats["blocks_cached"] == stats["running"] == stats["waiting"] == 0:
                break
        info = json.loads(server.ask("GET", "/server_info")[1])
        growth = {name: cancels.growth(name) for name in server.pids()}
        memory = {name: resident_of(pid) / MIB for name, pid in server.pids().items()}
    leaked = info["engine"]["kv_blocks"] - stats["blocks_free"]
    for line in cancels.lost[:10]:
        say(f"  lost: {line}")
    p99 = percentile(took, 99)
    met = (leaked == 0 and not cancels.lost and stats["running"] == stats["waiting"] == 0
           and all(value <= RSS_GROWTH for value in growth.values()) and len(took) > 0
           and p99 <= CANCEL_P99_MS)
    print(f"{cancels.begun} requests in {seconds:.1f} s, {cancels.cut} cut ({cancels.too_late} after "
          f"their answer), {len(cancels.lost)} lost, {leaked} blocks leaked of "
          f"{info['engine']['kv_blocks']}, memory "
          + ", ".join(f"{name} {memory[name]:.1f} MiB {100 * value:+.2f} %" for name, value in growth.items())
          + f", slot freed p50 {percentile(took, 50):.1f} ms p99 {p99:.1f} ms of {len(took)}")
    return met


# slow

def hold_slow_connections(port, count, stop_at):
    """In a process of its own: `count` connections, a byte of a header every 5 s, again when cut."""
    async def one(index):
        source = f"127.0.1.{1 + index % 32}"
        await asyncio.sleep(5 * index / count)
        while time.monotonic() < stop_at:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
                writer.write(b"POST /v1/completions HTTP/1.1\r\nX-Slow: ")
                while time.monotonic() < stop_at:
                    with contextlib.suppress(asyncio.TimeoutError):
                        if not await asyncio.wait_for(reader.read(4096), 5):
                            break
                    writer.write(b"a")
                writer.transport.abort()
            except OSError:
                await asyncio.sleep(0.5)

    async def all_of_them():
        await asyncio.gather(*(one(index) for index in range(count)))

    asyncio.run(all_of_them())


async def measure_short(server, seconds, clients=4):
    """Latencies in ms of short requests, one after the other on each of a few connections."""
    took, faults = [], []
    stop_at = time.monotonic() + seconds

    async def client(number):
        link = await connect(server.port)
        request = server.completion(f"{WORDS[number]} and {WORDS[number + 1]}", 8)
        while time.monotonic() < stop_at:
            begin = time.monotonic()
            status, _, body = await link.ask(request)
            took.append((time.monotonic() - begin) * 1000)
            if status != 200:
                faults.append(body.decode())
            await asyncio.sleep(0.01)

    await asyncio.gather(*(client(number) for number in range(clients)))
    return took, faults


def run_slow(options):
    with Server(options) as server:
        asyncio.run(measure_short(server, 2))
        # Half of the baseline before and half of it after: the machine is not alone in this.
        baseline, faults = asyncio.run(measure_short(server, options.seconds / 2))
        rss = resident_of(server.process.pid)
        child = os.fork()
        if child == 0:
            hold_slow_connections(server.port, options.connections,
                                  time.monotonic() + 13 + options.seconds)
            os._exit(0)
        time.sleep(6)
        held = server.metric("tenon_connections")
        grown = resident_of(server.process.pid) - rss
        say(f"  {held:.0f} connections held")
        # Long enough for the clock of the headers to cut each of them.
        loaded, more = asyncio.run(measure_short(server, options.seconds))
        cuts = server.metric("tenon_http_timeouts_total") + server.metric("tenon_http_errors_total")
        os.waitpid(child, 0)
        time.sleep(0.5)
        left = server.metric("tenon_connections")
        after, even_more = asyncio.run(measure_short(server, options.seconds / 2))
        baseline += after
        faults += even_more
    each = grown / max(1, held)
    before, after = percentile(baseline, 99), percentile(loaded, 99)
    met = (held >= 0.95 * options.connections and not faults + more and after <= SLOW_FACTOR * before
           and each <= IDLE_BYTES and left < 20)
    print(f"{held:.0f} slow connections: p99 {before:.2f} -> {after:.2f} ms (p50 "
          f"{percentile(baseline, 50):.2f} -> {percentile(loaded, 50):.2f}), {each / 1024:.1f} KiB each, "
          f"{cuts:.0f} cut, {left:.0f} left, {len(faults + more)} answers lost")
    return met


# overload

class Load:
    """Requests of one shape over a pool of connections that grows as it must."""

    def __init__(self, server, tokens, deadline):
        self.server, self.tokens, self.deadline = server, tokens, deadline
        self.idle = collections.deque()
        self.opened = self.in_flight = 0
        self.requests = [server.completion(f"{a} {b} {c}", tokens)
                         for a in WORDS[:6] for b in WORDS[6:12] for c in WORDS[12:18]]
        self.next = 0
        self.good = []  # when an answer came inside the deadline
        self.late = 0
        self.rejected = []  # ms
        self.bare = 0  # refusals without Retry-After
        self.faults = []

    async def one(self):
        begin = time.monotonic()
        self.next += 1
        if self.in_flight >= IN_FLIGHT_MAX:
            self.faults.append("the client has too many requests in flight")
            return
        self.in_flight += 1
        try:
            await self.ask(begin)
        finally:
            self.in_flight -= 1

    async def ask(self, begin):
        try:
            link = self.idle.popleft() if self.idle else None
            while link is not None and not link.is_open:
                link = self.idle.popleft() if self.idle else None
            if link is None:
                self.opened += 1
                link = await connect(self.server.port, f"127.0.0.{1 + self.opened % 64}")
            status, head, body = await link.ask(self.requests[self.next % len(self.requests)])
        except OSError as error:
            self.faults.append(repr(error))
            return
        end = time.monotonic()
        if b"onnection: close" not in head:
            self.idle.append(link)
        else:
            link.transport.close()
        if status == 200:
            if end - begin <= self.deadline:
                self.good.append(end)
            else:
                self.late += 1
        elif status in REFUSED:
            self.rejected.append((end - begin) * 1000)
            self.bare += b"\r\nRetry-After: " not in head
        else:
            self.faults.append(f"{status}: {body.decode()}")

    async def warm(self, count):
        """Opens connections before they are needed: what they cost is no growth."""
        for _ in range(count):
            self.opened += 1
            link = await connect(self.server.port, f"127.0.0.{1 + self.opened % 64}")
            await link.ask(self.server.head(b"/v1/models", method=b"GET"))
            self.idle.append(link)

    async def closed(self, clients, seconds):
        """Answers a second of `clients` that ask again as soon as they are answered."""
        begin = time.monotonic()

        async def client():
            while time.monotonic() - begin < seconds:
                before = len(self.rejected)
                await self.one()
                if len(self.rejected) > before:
                    await asyncio.sleep(0.05)

        count = len(self.good)
        await asyncio.gather(*(client() for _ in range(clients)))
        return (len(self.good) - count) / (time.monotonic() - begin)

    async def open(self, rate, seconds, on_second):
        """`rate` requests a second however long the answers take."""
        begin, sent, tasks, told = time.monotonic(), 0, set(), 0
        while (now := time.monotonic() - begin) < seconds:
            while sent < now * rate:
                task = asyncio.create_task(self.one())
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
            if now - told >= 1:
                told = now
                on_second(now)
            await asyncio.sleep(0.002)
        return sent, tasks


def run_overload(options):
    # Clients give up after `deadline`; the operator lets nobody wait for longer than a quarter of it.
    limits = {"queue_wait_ms": int(options.deadline * 250), "connections_per_ip": 1024}
    # One core is left to the client and the front, as if the client were elsewhere.
    with Server(options, limits, {"threads": max(1, (os.cpu_count() or 2) - 1)}) as server:
        async def measure():
            load = Load(server, options.tokens, options.deadline)
            info = json.loads(server.ask("GET", "/server_info")[1])
            slots = info["engine"]["max_running_requests"]
            await load.closed(slots, 2)
            # The peak: the best of three loads around the number of sequences that run at once.
            rates = {clients: await load.closed(clients, options.seconds / 6)
                     for clients in (slots, 2 * slots, 4 * slots)}
            peak = max(rates.values())
            say(f"  peak {peak:.1f} answers/s ({ {c: round(r, 1) for c, r in rates.items()} })")
            load = Load(server, options.tokens, options.deadline)
            await load.warm(POOL)
            memory = []

            def on_second(now):
                memory.append((now, sum(map(resident_of, server.pids().values()))))
                if int(now) % 10 == 0:
                    say(f"  {now:.0f} s: {len(load.good)} answered, {len(load.rejected)} refused, "
                        f"{load.late} late, {len(load.faults)} faults, {memory[-1][1] / MIB:.1f} MiB, "
                        f"{load.opened} connections opened")

            begin = time.monotonic()
            sent, tasks = await load.open(5 * peak, options.seconds, on_second)
            end = time.monotonic()
            # What came in the first second was answered from an empty queue.
            good = sum(1 for at in load.good if begin + 1 <= at <= end) / (end - begin - 1)
            # Recovered: requests one at a time are answered, none refused, quickly.
            calm = Load(server, options.tokens, options.deadline)
            recovery = None
            while time.monotonic() - end < 30:
                asked = time.monotonic()
                count = len(calm.good)
                await calm.one()
                if len(calm.good) > count and time.monotonic() - asked < options.deadline / 4:
                    recovery = time.monotonic() - end
                    break
                await asyncio.sleep(0.05)
            await asyncio.wait(tasks, timeout=30) if tasks else None
            stats = server.stats()
            return load, peak, sent / (end - begin), good, memory, recovery, stats

        load, peak, rate, good, memory, recovery, stats = asyncio.run(measure())
    early = statistics.median(size for at, size in memory if at <= 0.4 * options.seconds and at > 0.2 * options.seconds)
    late = statistics.median(size for at, size in memory if at > 0.8 * options.seconds)
    growth = late / early - 1
    for fault in load.faults[:5]:
        say(f"  fault: {fault}")
    p99 = percentile(load.rejected, 99)
    met = (good >= GOODPUT_SHARE * peak and load.rejected and p99 <= REJECT_P99_MS and load.bare == 0
           and not load.faults and recovery is not None and recovery <= RECOVERY_S
           and growth <= RSS_GROWTH and rate >= 4.75 * peak)
    print(f"peak {peak:.1f}/s, offered {rate:.1f}/s for {options.seconds:.0f} s: goodput {good:.1f}/s "
          f"({100 * good / peak:.0f} %), {len(load.rejected)} refused p50 "
          f"{percentile(load.rejected, 50):.1f} ms p99 {p99:.1f} ms, {load.bare} without Retry-After, "
          f"{load.late} late, {len(load.faults)} faults, recovered after "
          f"{recovery if recovery is None else round(recovery, 2)} s, memory {100 * growth:+.2f} %, "
          f"{stats['running']} running")
    return bool(met)


# cost

class Drain(asyncio.Protocol):
    """Reads a stream and looks only for its end."""

    def __init__(self, request):
        self.request, self.tail = request, b""
        self.done = asyncio.get_running_loop().create_future()
        self.bytes = self.reads = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        self.bytes += len(data)
        self.reads += 1
        self.tail = (self.tail + data)[-5:]
        if self.tail == b"0\r\n\r\n" and not self.done.done():
            self.done.set_result(True)

    def connection_lost(self, _):
        if not self.done.done():
            self.done.set_result(False)


def run_cost(options):
    with Server(options) as server:
        async def measure(seconds, streams=32):
            loop = asyncio.get_running_loop()
            stop_at = time.monotonic() + seconds
            size = reads = 0

            async def client(number):
                nonlocal size, reads
                request = server.completion(f"{WORDS[number % 20]} {number}", options.tokens, True)
                while time.monotonic() < stop_at:
                    transport, link = await loop.create_connection(
                        lambda: Drain(request), "127.0.0.1", server.port)
                    if not await link.done:
                        raise RuntimeError("a stream was cut")
                    size += link.bytes
                    reads += link.reads
                    transport.close()

            await asyncio.gather(*(client(number) for number in range(streams)))
            return size, reads

        asyncio.run(measure(1))
        time.sleep(0.3)
        tokens = server.stats()["output_tokens"]
        steps = server.stats()["steps"]
        used = {name: processor_seconds(pid) for name, pid in server.pids().items()}
        begin = time.monotonic()
        size, reads = asyncio.run(measure(options.seconds))
        seconds = time.monotonic() - begin
        time.sleep(0.3)
        used = {name: processor_seconds(pid) - used[name] for name, pid in server.pids().items()}
        tokens = server.stats()["output_tokens"] - tokens
        steps = server.stats()["steps"] - steps
    per_token = {name: 1e6 * value / tokens for name, value in used.items()}
    print(f"{tokens} tokens in {seconds:.1f} s ({tokens / seconds:.0f}/s), {tokens / max(1, steps):.1f} a "
          f"step, {size / tokens:.0f} bytes a token, {tokens / max(1, reads):.2f} tokens a read: "
          + ", ".join(f"{name} {value:.1f} us a token" for name, value in per_token.items()))
    return options.in_process or per_token["front"] <= TOKEN_US


TOPICS = {"cancels": run_cancels, "slow": run_slow, "overload": run_overload, "cost": run_cost}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("topic", choices=TOPICS)
    parser.add_argument("--tenon", required=True, help="the program")
    parser.add_argument("--model", required=True, help="a .gguf file")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--deterministic", action="store_true", help="cancels: answers bit for bit")
    parser.add_argument("--requests", type=int, default=10_000, help="cancels")
    parser.add_argument("--samples", type=int, default=200, help="cancels: whose latency is measured")
    parser.add_argument("--seed", type=int, default=1, help="cancels")
    parser.add_argument("--connections", type=int, default=2_000, help="slow")
    parser.add_argument("--tokens", type=int, default=256, help="overload, cost: of an answer")
    parser.add_argument("--deadline", type=float, default=4, help="overload: seconds of a good answer")
    parser.add_argument("--seconds", type=float, default=0, help="overload 60, slow 20, cost 5")
    options = parser.parse_args()
    options.seconds = options.seconds or {"overload": 60, "slow": 20, "cost": 5}.get(options.topic, 0)
    sys.exit(0 if TOPICS[options.topic](options) else 1)


if __name__ == "__main__":
    main()
