"""Many requests, some of them cut: see serve_load.py."""
import asyncio
import collections
import contextlib
import datetime
import json
import random
import socket
import statistics
import time

from load_server import RST, MIB, WORDS, Server, connect, percentile, resident_of, say, text_of

RSS_GROWTH = 0.01
CANCEL_P99_MS = 100  # beside the step that runs


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
