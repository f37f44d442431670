"""Many workers that already have a producer, in one process: each asks every newcomer once a second, and never resumes.

python -m benchmarks.standby_host FIRST COUNT: worker-FIRST and on, at the addresses of `address_of`.
Answers a line on standard input with a line of JSON: how many stand by, and how many answers have come so far.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import ClassVar, cast

import uvloop

from .worker_host import PORT, address_of

SLICES = 50
"""Turns in a second: not all are asked at once."""


class Asker(asyncio.Protocol):
    """One of the workers, for one connection."""

    present: ClassVar[list[set[Asker]]] = [set() for _ in range(SLICES)]
    answers = 0

    def __init__(self, number: int) -> None:
        self._number = number
        self._slice = Asker.present[number % SLICES]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"#hello randstream/1 worker=worker-%d\n" % self._number)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"#open "):
            self._slice.add(self)
            self.ask()
        else:
            Asker.answers += data.count(b"#wait\n")

    def connection_lost(self, error: Exception | None) -> None:
        self._slice.discard(self)

    def ask(self) -> None:
        self._transport.write(b"#wait by=producer-0 offset=1200\n")


async def host(first: int, count: int) -> None:
    loop = asyncio.get_running_loop()
    for number in range(first, first + count):
        await loop.create_server(lambda number=number: Asker(number), address_of(number), PORT)
    print("ready", flush=True)
    asking = asyncio.create_task(ask())
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps({"standing": sum(map(len, Asker.present)), "answers": Asker.answers}), flush=True)
    asking.cancel()


async def ask() -> None:
    loop = asyncio.get_running_loop()
    turn = loop.time()
    while True:
        for some in Asker.present:
            for asker in some:
                asker.ask()
            turn += 1 / SLICES
            await asyncio.sleep(turn - loop.time())


if __name__ == "__main__":
    uvloop.run(host(int(sys.argv[1]), int(sys.argv[2])))
