"""Several producers and one worker together: one serves, the others stand by, and the stream stays exact."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from tests.store.disk import Disk
from tests.support.clock import clock_of_loop
from tests.support.log import Log
from tests.support.peers import dialled
from tests.support.roles import a_producer, a_worker, producing
from tests.support.sinks import Memory
from tests.support.stream import WORKER, stream
from tests.support.waiting import until
from tests.worker.vault import OTHER_STREAM, Vault, interval

from randstream.observe.status import LinkState
from randstream.producer.producer import Producer
from randstream.protocol import MAX_OFFSET
from randstream.store import DurableSink
from randstream.worker.line import SETTLE_SECONDS
from randstream.worker.session import SINK_RETRY_SECONDS
from randstream.worker.worker import Worker

BEST, WORST = "producer-0", "producer-1"
"""By the rank that worker-0 gives them."""


class Stored:
    """A store on a disk in memory, and the numbers there."""

    def __init__(self) -> None:
        self.disk = Disk(Random(0))
        self.sink = DurableSink(Path("/store"), WORKER, clock=clock_of_loop(), files=self.disk)

    def assert_exact(self, acked: int) -> None:
        """It has the stream's first numbers and no others, and all that were acknowledged."""
        file = self.disk.open(Path(f"/store/{WORKER}-{stream().id}/{0:020}.numbers"))
        lines = [line for line in file.read(0, file.size()).splitlines(keepends=True) if not line.startswith(b"#")]
        assert len(lines) >= acked > 100
        assert b"".join(lines) == stream().lines(0, len(lines))


def serves(worker: Worker) -> str | None:
    """The producer that serves, once it has begun."""
    serving = worker.line.serving
    return serving.offered.producer if serving is not None and serving.is_started else None


async def until_stands_by(worker: Worker, producer: str) -> None:
    """Until `producer` waits, and knows for whom."""
    await until(lambda: producer in [each.offered.producer for each in worker.line.waiting])


async def until_serves(worker: Worker, producer: str) -> None:
    await until(lambda: serves(worker) == producer, f"{producer} serves")


async def test_line_promise_a_standby_goes_on_within_a_moment_of_a_death(log: Log) -> None:
    store = Stored()
    async with a_worker(store.sink) as worker:
        dying = asyncio.ensure_future(a_producer(worker, name=BEST).run())
        await until_serves(worker, BEST)
        async with producing(worker, name=WORST) as standby:
            await until(lambda: standby.links[0].state is LinkState.STANDBY)
            await until(lambda: worker.intake.acked_offset > 1000)
            dying.cancel()
            died_at = worker.clock.now()
            await until_serves(worker, WORST)
            assert worker.clock.now() - died_at < 0.05
            await until(lambda: worker.intake.acked_offset > 2000)
        resumed = [each for each in log.of("link.resumed") if each.get("after") == "promotion"]
        assert [each["interrupted_by"] for each in resumed if "interruption" in each] == ["cut"]
        assert len(resumed) == 2  # both ends say it
        assert sum(worker.tally.interruptions["cut"].counts) == 1
        assert 0 < worker.tally.interruptions["cut"].total < 0.2
    store.assert_exact(worker.intake.acked_offset)
    with pytest.raises(asyncio.CancelledError):
        await dying


async def test_line_promise_a_standby_goes_on_after_three_heartbeats_of_silence(log: Log) -> None:
    store = Stored()
    async with a_worker(store.sink) as worker, dialled(worker) as serving:
        await serving.start(0, producer=BEST, heartbeat="2.0")
        async with producing(worker, name=WORST):
            await until_stands_by(worker, WORST)
            serving.say(interval(0, 5))
            await serving.line_starting(b"#ack offset=5 ")
            heard_at = worker.clock.now()
            await until_serves(worker, WORST)
            assert worker.clock.now() - heard_at == pytest.approx(6.0, abs=0.1)
            (resumed,) = [each for each in log.of("link.resumed") if "interruption" in each]
            assert (resumed["after"], resumed["offset"], resumed["interrupted_by"]) == ("promotion", 5, "timeout")
            assert resumed["interruption"] == pytest.approx(6.0, abs=0.1)
            await until(lambda: worker.intake.acked_offset > 100)
        assert {cause: sum(each.counts) for cause, each in worker.tally.interruptions.items()} == {"timeout": 1}
    store.assert_exact(worker.intake.acked_offset)


async def test_hand_over_to_the_better_one_loses_nothing_and_repeats_nothing(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing(worker, name=WORST, rate=100) as worse:
        await until_serves(worker, WORST)
        async with producing(worker, name=BEST, rate=100) as better:
            await until_stands_by(worker, BEST)
            await asyncio.sleep(SETTLE_SECONDS - 0.1)
            assert serves(worker) == WORST
            await asyncio.sleep(SETTLE_SECONDS + 0.5)
            assert serves(worker) == BEST
            await until_stands_by(worker, WORST)
            await sink.wait_count(sink.count + 100)
            (yielded,) = log.of("link.yielded")
            assert yielded["log_level"] == "info"
            assert (worse.links[0].reconnects, worse.links[0].last_error) == (0, None)
            assert {each["after"] for each in log.of("link.resumed")} == {"start", "hand-over"}
            assert {cause: sum(each.counts) for cause, each in worker.tally.interruptions.items()} == {"hand-over": 1}
            assert worker.tally.interruptions["hand-over"].total < 0.05
            for link in (worse.links[0], better.links[0]):
                status = link.interruptions.status(worker.clock.now())
                assert (status.count, status.current, status.availability) == (0, None, 1.0)
            assert better.links[0].served_by == worse.links[0].served_by == BEST
    assert sink.taken == stream().lines(0, sink.count)


async def test_hand_over_to_the_better_one_on_a_store_is_exact() -> None:
    store = Stored()
    async with a_worker(store.sink) as worker, producing(worker, name=WORST, rate=100):
        await until_serves(worker, WORST)
        async with producing(worker, name=BEST, rate=100):
            await asyncio.sleep(2 * SETTLE_SECONDS + 0.5)
            assert serves(worker) == BEST
            acked = worker.intake.acked_offset
            await until(lambda: worker.intake.acked_offset > acked + 100)
    store.assert_exact(worker.intake.acked_offset)


async def test_hand_over_comes_though_the_stream_has_no_number_left_to_acknowledge() -> None:
    sink = Memory().remember(stream().id, MAX_OFFSET)
    async with a_worker(sink) as worker, producing(worker, name=WORST):
        await until_serves(worker, WORST)
        async with producing(worker, name=BEST):
            await until_serves(worker, BEST)


async def test_hand_over_waits_for_a_sink_that_stalls(log: Log) -> None:
    vault = Vault()
    async with a_worker(vault) as worker, producing(worker, name=WORST, rate=10):
        await until_serves(worker, WORST)
        async with producing(worker, name=BEST):
            await until_stands_by(worker, BEST)
            vault.gate.clear()
            await asyncio.sleep(3 * SETTLE_SECONDS)
            assert serves(worker) == WORST
            vault.gate.set()
            await until_serves(worker, BEST)
            await until(lambda: vault.offset > 100)
    assert vault.stored == stream().lines(0, vault.offset)


async def test_standby_liveness_three_asks_without_a_byte_are_the_end() -> None:
    async with a_worker() as worker, producing(worker, heartbeat_interval=0.5), dialled(worker) as standby:
        await until_serves(worker, BEST)
        await standby.stand_by(heartbeat="5.0", producer=WORST)
        began = worker.clock.now()
        assert (await standby.rest()).endswith(b"#close reason=timeout\n")
        assert worker.clock.now() - began == pytest.approx(1.5, abs=0.1)
        assert serves(worker) == BEST


async def test_draining_producer_closes_the_links_that_wait_at_once(log: Log) -> None:
    async with a_worker() as worker, producing(worker, name=WORST) as serving:
        await until_serves(worker, WORST)
        async with producing(worker, name=BEST, grace_period=60) as standby:
            await until(lambda: standby.links[0].state is LinkState.STANDBY)
            stopped_at = worker.clock.now()
        assert worker.clock.now() - stopped_at < 0.05
        assert (await log.wait("peer.left"))["reason"] == "shutdown"
        assert not worker.line.waiting
        assert serves(worker) == WORST
        assert serving.links[0].reconnects == 0


async def test_draining_worker_closes_the_line_and_promotes_nobody() -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=60) as worker, dialled(worker) as serving, dialled(worker) as standby:
        await serving.start(0, producer=WORST)
        await standby.stand_by(producer=BEST)
        worker.stop()
        assert await standby.rest() == b"#close reason=shutdown\n"
        serving.say(interval(0, 5))
        assert (await serving.rest()).endswith(b"#ack offset=5 t=1\n#close reason=shutdown\n")
        assert vault.opened == 1


async def test_draining_worker_promotes_nobody_whose_serving_connection_is_cut() -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=60) as worker, dialled(worker) as serving, dialled(worker) as standby:
        await serving.start(0, producer=WORST)
        await standby.stand_by(producer=BEST)
        worker.stop()
        serving.cut()
        assert await standby.rest() == b"#close reason=shutdown\n"
        assert vault.opened == 1


async def test_a_stranger_whose_stream_the_store_cannot_open_holds_nobody_up(tmp_path: Path, log: Log) -> None:
    damaged = tmp_path / f"{WORKER}-{OTHER_STREAM}"
    damaged.mkdir()
    (damaged / f"{0:020d}.numbers").write_bytes(b"no header\n")
    async with a_worker(store=tmp_path) as worker, dialled(worker) as stranger:
        await stranger.join(stream=OTHER_STREAM, producer=BEST, heartbeat="60")
        await log.wait("sink.failing")
        began = worker.clock.now()
        async with producing(worker, name=WORST):
            await until_serves(worker, WORST)
            assert worker.clock.now() - began < SINK_RETRY_SECONDS + 0.1
            await until(lambda: worker.intake.acked_offset > 100)
            assert worker.problem is None


async def test_a_stranger_that_contradicts_the_store_is_malformed_and_holds_nobody_up(tmp_path: Path, log: Log) -> None:
    async with a_worker(store=tmp_path) as worker:
        async with producing(worker):
            await until(lambda: worker.intake.acked_offset > 100)
        await until(lambda: worker.line.holder is None)
        async with dialled(worker) as stranger:
            assert await stranger.open(numbers="bits64", heartbeat="60") == b"#close reason=malformed\n"
            (refused,) = log.of("link.refused")
            assert "holds stream" in refused["error"]
        began = worker.clock.now()
        async with producing(worker):
            await until_serves(worker, BEST)
            assert worker.clock.now() - began < 0.1
        assert log.of("sink.failing") == []


async def test_two_producers_of_one_name_are_warned_about_until_one_has_gone() -> None:
    async with a_worker() as worker, producing(worker):
        await until_serves(worker, BEST)
        async with producing(worker):
            await until_stands_by(worker, BEST)
            assert worker.warning is None
            await until(lambda: worker.warning)
            assert worker.warning == "several producers are named producer-0; give each a --name of its own"
            assert worker.problem is None
        await until(lambda: worker.warning is None)


async def test_whoever_serves_and_stands_by_is_told_alike_at_both_ends() -> None:
    async with a_worker() as worker, producing(worker, name=BEST) as first, producing(worker, name=WORST) as second:
        await until(lambda: LinkState.STANDBY in (first.links[0].state, second.links[0].state))
        producers: list[Producer] = [first, second]
        serving, standby = sorted(producers, key=lambda each: each.links[0].state is LinkState.STANDBY)
        now = worker.clock.now()
        status = worker.intake.status(now, 5.0)
        assert status.served_by == serving.name
        assert [(each.producer, each.stream) for each in status.standbys] == [(standby.name, stream().id)]
        waits = standby.links[0].status(now, 5.0)
        assert (waits.state, waits.served_by, waits.rate) == (LinkState.STANDBY, serving.name, 0.0)
        assert serving.links[0].status(now, 5.0).served_by == serving.name
