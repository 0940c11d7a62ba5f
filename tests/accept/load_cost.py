"""What a streamed token costs the front: see serve_load.py."""
import asyncio
import time

from load_server import WORDS, Server, processor_seconds

TOKEN_US = 30


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
