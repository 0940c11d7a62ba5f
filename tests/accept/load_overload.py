"""More requests than can be answered: see serve_load.py."""
import asyncio
import collections
import json
import os
import statistics
import time

from load_server import MIB, WORDS, Server, connect, percentile, resident_of, say

GOODPUT_SHARE = 0.90
REJECT_P99_MS = 50
RECOVERY_S = 2.0
RSS_GROWTH = 0.01
REFUSED = (429, 503)

POOL = 1_500  # connections that an overload begins with
IN_FLIGHT_MAX = 4_000  # of the client itself; beyond it the client is what is overloaded


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
