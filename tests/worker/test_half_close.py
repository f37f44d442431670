"""Half-close: the end of a peer's bytes is the end of the connection; a worker's last words are not lost to a reset."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.protocol.network import beat_line
from tests.store.streams import OFFERED
from tests.support.peers import Peer, dialled
from tests.support.roles import a_worker
from tests.support.waiting import until
from tests.worker.vault import Late, Vault, interval, numbers

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


async def is_just_there(peer: Peer, sink: Vault | Late) -> None:
    await peer.line_starting(b"#hello")


async def waits_for_the_sink(peer: Peer, sink: Vault | Late) -> None:
    sink.gate.clear()
    sink.append(numbers(0, 5), 5)
    sink.prove(Beat(5, 0, "1"))
    committing = asyncio.ensure_future(sink.commit())
    await asyncio.sleep(0)
    await peer.join()
    assert (await peer.line()).startswith(b"#wait")
    committing.cancel()


async def has_its_turn(peer: Peer, sink: Vault | Late) -> None:
    await peer.open()


async def streams(peer: Peer, sink: Vault | Late) -> None:
    await peer.start()
    peer.say(interval(0, 5), numbers(5, 3))
    await peer.line_starting(b"#ack offset=5 ")


async def is_stalled(peer: Peer, sink: Vault | Late) -> None:
    await peer.start()
    sink.gate.clear()
    peer.say(interval(0, 5))
    for _ in range(4):
        await asyncio.sleep(1.0)
        peer.say(beat_line(5))


async def is_raw(peer: Peer, sink: Vault | Late) -> None:
    peer.say(b"1\n2")
    await until(lambda: isinstance(sink, Late) and sink.written == b"1\n")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (is_just_there, Late),
        (waits_for_the_sink, Vault),
        (has_its_turn, Late),
        (streams, Late),
        (is_stalled, Vault),
        (is_stalled, Late),
        (is_raw, Late),
    ],
)
async def test_half_close_of_the_producer_ends_the_connection_at_once_in_each_state(
    state: Callable[[Peer, Vault | Late], Awaitable[None]], kind: type[Vault | Late]
) -> None:
    sink = kind()
    sink.gate.set()
    async with a_worker(sink, accept_raw=True) as worker:
        async with dialled(worker) as peer:
            await state(peer, sink)
            began = worker.clock.now()
            peer.writer.write_eof()
            await peer.rest()
            assert worker.clock.now() - began < 0.1
            assert worker.line.holder is None
            assert not worker.line.waiting
        sink.gate.set()
        if state is is_raw:
            await until(lambda: isinstance(sink, Late) and sink.written == b"1\n2\n")
        async with dialled(worker) as peer:
            assert (await peer.open()).startswith(b"#resume")


async def test_half_close_of_a_producer_that_stands_by_ends_its_connection_and_no_other() -> None:
    async with a_worker() as worker, dialled(worker) as serving, dialled(worker) as peer:
        await serving.start()
        await peer.stand_by()
        peer.writer.write_eof()
        assert await peer.rest() == b""
        assert not worker.line.waiting
        serving.say(interval(0, 5))
        await serving.line_starting(b"#ack offset=5 ")


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
