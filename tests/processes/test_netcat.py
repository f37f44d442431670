"""A real raw peer: OpenBSD's netcat, listening and dialling."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.support.ports import free_port
from tests.support.roles import a_worker, producing
from tests.support.sinks import Memory
from tests.support.waiting import PATIENCE, until

from randstream.numbers.stream import NumberStream

pytestmark = pytest.mark.skipif(
    shutil.which("nc.openbsd") is None, reason="nc.openbsd is not installed: apt-get install netcat-openbsd"
)


@asynccontextmanager
async def netcat(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec("nc.openbsd", *arguments, stdin=pipe, stdout=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_raw_target_may_be_an_nc_that_is_restarted() -> None:
    port = free_port()
    stream = NumberStream("42", f"raw-127.0.0.1-{port}", "integers:1:100")
    async with producing(f"raw://127.0.0.1:{port}") as producer:
        (link,) = producer.links
        async with netcat("-lk", "127.0.0.1", str(port)) as nc:
            assert nc.stdout is not None
            got = b"".join([await asyncio.wait_for(nc.stdout.readline(), PATIENCE) for _ in range(200)])
            assert got == stream.lines(0, 200)
        await until(lambda: producer.tally.ends.total() == 1)
        written = link.acked_offset
        async with netcat("-lk", "127.0.0.1", str(port)) as nc:
            assert nc.stdout is not None
            got = b"".join([await asyncio.wait_for(nc.stdout.readline(), PATIENCE) for _ in range(200)])
            assert got == stream.lines(written, 200)


async def test_a_raw_target_may_be_an_nc_that_has_nothing_to_say_and_ends_its_own_direction() -> None:
    port = free_port()
    async with netcat("-lkN", "127.0.0.1", str(port)) as nc:
        assert nc.stdin is not None
        assert nc.stdout is not None
        nc.stdin.close()
        async with producing(f"raw://127.0.0.1:{port}") as producer:
            got = b"".join([await asyncio.wait_for(nc.stdout.readline(), PATIENCE) for _ in range(200)])
            assert got == NumberStream("42", f"raw-127.0.0.1-{port}", "integers:1:100").lines(0, 200)
            assert producer.links[0].reconnects == 0


async def test_a_raw_source_may_be_an_nc_that_ends_with_its_input() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker:
        assert worker.address is not None
        for _ in range(2):
            async with netcat("-N", "127.0.0.1", str(worker.address[1])) as nc:
                assert nc.stdin is not None
                nc.stdin.write(b"".join(b"%d\n" % number for number in range(1, 11)) + b"11")
                nc.stdin.close()
                assert await asyncio.wait_for(nc.wait(), PATIENCE) == 0
            await until(lambda: worker.line.holder is None)
        assert sink.taken == b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n" * 2


async def test_an_nc_that_has_much_more_to_send_shows_which_line_is_no_number() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker:
        assert worker.address is not None
        async with netcat("-N", "127.0.0.1", str(worker.address[1])) as nc:
            assert nc.stdin is not None
            assert nc.stdout is not None
            nc.stdin.write(b"1\r\n+2\r\n10.0.0.1\r\n" + b"12345678\r\n" * 200_000)
            nc.stdin.close()
            said = await asyncio.wait_for(nc.stdout.read(), PATIENCE)
        assert b"\n# line 3 is not a number: '10.0.0.1'; " in said
        assert said.endswith(b"\n#close reason=malformed\n")
        assert sink.taken == b"1\n2\n"
