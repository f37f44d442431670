"""What a link counts as interruptions, with a worker spoken by hand and with whole ones. Times are virtual."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest
from tests.producer.links import only
from tests.simulation.virtual import virtual_loop
from tests.support.clock import clock_of_loop
from tests.support.log import Log
from tests.support.peers import Peer, a_listener, ack_of
from tests.support.roles import a_worker, producing, running
from tests.support.waiting import until
from tests.worker.vault import Vault

from randstream.observe.interruptions import Interruption, InterruptionsStatus, Pause
from randstream.observe.status import LinkState
from randstream.producer.producer import Producer
from randstream.settings import ProducerSettings

HEARTBEAT: Final = 1.0
ROUND_TRIP: Final = 0.05
"""More than one takes here."""
RARELY: Final = 1 / 300


def told(producer: Producer) -> InterruptionsStatus:
    return only(producer).interruptions.status(producer.clock.now())


def the(status: InterruptionsStatus) -> Interruption:
    """The only one."""
    (interruption,) = status.last
    assert (status.count, status.longest, status.total) == (1, interruption.seconds, interruption.seconds)
    assert status.current is None
    return interruption


async def answer(peer: Peer, seconds: float) -> None:
    """Acknowledge every beat for `seconds`."""
    end = clock_of_loop().now() + seconds
    while clock_of_loop().now() < end:
        peer.say(ack_of(await peer.line_starting(b"#beat ")))


@pytest.mark.parametrize("rate", [RARELY, 10, 1000])
async def test_a_link_that_is_answered_is_never_interrupted_however_slow_its_stream(rate: float) -> None:
    async with a_worker() as worker, producing(worker, rate=rate, heartbeat_interval=HEARTBEAT) as producer:
        await asyncio.sleep(10.0 if rate > 1 else 600.0)
        assert only(producer).acked_offset >= 1
        for link in (only(producer), worker.intake):
            status = link.interruptions.status(worker.clock.now())
            assert (status.count, status.current, status.availability) == (0, None, 1.0)


async def test_a_stream_as_fast_as_can_be_is_not_interrupted() -> None:
    async with a_worker(discard=True) as worker, producing(worker, rate="max", heartbeat_interval=0.05) as producer:
        await until(lambda: only(producer).acked_offset > 1_000_000)
        for link in (only(producer), worker.intake):
            assert link.interruptions.status(worker.clock.now()).total == 0.0


@pytest.mark.parametrize("rate", [RARELY, 10])
async def test_a_cut_lasts_from_the_last_byte_to_the_first_ack_of_the_next_connection(rate: float, log: Log) -> None:
    async with a_listener() as listener, producing(listener, rate=rate, heartbeat_interval=HEARTBEAT) as producer:
        clock = producer.clock
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        await answer(peer, 3.0)
        heard_at = clock.now()
        await asyncio.sleep(0.5)
        peer.cut()
        await until(lambda: told(producer).current)
        current = told(producer).current
        assert current is not None
        assert (current.cause, current.unnoticed) == ("cut", pytest.approx(0.5, abs=ROUND_TRIP))
        peer = await listener.peer()
        beat = await peer.accept()
        await asyncio.sleep(0.7)  # neither a connection nor #resume is proof
        assert told(producer).count == 0
        assert only(producer).state is LinkState.STREAMING
        peer.say(ack_of(beat))
        ended_at = clock.now()
        await until(lambda: told(producer).count)
        interruption = the(told(producer))
        assert interruption.cause == "cut"
        assert interruption.seconds == pytest.approx(ended_at - heard_at, abs=ROUND_TRIP)
        assert interruption.start + interruption.seconds == pytest.approx(clock.wall_time(), abs=ROUND_TRIP)
        resumed = log.of("link.resumed")[-1]
        assert resumed["interrupted_by"] == "cut"
        assert resumed["interruption"] == pytest.approx(interruption.seconds, abs=0.001)
        assert resumed["unnoticed"] == pytest.approx(interruption.unnoticed, abs=0.001)
        assert sum(producer.tally.interruptions["cut"].counts) == 1


async def test_a_half_open_connection_goes_unnoticed_for_three_heartbeats_at_either_end() -> None:
    async with a_worker() as worker, producing(worker, rate=10, heartbeat_interval=HEARTBEAT) as producer:
        await asyncio.sleep(10.5)
        network, host = virtual_loop().network, virtual_loop().host
        network.link(host, host).blocked = True
        network.stall(host)
        blocked_at = worker.clock.now()
        await asyncio.sleep(2.3)
        for link in (only(producer), worker.intake):
            current = link.interruptions.status(worker.clock.now()).current
            assert current is not None
            assert (current.cause, current.unnoticed) == (Pause.SILENCE, None)
        await asyncio.sleep(10.0 - 2.3)
        network.heal()
        await until(lambda: told(producer).count and worker.intake.interruptions.count)
        healed_after = worker.clock.now() - blocked_at
        for link in (only(producer), worker.intake):
            interruption = the(link.interruptions.status(worker.clock.now()))
            assert interruption.cause == "timeout"
            assert interruption.unnoticed == pytest.approx(3.0, abs=0.3)
            assert interruption.seconds == pytest.approx(healed_after, abs=HEARTBEAT)


@pytest.mark.parametrize(("seconds", "counts"), [(1.5, 0), (2.3, 1)])
async def test_a_connection_that_outlives_a_silence_tells_of_it_if_it_was_long(seconds: float, counts: int) -> None:
    async with a_listener() as listener, producing(listener, rate=10, heartbeat_interval=HEARTBEAT) as producer:
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        await answer(peer, 3.0)
        await asyncio.sleep(seconds)
        beat = await peer.line_starting(b"#beat ")
        with_more = await peer.line_starting(b"#beat ")
        peer.say(ack_of(beat if counts == 0 else with_more))
        await asyncio.sleep(0.01)
        assert told(producer).count == counts


async def test_a_stalled_sink_is_told_by_both_ends_from_the_beat_that_it_did_not_take(log: Log) -> None:
    vault = Vault()
    async with a_worker(vault) as worker, producing(worker, rate=10, heartbeat_interval=HEARTBEAT) as producer:
        await asyncio.sleep(5.5)
        vault.gate.clear()
        await until(lambda: vault.is_committing)
        stalled_at = worker.clock.now()
        await asyncio.sleep(6.0)
        assert only(producer).state is LinkState.STALLED
        for link in (only(producer), worker.intake):
            current = link.interruptions.status(worker.clock.now()).current
            assert current is not None
            assert current.cause == Pause.STALLED
        vault.gate.set()
        length = worker.clock.now() - stalled_at
        await until(lambda: told(producer).count and worker.intake.interruptions.count)
        for link in (only(producer), worker.intake):
            interruption = the(link.interruptions.status(worker.clock.now()))
            assert (interruption.cause, interruption.unnoticed) == (Pause.STALLED, None)
            assert interruption.seconds == pytest.approx(length, abs=ROUND_TRIP)
        recovered = log.of("link.recovered")
        assert [each["interrupted_by"] for each in recovered] == ["stalled", "stalled"]
        assert log.of("link.lost") == []


@pytest.mark.parametrize("seconds", [0.5, 30.0])
async def test_a_worker_that_is_restarted_gracefully_is_a_shutdown_of_its_length(seconds: float) -> None:
    async with a_worker() as worker:
        assert worker.address is not None
        port = worker.address[1]
        async with producing(worker, rate=10, heartbeat_interval=HEARTBEAT) as producer:
            await asyncio.sleep(5.0)
            worker.stop()
            await until(lambda: told(producer).current)
            stopped_at = producer.clock.now()
            await asyncio.sleep(seconds)
            async with a_worker(port=port) as successor:
                await until(lambda: told(producer).count)
                interruption = the(told(producer))
                assert interruption.cause == "shutdown"
                assert interruption.seconds == pytest.approx(producer.clock.now() - stopped_at, abs=ROUND_TRIP)
                assert interruption.unnoticed == pytest.approx(0.0, abs=ROUND_TRIP)
                availability = told(producer).availability
                assert availability is not None
                assert availability == pytest.approx(
                    1 - interruption.seconds / (producer.clock.now() - 1000.0), abs=0.1
                )
                assert successor.intake.interruptions.count == 0


async def test_a_standby_is_available_and_its_promotion_no_interruption() -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=HEARTBEAT) as producer:
        peer = await listener.peer()
        await peer.greet()
        for offset in range(60):
            await peer.hold(b"#wait by=producer-1 offset=%d\n" % offset)
            await asyncio.sleep(1.0)
        assert (told(producer).availability, told(producer).current) == (1.0, None)
        peer.say(b"#resume offset=60 after=promotion\n")
        peer.say(ack_of(await peer.line_starting(b"#beat ")))
        await until(lambda: only(producer).is_proved and only(producer).state is LinkState.STREAMING)
        assert told(producer).count == 0


async def test_a_yield_a_full_line_and_the_time_until_the_next_attempt_are_no_interruption() -> None:
    async with a_listener() as listener, producing(listener, rate=10, heartbeat_interval=HEARTBEAT) as producer:
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept()))
        await answer(peer, 2.0)
        peer.say(b"#close reason=yield\n")
        for _ in range(4):
            peer = await listener.peer()
            await peer.greet()
            peer.say(b"#close reason=spare\n")
        peer = await listener.peer()
        await peer.greet()
        await peer.hold(b"#wait by=producer-1 offset=20\n")
        assert (told(producer).count, told(producer).availability) == (0, 1.0)
        await asyncio.sleep(0.5)
        peer.cut()
        peer = await listener.peer()
        await peer.greet()
        await peer.hold(b"#wait by=producer-1 offset=20\n")
        interruption = the(told(producer))
        assert (interruption.cause, interruption.unnoticed) == ("cut", pytest.approx(0.5, abs=ROUND_TRIP))


async def test_a_link_that_rests_is_available_until_an_attempt_fails() -> None:
    async with a_listener() as one, a_listener() as other, producing(one, other) as producer:
        first = await one.peer()
        first.say(ack_of(await first.accept()))
        second = await other.peer()
        second.say(b"#hello randstream/1 worker=worker-0\n")
        rests = producer.links[1]
        await until(lambda: rests.state is LinkState.RESTING)
        status = rests.interruptions.status(producer.clock.now())
        assert (status.count, status.current, status.availability) == (0, None, 1.0)


async def test_before_the_first_contact_a_link_has_no_availability() -> None:
    async with a_listener() as listener, producing(listener) as producer:
        for _ in range(3):
            (await listener.peer()).cut()
        status = told(producer)
        assert (status.availability, status.current, status.count) == (None, None, 0)


async def test_a_raw_target_is_interrupted_from_its_loss_until_it_is_connected_again() -> None:
    async with a_listener() as listener, producing(f"raw://{listener.target}", rate=1) as producer:
        peer = await listener.peer()
        await asyncio.sleep(100.0)
        assert told(producer).availability == 1.0
        peer.cut()
        await listener.peer()
        await until(lambda: told(producer).count)
        interruption = the(told(producer))
        assert (interruption.cause, interruption.unnoticed) == ("cut", 0.0)
        assert interruption.seconds < 1.0


async def test_round_trips_are_kept_by_each_link_if_asked_for() -> None:
    async with a_worker() as worker:
        assert worker.address is not None
        settings = ProducerSettings(
            workers=f"127.0.0.1:{worker.address[1]}", seed="42", rate=10, heartbeat_interval=0.1
        )
        loop = virtual_loop()
        producer = Producer(
            settings, clock=loop.clock, random=loop.world.random, dns=loop.names, keeps_round_trips=True
        )
        async with running(producer):
            await until(lambda: producer.tally.acked_numbers > 20)
            trips = only(producer).history.round_trips
            assert trips is not None
            assert trips.count == sum(producer.tally.round_trips.counts) > 10
        async with producing(worker, rate=10) as other:
            assert only(other).history.round_trips is None
