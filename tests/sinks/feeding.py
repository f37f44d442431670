"""What the tests of sinks give to a sink, and the pipes that it writes to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.harness import a_report, stream

from randstream.protocol.frames import Beat, Open
from randstream.sinks.immediate import ImmediateSink

OFFERED = Open("worker-0", "6ae2a63a0ac05109", "integers:1:100", "producer-0", 1.0)
OTHER = Open("worker-0", "0123456789abcdef", "integers:1:100", "producer-0", 1.0)


def beat(offset: int) -> Beat:
    return Beat(offset, 0, "1")


def take(sink: ImmediateSink, first: int, count: int) -> bytes:
    """Give `sink` the next `count` numbers of the stream, which begin with number `first`; their lines."""
    lines = stream().lines(first, count)
    sink.append(lines, count)
    return lines


@asynccontextmanager
async def working(sink: Any) -> AsyncIterator[None]:
    await sink.start()
    task = asyncio.ensure_future(sink.run(a_report()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sink.close()


class Pipe:
    """Both ends of one, each closed once."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.reading = os.fdopen(reading, "rb", 0)
        self.writing = os.fdopen(writing, "wb", 0)

    async def read(self, size: int = 2**16) -> bytes:
        return await asyncio.to_thread(self.reading.read, size)
