"""Half-close: the end of a peer's bytes is the end of the connection; a worker's last words are not lost to a reset."""

from __future__ import annotations

import asyncio

from tests.store.streams import OFFERED
from tests.support.roles import a_worker

from randstream.protocol.frames import Beat, encode


async def test_half_close_of_the_peer_ends_the_connection() -> None:
    async with a_worker() as worker:
        reader, writer = await asyncio.open_connection(*await worker.wait_listening())
        writer.write(encode(OFFERED))
        await reader.readline()
        assert (await reader.readline()).startswith(b"#resume")
        writer.write(encode(Beat(0, 0, "1")))
        assert await reader.readline() == b"#ack offset=0 t=1\n"
        writer.write_eof()
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


async def test_half_close_after_the_last_words_reads_on_so_that_they_arrive() -> None:
    async with a_worker() as worker:
        reader, writer = await asyncio.open_connection(*await worker.wait_listening())
        writer.write(encode(OFFERED))
        await reader.readline()
        await reader.readline()
        writer.write(encode(Beat(0, 1, "1")) + b"52\n" * 100_000)  # a wrong checksum, and much after it
        async with asyncio.timeout(5):
            assert await reader.read() == b"#close reason=mismatch\n"
        writer.close()
