"""Writing to a descriptor that may block for any length of time."""

from __future__ import annotations

import asyncio
import os

from tests.harness import PATIENCE
from tests.sinks.feeding import Pipe, working

from randstream.clock import Clock
from randstream.sinks.pipe import FdWriter
from randstream.sinks.stdout import StdoutSink


async def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing.fileno(), False)
    sink = StdoutSink(Clock(), pipe.writing.fileno())
    async with working(sink):
        sink.append_raw(b"1\n" * 200_000)
        got = 0
        while got < 400_000:
            got += len(await pipe.read())
        assert sink.problem is None


async def test_a_write_whose_waiter_has_gone_is_still_done(pipe: Pipe) -> None:
    writer = FdWriter(os.dup(pipe.writing.fileno()))
    waiting = asyncio.ensure_future(writer.write(b"1\n"))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await pipe.read() == b"1\n"
    assert await writer.write(b"2\n") == (2, None)
    writer.end()
    writer.join(PATIENCE)
    assert not writer.is_alive()


def test_a_write_that_outlives_its_loop_ends_the_thread_quietly(pipe: Pipe) -> None:

    async def begin() -> FdWriter:
        writer = FdWriter(os.dup(pipe.writing.fileno()))
        waiting = asyncio.ensure_future(writer.write(b"1\n" * 2**17))  # more than a pipe holds
        await asyncio.wait([waiting], timeout=0.01)
        return writer

    writer = asyncio.run(begin())
    got = 0
    while got < 2**18:
        got += len(pipe.reading.read(2**16))
    writer.join(PATIENCE)
    assert not writer.is_alive()
