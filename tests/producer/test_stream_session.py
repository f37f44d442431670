"""StreamSession: one connection to a worker: what it sends, what an ack moves, how it ends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest
from tests.producer.links import numbers_until_beat, only
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import Peer, a_listener, ack_of, key
from tests.support.roles import a_producer, producing
from tests.support.stream import stream
from tests.support.waiting import patience, until

from randstream.errors import LocalProtocolError
from randstream.observe.status import LinkState
from randstream.producer.producer import Producer
from randstream.producer.stream_session import StreamSession
from randstream.protocol import WINDOW_BYTES
from randstream.protocol.events import Started


async def test_a_link_sends_the_numbers_from_the_offset_that_the_worker_names() -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        beat = await peer.accept(b"#resume offset=1200\n")
        assert beat.startswith(b"#beat offset=1200 crc=00000000 t=")
        numbers, beat = await numbers_until_beat(peer)
        count = numbers.count(b"\n")
        assert numbers == stream().lines(1200, count)
        assert key(beat, "offset") == str(1200 + count)
        peer.say(ack_of(beat))
        peer.cut()


async def test_a_repeated_ack_has_no_round_trip() -> None:
    async with a_listener() as listener, producing(listener, rate=1) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.say(b"#ack offset=0\n")
        await until(lambda: only(producer).heard_at is not None)
        assert only(producer).round_trip is None


async def test_wait_means_stalled_and_resume_ends_it(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        peer.say(b"#hello randstream/1 worker=worker-0\n")
        await peer.line()
        peer.say(b"#wait\n")
        await log.wait("link.stalled")
        assert only(producer).state is LinkState.STALLED
        peer.say(b"#wait\n", b"#resume offset=0\n")
        await peer.line_starting(b"#beat ")
        assert only(producer).state is LinkState.STREAMING
        assert len(log.of("link.stalled")) == 1


@pytest.mark.parametrize(
    ("why", "reason"), [("disk-full", "the disk of the worker's store is full"), ("moon", "no numbers: moon")]
)
async def test_why_a_worker_takes_no_numbers_is_the_links_reason_until_it_takes_them(
    why: str, reason: str, log: Log
) -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=1.0) as producer:
        peer = await listener.peer()
        beat = await peer.accept()
        peer.say(ack_of(beat))
        await log.wait("link.resumed")
        began = producer.clock.wall_time()
        for _ in range(5):
            beat = await answer_next_beat(producer, peer, b"#ack offset=0 why=%s\n" % why.encode())
        (stalled,) = log.of("link.stalled")
        status = only(producer).status(producer.clock.now(), 0.0)
        assert status.state is LinkState.STALLED
        assert status.reason == stalled["why"]
        assert stalled["why"].endswith(reason)
        assert status.since == pytest.approx(began, abs=1.1)
        peer.say(ack_of(beat))
        await log.wait("link.recovered")
        status = only(producer).status(producer.clock.now(), 0.0)
        assert (status.state, status.reason, status.since) == (LinkState.STREAMING, None, None)


async def test_why_is_told_also_while_nothing_has_been_sent(log: Log) -> None:
    async with a_listener() as listener, producing(listener, rate=1e-9, heartbeat_interval=1.0) as producer:
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        await log.wait("link.resumed")
        await answer_next_beat(producer, peer, b"#ack offset=0 why=command-stuck\n")
        assert only(producer).reason == "the worker's command does not read its numbers"
        await answer_next_beat(producer, peer, b"#ack offset=0\n")
        assert only(producer).reason is None
        assert len(log.of("link.recovered")) == 1


async def test_a_link_whose_acks_do_not_move_is_stalled_until_they_do(log: Log) -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=1.0) as producer:
        peer = await listener.peer()
        await peer.accept()
        for _ in range(3):
            await answer_next_beat(producer, peer)
            assert only(producer).state is LinkState.STREAMING
        beat = b""
        while only(producer).state is not LinkState.STALLED:
            beat = await answer_next_beat(producer, peer)
        peer.say(ack_of(beat))
        assert (await log.wait("link.recovered"))["acked"] == int(key(beat, "offset"))
        assert only(producer).state is LinkState.STREAMING
        assert log.of("link.lost") == []


async def answer_next_beat(producer: Producer, peer: Peer, *answers: bytes) -> bytes:
    """Wait for the next beat; say `answers`, or the last ack again, until they are heard; return the beat."""
    beat = await peer.line_starting(b"#beat ")
    heard = only(producer).heard_at
    peer.say(*(answers or [b"#ack offset=%d\n" % only(producer).acked_offset]))
    await until(lambda: only(producer).heard_at != heard)
    return beat


async def test_a_link_whose_acks_move_though_ever_later_is_not_stalled(log: Log) -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=1.0) as producer:
        peer = await listener.peer()
        await peer.accept()
        beats: list[bytes] = []
        for _ in range(8):  # one ack in two seconds: eight beats behind in the end
            beats.append(await answer_next_beat(producer, peer))
            beats.append(await answer_next_beat(producer, peer, ack_of(beats.pop(0))))
        assert log.of("link.stalled") == log.of("link.lost") == []


@pytest.mark.parametrize("rate", [1e9, "max"])
async def test_window_bounds_what_a_link_sends_to_a_worker_that_acks_nothing_new(rate: Any) -> None:
    async with a_listener() as listener, producing(listener, rate=rate) as producer:
        peer = await listener.peer()
        await peer.accept()
        got, data = 0, b""
        while got < WINDOW_BYTES - 2**20 or b"#beat" not in data[-200:]:
            data = await peer.reader.read(2**20)
            got += len(data)
            peer.say(b"#ack offset=0\n")
        sent, beaten, beat = -1, 0, b""
        while beaten != sent:  # beats go on, numbers do not
            sent = beaten
            beat = await answer_next_beat(producer, peer)
            beaten = int(key(beat, "offset"))
        assert WINDOW_BYTES - 2**20 < producer.tally.number_bytes <= WINDOW_BYTES
        assert only(producer).offset == sent
        peer.say(ack_of(beat))
        await until(lambda: only(producer).offset > sent)
        peer.cut()


@pytest.mark.kernel
async def test_a_worker_that_reads_nothing_is_sent_a_bounded_amount() -> None:
    async with a_listener() as listener, producing(listener, rate="max") as producer:
        peer = await listener.peer()
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        await peer.accept()
        peer.transport.pause_reading()
        sent = -1
        while sent != only(producer).offset:
            sent = only(producer).offset
            peer.say(b"#ack offset=0\n")
            heard = only(producer).heard_at
            await until(lambda heard=heard: only(producer).heard_at != heard)
        assert producer.tally.number_bytes <= WINDOW_BYTES


async def test_a_bug_in_a_callback_ends_the_producer_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError("a bug")

    async with a_listener() as listener:
        producer = a_producer(listener.target)
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        monkeypatch.setattr("randstream.producer.stream_session.Pacer", fail)
        running = asyncio.ensure_future(producer.run())
        peer = await listener.peer()
        peer.say(b"#hello randstream/1 worker=worker-0\n")
        await peer.line_starting(b"#open ")
        peer.say(b"#resume offset=0\n")
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(running, patience())


async def test_what_only_a_producer_says_is_a_bug_if_it_comes_as_an_event_of_a_worker() -> None:
    async with a_listener() as listener, producing(listener) as producer:
        await (await listener.peer()).accept()
        with pytest.raises(LocalProtocolError):
            cast("StreamSession", only(producer).session).on_event(Started(0), 0.0)


async def test_drain_sends_a_final_beat_waits_for_its_ack_and_closes_with_shutdown(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(listener.target, heartbeat_interval=60) as producer:
            peer = await listener.peer()
            peer.say(ack_of(await peer.accept()))
            await until(lambda: only(producer).offset > 10)
            producer.stop()
            numbers, beat = await numbers_until_beat(peer)
            count = numbers.count(b"\n")
            assert numbers == stream().lines(0, count)
            assert key(beat, "offset") == str(count)
            assert log.of("link.closed") == []
            peer.say(ack_of(beat))
            assert await peer.rest() == b"#close reason=shutdown\n"
        assert log.of("link.closed")[0]["acked"] == count
        assert log.of("producer.grace_over") == []


GREETING = b"#hello randstream/1 worker=w\n"


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ([], LinkState.OPENING),
        ([GREETING], LinkState.OPENING),
        ([GREETING, b"#wait\n"], LinkState.STALLED),
        ([GREETING, b"#wait by=producer-1\n"], LinkState.STANDBY),
    ],
)
async def test_draining_says_goodbye_at_once_in_the_handshake_and_in_line(lines: list[bytes], state: LinkState) -> None:
    async with a_listener() as listener:
        async with producing(listener.target, grace_period=60) as producer:
            peer = await listener.peer()
            for line in lines:
                peer.say(line)
                if line.startswith(b"#hello"):
                    await peer.line_starting(b"#open ")
            await until(lambda: only(producer).state is state)
        assert await peer.rest() == b"#wait\n" * (len(lines) == 2) + b"#close reason=shutdown\n"


# ---- half-close ------------------------------------------------------------------------------------------------------


async def has_been_greeted(peer: Peer) -> None:
    await peer.greet()


async def stands_by(peer: Peer) -> None:
    await peer.greet()
    await peer.hold(b"#wait by=producer-9 offset=5\n")


async def waits_for_the_sink(peer: Peer) -> None:
    await peer.greet()
    await peer.hold(b"#wait\n")


async def proves_itself(peer: Peer) -> None:
    await peer.accept()


async def streams(peer: Peer) -> None:
    peer.say(ack_of(await peer.accept()))
    await numbers_until_beat(peer)


async def is_stalled(peer: Peer) -> None:
    beat = await peer.accept()
    for _ in range(5):
        peer.say(ack_of(beat), b"#ack offset=0\n")
        await asyncio.sleep(0.1)


async def is_just_there(peer: Peer) -> None:
    """The worker has not said a word."""


@pytest.mark.parametrize(
    "state", [is_just_there, has_been_greeted, stands_by, waits_for_the_sink, proves_itself, streams, is_stalled]
)
async def test_half_close_of_the_worker_ends_the_connection_at_once_in_each_state(state: Any, log: Log) -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=0.1):
        peer = await listener.peer()
        await state(peer)
        loop = virtual_loop()
        began = loop.time()
        peer.writer.write_eof()
        await until(lambda: log.of("link.lost") or log.of("link.unreachable"))
        assert loop.time() - began < 0.05
        (lost,) = [*log.of("link.lost"), *log.of("link.unreachable")]
        assert lost["reason"] == "cut"
        await peer.rest()
        await (await listener.peer()).accept()


@pytest.mark.kernel
async def test_half_close_of_a_worker_that_reads_nothing_ends_the_connection_at_once(log: Log) -> None:
    async with a_listener() as listener, producing(listener, rate="max", heartbeat_interval=60) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.transport.pause_reading()
        link = only(producer)
        await until(lambda: link.session and not link.session.connection.is_writable)
        peer.writer.write_eof()
        assert (await log.wait("link.lost"))["reason"] == "cut"  # long before its silence would be noticed
        await listener.peer()
