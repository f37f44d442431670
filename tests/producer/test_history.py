"""What became of a worker under any link: above all, how long it was away when it comes back elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.producer.links import only
from tests.support.clock import clock_of_loop
from tests.support.ports import free_port
from tests.support.roles import HEARTBEAT, a_producer, a_worker, producing, running, transport_of
from tests.support.services import SERVICE, Services, targets_of
from tests.support.waiting import until

from randstream.clock import Clock
from randstream.observe.interruptions import Interruption
from randstream.observe.status import LinkState
from randstream.producer.history import MOST_DEPARTED, Histories, History
from randstream.producer.producer import Producer

ROUND_TRIP = 0.05
"""More than one takes here."""


def the_interruption(producer: Producer) -> Interruption:
    """The only one of the only link."""
    status = only(producer).interruptions.status(producer.clock.now())
    assert status.current is None
    (interruption,) = status.last
    return interruption


def the_cause(history: History) -> str:
    (interruption,) = history.interruptions.last
    return str(interruption.cause)


@pytest.mark.parametrize("cause", ["shutdown", "cut"])
async def test_a_worker_that_comes_back_at_another_address_was_interrupted_all_the_while(cause: str) -> None:
    services = Services()
    producer = a_producer(SERVICE, dns=services, rate=50)
    async with running(producer):
        async with a_worker(discard=True) as worker:
            services.workers[SERVICE] = targets_of([worker])
            await until(lambda: producer.tally.acked_numbers > 100)
            acknowledged = producer.tally.acked_numbers
            heard_at = clock_of_loop().now()
            if cause == "cut":
                transport_of(worker).abort()
        await asyncio.sleep(7.0)
        async with a_worker(discard=True) as worker:
            services.workers[SERVICE] = targets_of([worker])
            await until(lambda: any(link.interruptions.count for link in producer.links))
            back_at = clock_of_loop().now()
            await until(lambda: len(producer.links) == 1)  # its old address is given up some time later
            interruption = the_interruption(producer)
            assert interruption.cause == cause
            assert interruption.seconds == pytest.approx(back_at - heard_at, abs=HEARTBEAT + ROUND_TRIP)
            assert interruption.unnoticed == pytest.approx(0.0, abs=HEARTBEAT + ROUND_TRIP)
            assert only(producer).history.acknowledged >= acknowledged
            assert not producer.departed
            assert sum(producer.tally.interruptions[cause].counts) == 1


async def test_who_has_left_is_no_link_but_is_remembered_as_interrupted() -> None:
    services = Services()
    producer = a_producer(SERVICE, dns=services, rate=50)
    async with (
        a_worker(name="stays", discard=True) as stays,
        a_worker(name="goes", discard=True) as goes,
        running(producer),
    ):
        services.workers[SERVICE] = targets_of([stays, goes])
        await until(lambda: all(link.history.acknowledged for link in producer.links) and len(producer.links) == 2)
        services.workers[SERVICE] = targets_of([stays])
        before = clock_of_loop().now()
        goes.stop()
        await until(lambda: producer.departed)
        assert [link.worker for link in producer.links] == ["stays"]
        (history,) = producer.departed
        assert (history.worker, history.target) == ("goes", str(targets_of([goes])[0]))
        await asyncio.sleep(10.0)
        current = history.interruptions.status(clock_of_loop().now()).current
        assert current is not None
        assert current.cause == "shutdown"
        assert current.seconds == pytest.approx(clock_of_loop().now() - before, abs=2 * HEARTBEAT)


async def test_two_workers_that_swap_addresses_keep_what_is_theirs() -> None:
    ports = [free_port(), free_port()]
    names = ["worker-0", "worker-1"]
    async with AsyncExitStack() as stack:
        producer: Producer
        async with AsyncExitStack() as first:
            for name, port in zip(names, ports, strict=True):
                await first.enter_async_context(a_worker(name=name, port=port, discard=True))
            producer = await stack.enter_async_context(producing(*(f"127.0.0.1:{port}" for port in ports)))
            await until(lambda: all(link.history.acknowledged for link in producer.links))
            before = {link.worker: link.history for link in producer.links}
        for name, port in zip(names, reversed(ports), strict=True):
            await stack.enter_async_context(a_worker(name=name, port=port, discard=True))
        await until(lambda: all(link.interruptions.count == 1 for link in producer.links))
        assert [link.worker for link in producer.links] == names[::-1]
        assert {link.worker: link.history for link in producer.links} == before
        assert not producer.departed


async def test_a_link_that_waited_for_a_worker_goes_on_with_its_history() -> None:
    async with (
        a_worker(discard=True) as first,
        a_worker(discard=True) as second,  # one name, two addresses
        producing(first, second) as producer,
    ):
        await until(lambda: {link.state for link in producer.links} == {LinkState.STREAMING, LinkState.RESTING})
        holder, waiting = sorted(producer.links, key=lambda link: link.state is LinkState.RESTING)
        history = holder.history
        assert waiting.history is not history
        (first if str(holder.target) == f"127.0.0.1:{first.address and first.address[1]}" else second).stop()
        await until(lambda: waiting.history is history and history.interruptions.count)
        assert the_cause(history) == "shutdown"
        assert holder.history.worker is None


def test_those_that_left_are_bounded_and_the_oldest_are_forgotten() -> None:
    histories = Histories(Clock())
    for number in range(MOST_DEPARTED + 2):
        link = Holder(histories)
        histories.take(f"worker-{number}", link, 0.0)
        link.history.interruptions.proved(0.0, None)
        histories.leave(link, 1.0)
    assert len(histories.departed) == MOST_DEPARTED
    assert "worker-1" not in histories.departed
    assert "worker-2" in histories.departed


def test_who_was_never_reached_is_not_remembered() -> None:
    histories = Histories(Clock())
    link = Holder(histories)
    histories.take("worker-0", link, 0.0)
    histories.leave(link, 1.0)
    histories.leave(link, 2.0)
    assert not histories.departed


def test_a_history_goes_from_link_to_link() -> None:
    histories = Histories(Clock(), keeps_round_trips=True)
    first, second = Holder(histories), Holder(histories)
    histories.take("worker-0", first, 0.0)
    history = first.history
    assert history.round_trips is not None
    histories.take("worker-0", first, 1.0)
    assert first.history is history
    histories.take("worker-0", second, 1.0)
    assert second.history is history
    assert first.history.worker is None
    histories.leave(first, 2.0)
    histories.take("worker-0", first, 3.0)
    assert first.history is history


def test_a_link_that_finds_another_worker_leaves_the_first() -> None:
    histories = Histories(Clock())
    link = Holder(histories)
    histories.take("worker-0", link, 0.0)
    link.history.interruptions.proved(0.0, None)
    history = link.history
    histories.take("worker-1", link, 5.0)
    assert list(histories.departed) == ["worker-0"]
    assert history.interruptions.status(6.0).current is not None
    assert link.history.interruptions.first_proved_at is None


class Holder:
    """A link, as far as it has a history."""

    target = "127.0.0.1:9000"

    def __init__(self, histories: Histories) -> None:
        self.history: History = histories.new()
