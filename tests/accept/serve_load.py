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
import sys

from load_cancels import run_cancels
from load_cost import run_cost
from load_overload import run_overload
from load_slow import run_slow

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
