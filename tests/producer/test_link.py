"""Links to a worker that is spoken by hand: the handshake, stalls, silence, reconnects, the graceful end."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from tests.harness import (
    PATIENCE,
    JumpingClock,
    Log,
    Peer,
    a_listener,
    ack_of,
    free_port,
    key,
    producing,
    stream,
    until,
)

from randstream.observe.status import LinkState
from randstream.producer.link import Link
from randstream.producer.producer import Producer


def only(producer: Producer) -> Link:
    (link,) = producer.links
    return link


async def numbers_until_beat(peer: Peer) -> tuple[bytes, bytes]:
    """The number lines up to the next beat, and the beat."""
    numbers = b""
    while not (line := await peer.line()).startswith(b"#"):
        assert line
        numbers += line
    return numbers, line


class CountingDelays:
    """Stands in for `Backoff.delay` and `reset`: no wait, and a count of the delays since the last reset."""

    def __init__(self) -> None:
        self.since_reset = 0

    def __call__(self) -> float:
        self.since_reset += 1
        return 0.0

    def reset(self, backoff: Any = None) -> None:
        self.since_reset = 0


class SlowDial:
    """Stands in for the loop's way to connect: the address `swallows` never answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *swallows: str) -> None:
        self.dialled: list[str] = []
        self._swallows = swallows
        self._create = asyncio.get_running_loop().create_connection
        monkeypatch.setattr("randstream.producer.link.Link._connect", self.wrap(Link._connect))

    def wrap(self, connect: Any) -> Any:
        async def dial(link: Link, address: str) -> None:
            self.dialled.append(address)
            if address in self._swallows:
                await asyncio.Event().wait()
            await connect(link, address)

        return dial


async def a_second_and_a_beat(clock: JumpingClock, producer: Producer, peer: Peer, *answers: bytes) -> bytes:
    """Let a second pass and its beat come, have `answers`, or else the last ack again, heard; the beat."""
    clock.jump(1.0)
    beat = await peer.line_starting(b"#beat ")
    heard = only(producer).heard_at
    peer.say(*(answers or [b"#ack offset=%d\n" % only(producer).acked_offset]))
    await until(lambda: only(producer).heard_at != heard)
    return beat


async def test_start_offset_is_the_highest_acked_in_the_producers_own_life() -> None:
    async with a_listener() as listener, producing(listener) as producer:
        acked = 0
        for resume, start in ((b"#resume\n", 0), (b"#resume offset=5000\n", 5000), (b"#resume offset=3\n", 3)):
            peer = await listener.peer()
            assert (await peer.accept(resume)).startswith(b"#beat offset=%d " % start)
            _, beat = await numbers_until_beat(peer)
            peer.say(ack_of(beat))
            await until(lambda beat=beat: only(producer).acked_offset == int(key(beat, "offset")))
            acked = max(acked, only(producer).acked_offset)
            peer.cut()
        peer = await listener.peer()
        assert (await peer.accept(b"#resume\n")).startswith(b"#beat offset=%d " % acked)


async def test_link_attributes_tell_what_an_observer_asks(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        link = only(producer)
        assert link.label == ("", listener.target)
        beat = await peer.accept()
        peer.say(ack_of(beat))
        _, beat = await numbers_until_beat(peer)
        peer.say(ack_of(beat))
        await until(lambda: link.acked_offset == int(key(beat, "offset")))
        status = link.status(link.heard_at + 2.0 if link.heard_at else 0.0, 10.0)
        assert (status.worker, status.peer, status.stream) == ("worker-0", listener.target, stream().id)
        assert status.silence == 2.0
        assert status.round_trip is not None
        assert 0 <= status.round_trip < PATIENCE
        assert link.state is LinkState.STREAMING
        assert list(link.recent_numbers(0, 10**9)) == list(stream().read(0, link.offset))
        assert len(link.recent_numbers(link.offset, 5)) == 0
        assert producer.tally.acked_numbers == int(key(beat, "offset"))
        peer.cut()
        await log.wait("link.lost")
        assert link.reconnects == 1


async def test_reconnect_for_ever_with_delays_that_start_over_at_the_first_ack_above_the_opening_beat(
    clock: JumpingClock, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("randstream.backoff.Backoff.delay", counting_delays := CountingDelays())
    monkeypatch.setattr("randstream.backoff.Backoff.reset", counting_delays.reset)
    async with a_listener() as listener, producing(listener, clock=clock):
        for _ in range(3):  # neither a connection, nor #resume, nor the ack of the opening beat is progress
            peer = await listener.peer()
            peer.say(ack_of(await peer.accept()))
            await peer.line()
            peer.cut()
        assert counting_delays.since_reset >= 2
        peer = await listener.peer()
        await peer.accept()
        _, beat = await numbers_until_beat(peer)
        peer.say(ack_of(beat))
        await until(lambda: counting_delays.since_reset == 0)


@pytest.mark.parametrize("reason", ["version", "refused", "malformed", "too-long", "mismatch", "busy"])
async def test_longest_delay_follows_an_end_that_haste_cannot_mend(
    reason: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("randstream.backoff.Backoff.longest_delay", lambda self: 4.75)
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.say(f"#close reason={reason}\n".encode())
        lost = await log.wait("link.lost")
        assert (lost["reason"], lost["retry_in"]) == (reason, 4.75)
        assert str(only(producer).last_error).startswith(f"{reason}: ")


@pytest.mark.parametrize(
    "line", [b"#hello randstream/2 worker=worker-0\n", b"HTTP/1.1 400 Bad Request\r\n", b"#" * 600]
)
async def test_longest_delay_follows_what_is_no_worker(line: bytes, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.backoff.Backoff.longest_delay", lambda self: 4.75)
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        peer.say(line)
        assert (await log.wait("link.unreachable"))["retry_in"] == 4.75
        assert (await peer.rest()).startswith(b"#close reason=")


@pytest.mark.parametrize("reason", ["shutdown", "timeout", "a-word-of-tomorrow"])
async def test_a_polite_or_unknown_end_is_followed_by_a_short_delay(reason: str, log: Log) -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        await peer.accept()
        peer.say(f"#close reason={reason}\n".encode())
        assert (await log.wait("link.lost"))["retry_in"] <= 0.1


async def test_successor_makes_the_producer_wait_5_to_10_seconds_doubling_though_it_makes_progress_between(
    clock: JumpingClock, log: Log
) -> None:
    async with a_listener() as listener, producing(listener, clock=clock):
        for number, (least, most) in enumerate([(5, 10), (10, 20), (20, 40), (30, 60), (30, 60)], start=1):
            peer = await listener.peer()
            await peer.accept()
            _, beat = await numbers_until_beat(peer)
            peer.say(ack_of(beat), b"#close reason=takeover\n")
            lost = await log.wait("link.lost", number)
            assert least <= lost["retry_in"] <= most
            assert lost["reason"] == "takeover"
            clock.jump(lost["retry_in"] + 60.0)  # and past the minute that bounds a link's log lines


async def test_silence_past_the_deadline_is_a_timeout_and_the_link_dials_again(log: Log) -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=0.05):
        peer = await listener.peer()
        await peer.accept()
        lost = await log.wait("link.lost")
        assert lost["reason"] == "timeout"
        assert (await peer.rest()).endswith(b"#close reason=timeout\n")
        await listener.peer()


async def test_late_timer_ends_nothing_on_a_link(clock: JumpingClock, log: Log) -> None:
    async with a_listener() as listener, producing(listener, clock=clock):
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        clock.jump(100.0)
        beat = await peer.line_starting(b"#beat ")
        peer.say(ack_of(beat))
        clock.jump(100.0)
        beat = await peer.line_starting(b"#beat ")
        assert log.of("link.lost") == []


async def test_handshake_limit_ends_a_connection_whose_worker_does_not_greet(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("randstream.protocol.end.HANDSHAKE_LIMIT", 0.05)
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        assert (await peer.rest()) == b"#close reason=timeout\n"
        assert (await log.wait("link.unreachable"))["reason"] == "timeout"


async def test_handshake_limit_ends_an_attempt_that_nobody_answers(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.producer.link.HANDSHAKE_LIMIT", 0.05)
    SlowDial(monkeypatch, "127.0.0.1")
    async with producing("127.0.0.1:9"):
        lost = await log.wait("link.unreachable")
        assert (lost["reason"], lost["error"]) == ("timeout", "no connection within the handshake's limit")


async def test_handshake_limit_does_not_count_the_wait_for_a_turn_to_dial(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("randstream.producer.link.HANDSHAKE_LIMIT", 0.1)
    monkeypatch.setattr("randstream.producer.link.DIALS_AT_ONCE", 1)
    SlowDial(monkeypatch, "127.0.0.2")
    async with a_listener() as listener, producing("127.0.0.2:9", listener.target):
        await (await listener.peer()).accept()
        (unreachable,) = log.of("link.unreachable")
        assert unreachable["target"] == "127.0.0.2:9"


async def test_a_kernels_timeout_is_not_taken_for_ours(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async def time_out(link: Link, address: str) -> None:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr("randstream.producer.link.Link._connect", time_out)
    async with producing("127.0.0.1:9"):
        unreachable = await log.wait("link.unreachable")
        assert (unreachable["reason"], unreachable["error"]) == ("cut", "[Errno 110] Connection timed out")


async def test_all_addresses_of_a_name_are_tried_though_one_refuses_and_one_swallows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(resolver: Any, host: str) -> list[str]:
        return ["127.0.0.3", "127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr("randstream.producer.link.HANDSHAKE_LIMIT", 0.3)
    monkeypatch.setattr("randstream.producer.discovery.Resolver.resolve", resolve)
    dial = SlowDial(monkeypatch, "127.0.0.2")
    async with a_listener() as listener, producing(f"somewhere:{listener.port}"):
        await (await listener.peer()).accept()
        assert dial.dialled == ["127.0.0.3", "127.0.0.2", "127.0.0.1"]


async def test_an_unreachable_worker_is_said_once_and_then_at_intervals(clock: JumpingClock, log: Log) -> None:
    async with producing(f"127.0.0.1:{free_port()}", clock=clock) as producer:
        for failures in (5, 10):
            while sum(producer.tally.failures.values()) < failures:
                clock.jump(5.1)
                seen = sum(producer.tally.failures.values())
                await until(lambda seen=seen: sum(producer.tally.failures.values()) > seen)
        assert len(log.of("link.unreachable")) == 1
        clock.jump(30.0)
        again = await log.wait("link.unreachable", 2)
        assert again["left_out"] >= 9
        assert [entry.event for entry in producer.journal.entries] == ["link.unreachable"]


async def test_drain_aborts_when_the_grace_is_over(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(listener.target, grace_period=0.05) as producer:
            peer = await listener.peer()
            await peer.accept()
            await until(lambda: only(producer).offset > 0)
        assert log.of("producer.grace_over")[0]["unacknowledged_links"] == 1
        assert b"#close" not in await peer.rest()
        assert only(producer).is_finished


async def test_drain_of_a_link_that_waits_or_dials_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    SlowDial(monkeypatch, "127.0.0.2")
    async with producing(f"127.0.0.1:{free_port()}", "127.0.0.2:9", grace_period=60) as producer:
        states = [LinkState.WAITING, LinkState.DIALLING]
        await until(lambda: [link.state for link in producer.links] == states)
    assert all(link.is_finished for link in producer.links)


async def test_drain_that_loses_its_connection_is_done(log: Log) -> None:
    async with a_listener() as listener, producing(listener, grace_period=60) as producer:
        peer = await listener.peer()
        await peer.accept()
        await until(lambda: only(producer).offset > 0)
        producer.stop()
        peer.cut()
        await log.wait("link.closed")
        assert log.of("link.lost") == []


async def test_drain_while_connecting_closes_the_socket_that_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_listener() as listener:
        for turns in range(6):  # whichever moment of the dial the end meets
            async with producing(listener.target, grace_period=60):
                for _ in range(turns):
                    await asyncio.sleep(0)
        for peer in itertools.islice(listener.accepted, 10):
            assert b"#open" not in await peer.rest()
