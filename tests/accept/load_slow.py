"""Normal requests beside slow connections: see serve_load.py."""
import asyncio
import contextlib
import os
import time

from load_server import WORDS, Server, connect, percentile, resident_of, say

SLOW_FACTOR = 2.0
IDLE_BYTES = 16 << 10  # resident memory of the front for one slow connection


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
