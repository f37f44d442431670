"""Links to raw peers: number lines only; silence is not a failure; after a cut the next unwritten number follows."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.producer.links import Longest, only
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import Peer, a_listener
from tests.support.roles import producing
from tests.support.waiting import until

from randstream.backoff import LONGEST_DELAY
from randstream.clock import Clock
from randstream.errors import LocalProtocolError
from randstream.numbers.stream import NumberStream
from randstream.observe.status import LinkState
from randstream.producer.link import Link
from randstream.producer.producer import Producer
from randstream.producer.raw_session import RawSession
from randstream.protocol.events import Waited


def raw_stream(port: int, numbers: str = "integers:1:100") -> NumberStream:
    return NumberStream("42", f"raw-127.0.0.1-{port}", numbers)


async def lines(peer: Peer, count: int) -> bytes:
    return b"".join([await peer.line() for _ in range(count)])


async def test_raw_target_gets_number_lines_and_nothing_else_and_the_log_tells_whose(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(f"raw://{listener.target}") as producer:
            peer = await listener.peer()
            got = await lines(peer, 50)
            (link,) = producer.links
            assert link.label == (f"raw-127.0.0.1-{listener.port}", f"raw://{listener.target}")
            (resumed,) = log.of("link.resumed")
            assert resumed["worker"] == f"raw-127.0.0.1-{listener.port}"
        got += await peer.rest()
        assert got == raw_stream(listener.port).lines(0, got.count(b"\n"))
        assert link.acked_offset == link.offset == got.count(b"\n") == producer.tally.acked_numbers


async def test_raw_target_may_say_what_it_likes_or_nothing(log: Log) -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=1):
        peer = await listener.peer()
        await lines(peer, 5)
        peer.say(b"#close reason=version\n", b"\xff" * 10_000)
        await lines(peer, 3600)
        assert log.of("link.lost") == []


async def test_raw_target_goes_on_after_a_cut_with_the_next_number_that_was_not_written(log: Log) -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}") as producer:
        (link,) = producer.links
        written = 0
        for times in (1, 2):
            peer = await listener.peer()
            assert await lines(peer, 5) == raw_stream(listener.port).lines(written, 5)
            peer.cut()
            written = (await log.wait("link.lost", times))["acked"]
            assert written >= 5 * times
            resumed = await log.wait("link.resumed", times + 1)
            assert resumed["offset"] == written
        assert link.reconnects == 2


@pytest.mark.parametrize("kernel", [pytest.param("ours", marks=pytest.mark.kernel), "pretended"])
async def test_raw_target_may_end_its_own_direction_and_read_on(kernel: str, log: Log) -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=200) as producer:
        peer = await listener.peer()
        got = await lines(peer, 5)
        peer.writer.write_eof()
        got += await lines(peer, 500)  # for longer than it is doubted
        (link,) = producer.links
        await until(lambda: link.acked_offset >= 500)
        producer.stop()
        got += await peer.rest()
        assert got == raw_stream(listener.port).lines(0, got.count(b"\n"))
        assert link.reconnects == 0
        assert log.of("link.lost") == []


async def test_raw_target_may_end_its_own_direction_before_the_first_number() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=1 / 60) as producer:
        peer = await listener.peer()
        peer.writer.write_eof()
        assert await lines(peer, 3) == raw_stream(listener.port).lines(0, 3)
        assert only(producer).acked_offset >= 2


@pytest.mark.kernel
async def test_raw_target_may_end_its_own_direction_while_it_reads_nothing_and_then_gets_every_number() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate="max") as producer:
        peer = await listener.peer()
        peer.transport.pause_reading()
        link = only(producer)
        await until(lambda: link.session and not link.session.connection.is_writable)
        peer.writer.write_eof()
        held = link.offset
        peer.transport.resume_reading()
        got = bytearray()
        while got.count(b"\n", -(2**20)) < 1000 or got.count(b"\n") < held + 50_000:
            got += await peer.reader.read(2**20)
        producer.stop()
        got += await peer.rest()
        assert got == raw_stream(listener.port).lines(0, got.count(b"\n"))


@pytest.mark.parametrize("rate", [1 / 60, 1])
async def test_raw_target_that_goes_after_its_end_is_sent_again_what_came_too_late(rate: float, log: Log) -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=rate) as producer:
        peer = await listener.peer()
        got = await lines(peer, 3)
        peer.writer.close()
        lost = await log.wait("link.lost")
        assert lost["reason"] == "cut"
        got += await peer.rest()
        resumed = await log.wait("link.resumed", 2)
        got += await lines(await listener.peer(), 5)
        assert resumed["offset"] == lost["acked"]
        assert got == raw_stream(listener.port).lines(0, got.count(b"\n"))
        assert producer.tally.acked_numbers == only(producer).acked_offset


@pytest.mark.kernel
@pytest.mark.parametrize("rate", [1e9, "max"])
@pytest.mark.parametrize("numbers", ["integers:1:100", "normal:0:1"])
async def test_raw_target_that_does_not_read_holds_the_link_and_then_gets_every_number(rate: Any, numbers: str) -> None:
    async with a_listener() as listener:
        clock = CountingClock()
        async with producing(f"raw://{listener.target}", rate=rate, numbers=numbers, clock=clock) as producer:
            peer = await listener.peer()
            peer.transport.pause_reading()
            (link,) = producer.links
            await until(lambda: link.session and not link.session.connection.is_writable)
            held = link.offset
            wheel_turns = await turns_of_the_wheel(clock)
            assert link.offset == held > link.acked_offset
            assert wheel_turns <= 1
            peer.transport.resume_reading()
            got, count = bytearray(), 0
            while count < held + 50_000:
                data = await peer.reader.read(2**20)
                got += data
                count += data.count(b"\n")
            producer.stop()
            got += await peer.rest()
        assert got == raw_stream(listener.port, numbers).lines(0, got.count(b"\n"))


class CountingClock(Clock):
    """The real time, and how many timers it was asked for."""

    timers = 0

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        self.timers += 1
        return super().call_at(when, callback)

    def call_soon(self, callback: Callable[[], None]) -> asyncio.Handle:
        self.timers += 1
        return super().call_soon(callback)


async def turns_of_the_wheel(clock: CountingClock) -> int:
    """How often a wheel asks `clock` for another turn while ten of its ticks pass."""
    before = clock.timers
    reached = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, reached.set)
    await reached.wait()
    return clock.timers - before


async def test_raw_target_that_accepts_and_hangs_up_is_dialled_ever_more_rarely() -> None:
    chance = Longest()
    async with a_listener() as listener, producing(f"raw://{listener.target}", random=chance):
        for stays in (0, 0, 0, LONGEST_DELAY):
            peer = await listener.peer()
            await lines(peer, 2)
            await asyncio.sleep(stays)
            peer.cut()
        await listener.peer()
    assert chance.delays == [0.1, 0.2, 0.4, 0.1]


@pytest.mark.kernel
async def test_raw_target_drain_writes_what_it_began_and_closes(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(f"raw://{listener.target}", rate="max", grace_period=60) as producer:
            got, link = await drain_once_it_reads(producer, await listener.peer())
        assert got.endswith(b"\n")
        assert got.count(b"\n") == link.acked_offset
        assert log.of("producer.grace_over") == []


async def test_raw_target_drain_that_waited_for_room_leaves_no_error_of_asyncios_behind() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate="max") as producer:
        await drain_once_it_reads(producer, await listener.peer())


async def drain_once_it_reads(producer: Producer, peer: Peer) -> tuple[bytes, Link]:
    """Stop `producer` while `peer` reads nothing and all buffers are full, then read on: what came, and the link."""
    peer.transport.pause_reading()
    link = only(producer)
    await until(lambda: link.session and not link.session.connection.is_writable)
    producer.stop()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not link.is_finished
    peer.transport.resume_reading()
    got = await peer.rest()
    await until(lambda: link.is_finished)
    return got, link


async def test_raw_target_that_never_reads_cannot_hold_up_the_end(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(f"raw://{listener.target}", rate="max") as producer:
            peer = await listener.peer()
            peer.transport.pause_reading()
            (link,) = producer.links
            await until(lambda: link.session and not link.session.connection.is_writable)
        assert log.of("producer.grace_over")
        assert link.state is LinkState.FINISHED


@pytest.mark.kernel
async def test_raw_target_counts_no_number_of_a_write_that_failed(log: Log) -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=1e6) as producer:
        peer = await listener.peer()
        await lines(peer, 5)
        (link,) = producer.links
        assert link.session is not None
        connection = link.session.connection
        assert connection.transport is not None
        sock = connection.transport.get_extra_info("socket")
        with socket.socket(fileno=os.dup(sock.fileno())) as twin:
            twin.shutdown(socket.SHUT_WR)
        await log.wait("link.lost")
        written = link.acked_offset
        got = await peer.rest()
        assert 5 + got.count(b"\n") == written


async def test_raw_target_counts_the_runs_before_a_write_that_failed() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=2) as producer:
        await listener.peer()
        link, loop = only(producer), virtual_loop()
        await until(lambda: link.is_up)
        session = session_of(link)
        connection = session.connection
        flush = connection.flush
        writes = [True, False]

        def fail_the_second() -> None:
            flush()
            connection.is_writable = bool(writes) and writes.pop(0)

        connection.flush = fail_the_second
        loop.block(1.01)
        session.on_writable(loop.time())
        assert (link.acked_offset, link.offset) == (2, 2)
        loop.block(0.5)
        session.on_writable(loop.time())
        assert (link.acked_offset, link.offset) == (2, 3)


def session_of(link: Link) -> RawSession:
    assert isinstance(link.session, RawSession)
    return link.session


async def test_raw_links_hear_no_events() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}") as producer:
        (link,) = producer.links
        await until(lambda: link.is_up)
        assert isinstance(link.session, RawSession)
        with pytest.raises(LocalProtocolError):
            link.session.on_event(Waited(), 0.0)
