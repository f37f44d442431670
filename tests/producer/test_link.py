"""Links to a worker spoken by hand: the handshake, stalls, silence, reconnects, the graceful end."""

from __future__ import annotations

import asyncio
import itertools
from typing import Final

import pytest
from tests.producer.links import Longest, numbers_until_beat, only
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import a_listener, ack_of, key
from tests.support.ports import free_port
from tests.support.roles import producing
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.backoff import LONGEST_DELAY
from randstream.errors import Reason
from randstream.observe.link_report import LINK_LINES_A_MINUTE
from randstream.observe.status import LinkState
from randstream.producer.haste import DELAY_SECONDS, HASTE_SECONDS
from randstream.producer.link import STREAMS_REMEMBERED
from randstream.protocol import MAX_OFFSET

GREETING: Final = b"#hello randstream/1 worker=worker-0\n"
SWALLOWS: Final = "10.0.0.9"
"""An address where nothing is: what is sent there is lost, and a dial is never answered."""


async def test_start_offset_is_the_highest_that_was_acked_at_that_target() -> None:
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


async def test_start_offset_may_be_one_that_a_standby_was_told_in_a_wait() -> None:
    async with a_listener() as listener, producing(listener) as producer:
        for told, start in (
            (b"#wait by=producer-1 offset=5000\n", 5000),
            (b"#wait offset=7000\n", 7000),
            (b"#wait by=producer-1 offset=3\n", 7000),
        ):
            peer = await listener.peer()
            await peer.greet()
            await peer.hold(told)
            peer.say(b"#resume\n")
            assert (await peer.line()).startswith(b"#beat offset=%d " % start)
            peer.cut()
        peer = await listener.peer()
        assert (await peer.accept(b"#resume\n")).startswith(b"#beat offset=7000 ")
        assert only(producer).start_offset() == 7000
        peer.cut()


MOST = str(MAX_OFFSET).encode()


@pytest.mark.parametrize(
    "lie", [b"#wait by=x offset=%s\n" % MOST, b"#wait offset=%s\n" % MOST, b"#resume offset=%s\n" % MOST]
)
async def test_start_offset_at_one_target_is_never_moved_by_what_another_says(lie: bytes) -> None:
    async with a_listener() as liar, a_listener() as honest, producing(liar, honest) as producer:
        false, true = producer.links
        peer = await liar.peer()
        await peer.greet()
        peer.say(lie)
        if (answer := await peer.line()).startswith(b"#beat"):
            peer.say(ack_of(answer))
        await until(lambda: false.start_offset() == MAX_OFFSET)
        greeted = await honest.peer()
        greeted.say(GREETING)  # the same name, which the liar has
        assert await greeted.rest() == b"#close reason=refused\n"
        assert true.state is LinkState.RESTING
        peer.cut()
        assert (await (await honest.peer()).accept(b"#resume\n")).startswith(b"#beat offset=0 ")
        assert true.start_offset() == 0


async def test_start_offset_is_remembered_for_a_number_of_streams() -> None:
    async with a_listener() as listener, producing(listener) as producer:
        for number in range(STREAMS_REMEMBERED + 2):
            peer = await listener.peer()
            await peer.accept(b"#resume offset=%d\n" % (number + 1), name=f"worker-{number}")
            peer.cut()
        for number, start in ((1, 0), (STREAMS_REMEMBERED + 1, STREAMS_REMEMBERED + 2)):
            peer = await listener.peer()
            beat = await peer.accept(b"#resume\n", name=f"worker-{number}")
            assert beat.startswith(b"#beat offset=%d " % start)
            peer.cut()
        assert only(producer).worker == f"worker-{STREAMS_REMEMBERED + 1}"


async def test_backoff_starts_over_at_the_fourth_wait_of_one_connection() -> None:
    chance = Longest()
    async with a_listener() as listener, producing(listener, random=chance) as producer:
        for waits in (3, 3, 3, 4, 3):
            peer = await listener.peer()
            await peer.greet()
            ends = producer.tally.ends.total()
            for _ in range(waits):
                await peer.hold(b"#wait by=producer-1\n")
            peer.cut()
            await until(lambda before=ends: producer.tally.ends.total() > before)
    assert chance.delays == [0.1, 0.2, 0.4, 0.1, 0.2]


async def test_yielded_is_no_trouble_and_followed_by_a_short_delay(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.say(b"#close reason=yield\n")
        yielded = await log.wait("link.yielded")
        assert yielded["retry_in"] <= 0.1
        assert (only(producer).reconnects, only(producer).last_error) == (0, None)
        assert producer.tally.ends == {Reason.YIELD: 1}
        assert log.of("link.lost") == []
        await listener.peer()


async def test_line_limit_makes_the_producer_come_again_ever_more_rarely_until_it_has_stood_in_line(log: Log) -> None:
    chance = Longest()
    async with a_listener() as listener, producing(listener, random=chance) as producer:
        for times in range(8):
            peer = await listener.peer()
            await peer.greet()
            if times == 6:
                peer.say(b"#wait by=producer-1\n")
                await peer.line()
            peer.say(b"#close reason=spare\n")
            await peer.rest()
        await until(lambda: producer.tally.failures[Reason.SPARE] == 8)
        assert only(producer).last_error is None
        assert (log.of("link.lost"), log.of("link.unreachable")) == ([], [])
        assert log.of("link.spare")[0]["log_level"] == "info"
    assert chance.ranges == [(0, bound) for bound in (5, 10, 20, 40, 60, 60, 5, 10)]


async def test_standby_shows_who_serves_and_how_far_and_says_it_once(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        await peer.greet()
        for by, offset in ((b"producer-1", 5), (b"producer-1", 9), (b"producer-2", 12)):
            await peer.hold(b"#wait by=%s offset=%d\n" % (by, offset))
            link = only(producer)
            assert (link.state, link.served_by, link.acked_offset) == (LinkState.STANDBY, by.decode(), offset)
        assert [each["by"] for each in log.of("link.standing_by")] == ["producer-1", "producer-2"]
        assert (link.is_up, producer.tally.acked_numbers, producer.problem) == (True, 0, None)
        peer.say(b"#resume offset=12 after=promotion\n")
        beat = await peer.line()
        assert beat.startswith(b"#beat offset=12 ")
        assert (link.state, link.served_by) == (LinkState.STREAMING, "producer-0")
        assert log.of("link.resumed") == []
        peer.say(ack_of(beat))
        assert (await log.wait("link.resumed"))["after"] == "promotion"
        peer.cut()


async def test_other_stream_is_warned_of_by_the_producer_that_waits_behind_it(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        await peer.greet()
        peer.say(b"#wait by=producer-1 stream=0123456789abcdef\n")
        warned = await log.wait("link.other_stream")
        assert (warned["served"], warned["served_by"]) == ("0123456789abcdef", "producer-1")
        assert warned["log_level"] == "warning"
        assert only(producer).reason == only(producer).last_error
        assert str(only(producer).reason).startswith("producer-1 serves another stream, 0123456789abcdef: ")
        peer.cut()


async def test_draining_closes_a_link_that_waits_though_a_resume_crosses_that() -> None:
    async with a_listener() as listener:
        async with producing(listener.target, grace_period=60) as producer:
            peer = await listener.peer()
            await peer.greet()
            await peer.hold(b"#wait by=producer-1\n")
            producer.stop()
            peer.say(b"#resume offset=5\n")
        assert await peer.rest() == b"#close reason=shutdown\n"


async def test_instance_is_one_for_each_link_and_the_same_on_each_of_its_connections(log: Log) -> None:
    async with a_listener() as one, a_listener() as other, producing(one, other) as producer:
        seen = []
        for listener, name in ((one, "a"), (other, "b"), (one, "a")):
            peer = await listener.peer()
            seen.append(key(await peer.greet(name), "instance"))
            peer.cut()
        assert seen == [link.instance for link in (*producer.links, producer.links[0])]
        assert seen[0] != seen[1]
        assert not any(instance in str(log.events) for instance in seen)


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
        assert 0 <= status.round_trip < 0.01
        assert link.state is LinkState.STREAMING
        assert list(link.recent_numbers(0, 10**9)) == list(stream().read(0, link.offset))
        assert len(link.recent_numbers(link.offset, 5)) == 0
        assert producer.tally.acked_numbers == int(key(beat, "offset"))
        peer.cut()
        await log.wait("link.lost")
        assert link.reconnects == 0
        peer = await listener.peer()
        await peer.accept()
        _, beat = await numbers_until_beat(peer)
        peer.say(ack_of(beat))
        await until(lambda: link.reconnects == producer.tally.reconnects == 1)


async def test_reconnect_for_ever_with_delays_that_start_over_at_the_first_ack_above_the_opening_beat() -> None:
    chance = Longest()
    async with a_listener() as listener, producing(listener, random=chance) as producer:
        for _ in range(8):  # neither a connection, nor #resume, nor the ack of the opening beat is progress
            peer = await listener.peer()
            peer.say(ack_of(await peer.accept()))
            await peer.line()
            peer.cut()
        peer = await listener.peer()
        await peer.accept()
        _, beat = await numbers_until_beat(peer)
        peer.say(ack_of(beat))
        await until(lambda: only(producer).acked_offset)
        peer.cut()
        await listener.peer()
    assert chance.delays == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 0.1]  # of the first minute


async def test_backoff_grows_to_the_longest_delay_once_a_minute_has_passed_without_progress() -> None:
    chance = Longest()
    async with a_listener() as listener, producing(listener, random=chance) as producer:
        began = producer.clock.now()
        while producer.clock.now() < began + HASTE_SECONDS:
            peer = await listener.peer()
            peer.say(ack_of(await peer.accept()))
            peer.cut()
        count = len(chance.delays)
        await until(lambda: len(chance.delays) > count + 2)
    assert chance.delays[count - 1] == DELAY_SECONDS
    assert chance.delays[-1] == LONGEST_DELAY


@pytest.mark.parametrize("reason", ["version", "refused", "malformed", "too-long", "mismatch", "busy"])
async def test_longest_delay_follows_an_end_that_haste_cannot_mend(reason: str, log: Log) -> None:
    async with a_listener() as listener, producing(listener, random=Longest()) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.say(f"#close reason={reason}\n".encode())
        lost = await log.wait("link.lost")
        assert (lost["reason"], lost["retry_in"]) == (reason, LONGEST_DELAY)
        assert only(producer).last_error == f"the peer closed the connection: {reason}"


@pytest.mark.parametrize(
    "line", [b"#hello randstream/2 worker=worker-0\n", b"HTTP/1.1 400 Bad Request\r\n", b"#" * 600]
)
async def test_longest_delay_follows_what_is_no_worker(line: bytes, log: Log) -> None:
    async with a_listener() as listener, producing(listener, random=Longest()):
        peer = await listener.peer()
        peer.say(line)
        assert (await log.wait("link.unreachable"))["retry_in"] == LONGEST_DELAY
        assert (await peer.rest()).startswith(b"#close reason=")


@pytest.mark.parametrize("reason", ["shutdown", "timeout", "a-word-of-tomorrow"])
async def test_a_polite_or_unknown_end_is_followed_by_a_short_delay(reason: str, log: Log) -> None:
    event = "link.closed" if reason == "shutdown" else "link.lost"
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        await peer.accept()
        peer.say(f"#close reason={reason}\n".encode())
        assert (await log.wait(event))["retry_in"] <= 0.1


async def test_successor_makes_the_producer_wait_5_to_10_seconds_doubling_though_it_makes_progress_between() -> None:
    chance = Longest()
    async with a_listener() as listener, producing(listener, random=chance) as producer:
        for times in range(1, 6):
            peer = await listener.peer()
            await peer.accept()
            _, beat = await numbers_until_beat(peer)
            peer.say(ack_of(beat), b"#close reason=takeover\n")
            await until(lambda times=times: producer.tally.ends.total() == times)
        assert producer.tally.ends == {Reason.TAKEOVER: 5}
    assert chance.ranges == [(5, 10), (10, 20), (20, 40), (30, 60), (30, 60)]


async def test_silence_past_the_deadline_is_a_timeout_and_the_link_dials_again(log: Log) -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        await peer.accept()
        lost = await log.wait("link.lost")
        assert lost["reason"] == "timeout"
        assert (await peer.rest()).endswith(b"#close reason=timeout\n")
        await listener.peer()


async def test_late_timer_ends_nothing_on_a_link(log: Log) -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        virtual_loop().block(100.0)
        beat = await peer.line_starting(b"#beat ")
        peer.say(ack_of(beat))
        virtual_loop().block(100.0)
        beat = await peer.line_starting(b"#beat ")
        assert log.of("link.lost") == []


async def test_an_unreachable_worker_is_said_once_and_then_at_intervals(log: Log) -> None:
    async with producing(f"127.0.0.1:{free_port()}") as producer:
        await until(lambda: producer.tally.failures.total() == 10)
        assert len(log.of("link.unreachable")) == 1
        again = await log.wait("link.unreachable", 2)
        assert again["left_out"] >= 9
        assert [entry.event for entry in producer.journal.entries] == ["link.unreachable"]


async def test_a_link_that_flaps_says_so_a_few_times_a_minute(log: Log) -> None:
    began = virtual_loop().time()
    async with a_listener() as listener, producing(listener) as producer:
        for _ in range(3 * LINK_LINES_A_MINUTE):
            peer = await listener.peer()
            peer.say(ack_of(await peer.accept()))
            peer.cut()
        assert producer.tally.ends["cut"] >= 2 * LINK_LINES_A_MINUTE
        assert virtual_loop().time() - began < 60
        assert len([event for event in log.events if event["event"].startswith("link.")]) == LINK_LINES_A_MINUTE


async def test_drain_aborts_when_the_grace_is_over(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(listener.target, heartbeat_interval=60) as producer:
            peer = await listener.peer()
            await peer.accept()
            await until(lambda: only(producer).offset > 0)
        assert log.of("producer.grace_over")[0]["unacknowledged_links"] == 1
        assert b"#close" not in await peer.rest()
        assert only(producer).is_finished


async def test_drain_of_a_link_that_waits_or_dials_is_done_at_once() -> None:
    async with producing(f"127.0.0.1:{free_port()}", f"{SWALLOWS}:9", grace_period=60) as producer:
        states = [LinkState.WAITING, LinkState.DIALLING]
        await until(lambda: [link.state for link in producer.links] == states)
        stopped_at = producer.clock.now()
    assert producer.clock.now() - stopped_at < 0.1
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


async def test_drain_while_connecting_closes_the_socket_that_comes_too_late() -> None:
    async with a_listener() as listener:
        for turns in range(10):  # whichever moment of the dial the end meets
            async with producing(listener.target, grace_period=60):
                for _ in range(turns):
                    await asyncio.sleep(0)
        for peer in itertools.islice(listener.accepted, 10):
            assert b"#open" not in await peer.rest()
