"""Producer and worker together, in one process: whatever is cut or restarted, the stream goes on unbroken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.producer.links import Longest
from tests.support.log import Log
from tests.support.peers import a_listener, key
from tests.support.ports import free_port
from tests.support.roles import a_producer, a_worker, producing, running, transport_of
from tests.support.sinks import Memory
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.observe.status import LinkState
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.producer.link import Link
from randstream.producer.producer import Producer
from randstream.protocol import MAX_OFFSET
from randstream.worker.worker import Worker


def cut(worker: Worker) -> None:
    transport_of(worker).abort()


@pytest.mark.kernel
async def test_a_worker_gets_exactly_the_numbers_of_its_stream() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing(worker) as producer:
        await sink.wait_count(100)
        assert sink.taken == stream().lines(0, sink.count)
        await until(lambda: producer.links[0].acked_offset)
        assert producer.problem is None
    assert producer.problem == "not streaming"
    assert producer.links[0].acked_offset == sink.count
    assert producer.tally.acked_numbers == sink.count


@pytest.mark.kernel
async def test_at_full_speed_too() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing(worker, rate="max"):
        await sink.wait_count(300_000)
    assert sink.taken == stream().lines(0, sink.count)


@pytest.mark.kernel
async def test_reconnect_after_a_cut_continues_exactly(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing(worker):
        for times in range(3):
            await sink.wait_count(sink.count + 50)
            cut(worker)
            await log.wait("link.lost", 2 * times + 2)  # both ends say it
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_producer_that_starts_anew_continues_where_the_worker_stands() -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        for _ in range(3):
            async with producing(worker):
                await sink.wait_count(sink.count + 50)
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_worker_that_starts_anew_gets_again_exactly_what_it_had_taken_and_not_acknowledged(log: Log) -> None:
    port = free_port()
    first, second = Memory(), Memory()
    async with producing(f"127.0.0.1:{port}") as producer:
        (link,) = producer.links
        worker = await die_after(first, 20, port, link)
        acked = link.acked_offset
        taken = first.count
        assert 0 < acked < taken
        async with a_worker(second, port=port):
            await second.wait_count(taken)
            assert second.runs[0][0] == acked
            assert log.of("link.resumed")[-1]["offset"] == acked
    assert first.taken == stream().lines(0, taken)
    assert second.taken == stream().lines(acked, second.count)
    assert worker.intake.offset - acked == taken - acked


async def die_after(sink: Memory, count: int, port: int, link: Any) -> Worker:
    """Run a worker that dies without a word when it has taken `count` numbers past its last ack, the second."""
    async with a_worker(sink, port=port) as worker:
        await until(lambda: link.acked_offset > 0)
        await sink.wait_count(link.acked_offset + count)
        taken = sink.count
        cut(worker)
        await until(lambda: worker.line.holder is None)
        assert sink.count == taken
        return worker


async def test_one_link_a_worker_of_two_workers_with_one_name_the_second_gets_nothing_and_that_is_said_once(
    log: Log,
) -> None:
    sinks = Memory(), Memory()
    async with a_worker(sinks[0]) as one, a_worker(sinks[1]) as other, producing(one, other) as producer:
        resting = await log.wait("link.resting")
        held, rests = sorted(producer.links, key=lambda link: link.state is LinkState.RESTING)
        assert (resting["target"], resting["linked_by"]) == (str(rests.target), str(held.target))
        served = sinks[producer.links.index(held)]
        await served.wait_count(5000)
        assert (rests.state, rests.session, rests.last_error) == (LinkState.RESTING, None, None)
        assert len(log.of("link.resting")) == 1
        assert len(log.of("link.resumed")) == 2  # both ends of one link
    assert sorted(sink.count for sink in sinks) == [0, served.count]
    assert served.taken == stream().lines(0, served.count)


async def test_one_link_a_worker_though_two_targets_lead_there_and_the_second_way_is_dialled_when_the_first_is_lost(
    log: Log,
) -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        assert worker.address is not None
        async with producing(worker, f"localhost:{worker.address[1]}", random=Longest()) as producer:
            first, second = producer.links
            await until(lambda: {first.state, second.state} == {LinkState.STREAMING, LinkState.RESTING})
            rests = first if first.state is LinkState.RESTING else second
            await sink.wait_count(2000)
            assert not worker.line.waiting
            cut(worker)
            cut_at = producer.clock.now()
            await until(lambda: rests.state is LinkState.STREAMING)
            assert producer.clock.now() - cut_at < 0.05  # the other would have waited for 0.1 s
            await until(lambda: {first.state, second.state} == {LinkState.STREAMING, LinkState.RESTING})
            await sink.wait_count(sink.count + 2000)
    assert sink.taken == stream().lines(0, sink.count)


async def test_one_link_a_worker_is_left_alone_by_a_link_that_ends_while_it_rests(log: Log) -> None:
    async with a_worker() as worker:
        assert worker.address is not None
        async with producing(worker, f"localhost:{worker.address[1]}", grace_period=60) as producer:
            await log.wait("link.resting")
            stopped_at = producer.clock.now()
        assert producer.clock.now() - stopped_at < 1.0
        assert all(link.is_finished for link in producer.links)


async def test_one_link_a_worker_is_no_matter_for_two_that_change_names(log: Log) -> None:
    async with a_listener() as one, a_listener() as other, producing(one, other) as producer:
        for names in (("a", "b"), ("b", "c"), ("c", "a")):
            peers = []
            for listener, name in zip((one, other), names, strict=True):
                peer = await listener.peer()
                await peer.accept(b"#resume\n", name=name)
                peers.append(peer)
            assert [link.worker for link in producer.links] == list(names)
            for peer in reversed(peers):
                peer.cut()
        assert log.of("link.resting") == []


async def test_each_worker_has_a_stream_of_its_own() -> None:
    sinks = Memory(), Memory()
    async with (
        a_worker(sinks[0], name="left") as left,
        a_worker(sinks[1], name="right") as right,
        producing(left, right) as producer,
    ):
        for sink in sinks:
            await sink.wait_count(20)
        assert {link.worker for link in producer.links} == {"left", "right"}
    for sink, name in zip(sinks, ("left", "right"), strict=True):
        assert sink.taken == stream(name).lines(0, sink.count)


async def test_one_unreachable_worker_does_not_hold_up_the_others() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing(f"127.0.0.1:{free_port()}", worker, "nowhere.invalid:9000"):
        await sink.wait_count(50)


@pytest.mark.parametrize("rate", [1000, "max"])
async def test_last_number_is_followed_by_beats_only(rate: Any) -> None:
    sink = Memory().remember(stream().id, MAX_OFFSET - 5)
    async with a_worker(sink) as worker, producing(worker, rate=rate, heartbeat_interval=0.05) as producer:
        (link,) = producer.links
        await until(lambda: link.acked_offset == MAX_OFFSET)
        heard = link.heard_at
        await until(lambda: link.heard_at != heard)
        await until(lambda: worker.intake.heard_at)
        assert link.state is LinkState.STREAMING
        assert sink.taken == stream().lines(MAX_OFFSET - 5, 5)


async def test_a_name_that_does_not_resolve_is_tried_on_and_said_once(log: Log) -> None:
    async with producing("nowhere.invalid:9000") as producer:
        await until(lambda: producer.tally.failures.total() >= 3)
        assert len(log.of("link.unreachable")) == 1
        assert "cannot resolve nowhere.invalid" in (producer.problem or "")


async def test_fifty_absent_workers_are_each_logged_once_and_then_a_dozen_a_minute(log: Log) -> None:
    async with producing(*[f"127.0.0.1:{port}" for port in range(50_000, 50_050)]):
        await asyncio.sleep(59)
        assert len(log.of("link.unreachable")) == 50
        await asyncio.sleep(120)
    assert 50 < len(log.of("link.unreachable")) <= 50 + 3 * LINES_A_MINUTE


@pytest.mark.kernel
async def test_a_name_that_no_resolver_can_be_asked_for_is_tried_on_like_any_other() -> None:
    async with producing(f"{'x' * 70}.example:9000", "a..b:9000") as producer:
        await until(lambda: all(link.last_error for link in producer.links))


async def test_a_producer_with_one_worker_up_is_ready_though_another_does_not_resolve() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, producing("nowhere.invalid:9000", worker) as producer:
        await sink.wait_count(1)
        await until(lambda: producer.links[0].last_error)
        assert producer.problem is None


async def test_a_seed_that_was_drawn_is_logged_and_one_that_was_given_is_not(log: Log) -> None:
    async with producing("127.0.0.1:9", seed=None) as producer:
        pass
    (drawn,) = log.of("producer.seed_drawn")
    assert drawn["seed"] == producer.inputs.seed.text
    async with producing("127.0.0.1:9", seed="hush"):
        pass
    assert "hush" not in str(log.events)


async def test_a_stop_before_the_start_ends_at_once() -> None:
    producer = a_producer("127.0.0.1:9")
    producer.stop()
    await asyncio.wait_for(producer.run(), 5)
    assert all(link.is_finished for link in producer.links)


async def test_a_grace_of_nothing_is_none(log: Log) -> None:
    async with a_listener() as listener:
        async with producing(listener.target, grace_period=0):
            peer = await listener.peer()
            await peer.accept()
        assert log.of("producer.grace_over")


async def test_a_producer_ends_gracefully_while_a_worker_drains(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink, grace_period=5) as worker, producing(worker) as producer:
        await sink.wait_count(20)
        worker.stop()
        producer.stop()
        await until(lambda: producer.links[0].is_finished)
    assert log.of("producer.grace_over") == []


async def test_a_worker_that_drains_loses_nothing_and_the_producer_dials_on(log: Log) -> None:
    first, second, port = Memory(), Memory(), free_port()
    async with producing(f"127.0.0.1:{port}") as producer:
        async with a_worker(first, port=port, grace_period=5):
            await first.wait_count(30)
        (lost,) = [each for each in log.of("link.lost") if "target" in each]
        assert lost["reason"] == "shutdown"
        acked = producer.links[0].acked_offset
        async with a_worker(second, port=port):
            await second.wait_count(30)
    assert first.taken[: len(stream().lines(0, acked))] == stream().lines(0, acked)
    assert second.taken == stream().lines(acked, second.count)


@pytest.mark.kernel
async def test_ten_links_that_fall_together_all_rise_again() -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(a_worker(name=f"worker-{number}")) for number in range(10)]
        producer = await stack.enter_async_context(producing(*workers))
        await until(lambda: all(link.acked_offset for link in producer.links))
        for worker in workers:
            cut(worker)
        await until(lambda: all(link.reconnects == 1 and link.is_up for link in producer.links))


@pytest.mark.kernel
async def test_a_producer_that_is_cancelled_leaves_no_connection_and_no_dial_behind() -> None:
    async with a_listener() as listener:
        producer = a_producer(listener.target, f"127.0.0.1:{free_port()}", "nowhere.invalid:9000")
        running = asyncio.ensure_future(producer.run())
        peer = await listener.peer()
        await peer.accept()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert b"#close" not in await peer.rest()
        assert all(link.is_finished for link in producer.links)


async def test_opening_beat_is_where_both_ends_agree() -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        beat = await peer.accept(b"#resume offset=99\n")
        assert (key(beat, "offset"), key(beat, "crc")) == ("99", "00000000")
        peer.cut()


async def test_a_producer_that_cannot_use_its_settings_never_starts() -> None:
    producer = a_producer("127.0.0.1:9")
    assert producer.problem == "not streaming"
    async with running(producer):
        await until(lambda: producer.links)
    assert isinstance(producer, Producer)


async def test_whoever_asks_for_haste_has_workers_dialled_more_often() -> None:
    async with a_listener() as listener:
        like = a_producer(listener)
        producer = Producer(like.settings, clock=like.clock, random=Longest(), dns=like._dns, longest_delay=0.05)
        async with running(producer):
            begin = like.clock.now()
            for _ in range(20):
                (await listener.peer()).cut()
            assert like.clock.now() - begin == pytest.approx(20 * 0.05, abs=0.1)


# ---- what links may hold unsent --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["", "raw://"])
async def test_links_that_resume_and_never_read_hold_no_more_than_the_budget_and_others_flow(scheme: str) -> None:
    async with AsyncExitStack() as stack:
        stuck = [await stack.enter_async_context(a_listener()) for _ in range(40)]
        reading = await stack.enter_async_context(a_listener())
        targets = [f"{scheme}{listener.target}" for listener in stuck]
        producer = await stack.enter_async_context(
            producing(*targets, reading, rate="max", numbers="bits64", buffer_bytes="1MiB")
        )
        for number, listener in enumerate(stuck):
            peer = await listener.peer()
            if not scheme:
                await peer.accept(name=f"stuck-{number}")
            peer.transport.pause_reading()
        peer = await reading.peer()
        await peer.accept()
        got = 0
        while got < 4 * 2**20:
            got += len(await peer.reader.read(2**20))
            assert sum(map(unsent, producer.links)) <= producer.budget.held <= 2**20
        assert sum(map(unsent, producer.links[:-1])) > 2**18
        for listener in [*stuck, reading]:
            listener.cut()
        await until(lambda: not producer.budget.held)


def unsent(link: Link) -> int:
    """The bytes that `link` could not give to the kernel yet."""
    transport = link.session and link.session.connection.transport
    return transport.get_write_buffer_size() if transport else 0


async def test_a_link_that_sends_nothing_leaves_its_part_to_others() -> None:
    async with a_listener() as listener, producing(listener, rate=1, buffer_bytes="1MiB") as producer:
        budget = producer.budget
        budget.join("other")
        assert budget.share == 2**19
        peer = await listener.peer()
        await peer.greet()
        assert budget.share == 2**19
        await peer.hold(b"#wait by=producer-1 offset=0\n")
        assert budget.share == 2**20
        peer.say(b"#resume offset=0\n")
        await peer.line_starting(b"#beat ")
        assert budget.share == 2**19
        listener.cut()
        await until(lambda: budget.share == 2**20)
        await (await listener.peer()).accept()
        assert budget.share == 2**19
