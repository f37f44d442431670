"""What a producer knows of its workers, as the results of a check."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime

import pytest
from tests.support.clock import clock_of_loop
from tests.support.ports import free_port
from tests.support.roles import a_worker, producing, transport_of
from tests.support.waiting import until

from randstream.cli.check.measure import Subject, count_numbers, find_problem, measure, subjects
from randstream.cli.check.report import LinkResult
from randstream.observe.status import LinkState


def measured(subject: Subject) -> LinkResult:
    now = clock_of_loop().now()
    return measure(subject, subject.history.interruptions.status(now), find_problem(subject, now))


async def test_a_target_without_a_worker_is_a_subject_and_not_reached() -> None:
    target = f"127.0.0.1:{free_port()}"
    async with producing(target) as producer:
        await until(lambda: producer.links[0].last_error)
        (subject,) = subjects(producer)
        result = measured(subject)
    assert (result.worker, result.target, result.name, result.stream) == (None, target, target, None)
    assert (result.sent, result.acknowledged, result.round_trips, result.availability) == (0, 0, None, 0.0)
    assert result.problem is not None
    assert result.problem.startswith("not reached: conn")


async def test_numbers_are_counted_over_connections_and_each_once() -> None:
    async with a_worker() as worker, producing(worker) as producer:
        for _ in range(3):
            before = producer.tally.acked_numbers
            await until(lambda before=before: producer.tally.acked_numbers > before + 50)
            transport_of(worker).abort()
            await until(lambda: producer.links[0].state is not LinkState.STREAMING)
        await until(lambda: producer.links[0].state is LinkState.STREAMING and producer.links[0].unacked == 0)
        (subject,) = subjects(producer)
        assert count_numbers(subject) == (producer.links[0].offset,) * 2


async def test_an_interruption_that_goes_on_is_one_of_them() -> None:
    async with a_worker() as worker, producing(worker) as producer:
        await until(lambda: producer.tally.acked_numbers > 50)
        worker.stop()
        stopped_at = clock_of_loop().wall_time()
        await asyncio.sleep(2.0)
        (subject,) = subjects(producer)
        result = measured(subject)
    assert (result.count, result.by_cause) == (1, {"shutdown": 1})
    (interruption,) = result.interruptions
    assert not interruption.is_over
    assert interruption.seconds == result.longest == result.total == pytest.approx(2.0, abs=0.2)
    started = datetime.fromisoformat(interruption.start)
    assert started.utcoffset() is not None
    assert started.timestamp() == pytest.approx(stopped_at, abs=0.2)
    assert 0.0 < result.availability < 1.0
    assert result.problem is not None
    assert re.match(r"interrupted for [12]\.. s \(shutdown\): the peer was stopped", result.problem)


async def test_a_worker_that_another_producer_serves_has_that_for_a_problem() -> None:
    async with a_worker() as worker, producing(worker, name="owner"), producing(worker, name="other") as producer:
        await until(lambda: producer.links[0].state in (LinkState.STANDBY, LinkState.STREAMING))
        if producer.links[0].state is LinkState.STANDBY:
            (subject,) = subjects(producer)
            assert find_problem(subject, clock_of_loop().now()) == "owner serves it"
            assert not subject.is_reached


async def test_a_raw_peer_is_a_subject_too() -> None:
    peers = []  # a writer that nobody holds closes its connection
    server = await asyncio.start_server(lambda reader, writer: peers.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with producing(f"raw://127.0.0.1:{port}") as producer:
        await until(lambda: producer.links[0].history.acknowledged)
        (subject,) = subjects(producer)
        assert measured(subject).problem is None
    for peer in peers:
        peer.close()
    server.close()
