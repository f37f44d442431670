"""A real producer and a real worker, looked at from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.admin.roles import site_of, wait_until

from randstream.admin.guard import PLACES
from randstream.admin.observer import Observer
from randstream.numbers.stream import NumberStream
from randstream.observe.status import LinkState
from randstream.producer.producer import Producer
from randstream.settings.roles import ProducerSettings, WorkerSettings
from randstream.worker.worker import Worker

HEARTBEAT = 0.05


@asynccontextmanager
async def running(role: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(role.run())
        try:
            yield
        finally:
            role.stop()


@asynccontextmanager
async def pair(**given: Any) -> AsyncIterator[tuple[Producer, Worker]]:
    """A worker that `given` says more of, and a producer of a thousand numbers a second for it."""
    worker = Worker(WorkerSettings(name="worker-0", listen="127.0.0.1:0", grace_period=1, **given))
    async with running(worker):
        _, port = await worker.wait_listening()
        producer = Producer(
            ProducerSettings(
                workers=f"127.0.0.1:{port}",
                seed="42",
                rate=1000.0,
                heartbeat_interval=HEARTBEAT,
                name="producer-0",
            )
        )
        async with running(producer):
            await wait_until(lambda: bool(producer.links) and producer.links[0].acked_offset > 100)
            yield producer, worker


async def test_both_ends_count_the_same_numbers() -> None:
    async with pair(discard=True) as (producer, worker):
        pass
    assert producer.tally.numbers == producer.tally.acked_numbers == worker.tally.numbers == worker.tally.acked_numbers
    assert producer.tally.number_bytes == worker.tally.number_bytes
    assert producer.tally.numbers == producer.links[0].offset == worker.intake.offset
    assert sum(producer.tally.round_trips.counts) > 0
    assert sum(worker.tally.commits.counts) > 0


async def test_both_tell_one_story_of_the_link() -> None:
    async with pair(discard=True) as (producer, worker):
        sent = Observer(producer).snapshot(limit=1)
        received = Observer(worker).snapshot(limit=1)
    assert (sent.role, received.role) == ("producer", "worker")
    assert sent.numbers == received.numbers == "integers:1:100"
    assert sent.links[0].stream == received.links[0].stream
    assert sent.links[0].state is received.links[0].state is LinkState.STREAMING
    assert (sent.links[0].worker, received.links[0].peer) == ("worker-0", "producer-0")
    assert sent.links[0].round_trip is not None


async def test_a_cut_is_counted_by_its_reason_at_both_ends() -> None:
    async with pair(discard=True) as (producer, worker):
        offset = producer.links[0].offset
        assert worker.admission.live is not None
        worker.admission.live.connection.transport.abort()
        await wait_until(lambda: worker.intake.reconnects == 1 and worker.intake.acked_offset > offset)
        assert producer.tally.ends == {"cut": 1}
        assert worker.tally.ends == {"cut": 1}
        events = [entry.event for entry in producer.journal.entries]
        assert events == ["link.resumed", "link.lost", "link.resumed"]


async def test_what_is_sampled_is_what_flows() -> None:
    async with pair(discard=True) as (producer, worker):
        for role in (producer, worker):
            observer = Observer(role)
            observer.tick(0.0)
            link, offset = role.links[0], role.links[0].offset
            await wait_until(lambda link=link, offset=offset: link.offset > offset + 50)
            observer.tick(1.0)
            histogram = observer.snapshot(limit=0).histogram
            assert histogram is not None
            assert sum(histogram.counts) > 50
            assert (histogram.edges[0], histogram.edges[-1]) == (1, 101)


async def test_a_durable_workers_numbers_can_be_read_while_they_come(tmp_path: Path) -> None:
    async with pair(store=tmp_path) as (_, worker), site_of(worker) as site:
        async with site.client.get("/numbers?offset=7") as answer:
            expected = NumberStream("42", "worker-0", "integers:1:100").lines(7, 200)
            assert await answer.content.readexactly(len(expected)) == expected
        await wait_until(lambda: site.admin.count_clients()["numbers"] == 0)


async def test_a_listener_of_a_live_worker_hears_the_stream_from_where_it_is_told() -> None:
    async with pair(discard=True) as (_, worker), site_of(worker) as site:
        async with site.client.get("/numbers") as answer:
            first = int(answer.headers["Randstream-Offset"])
            expected = NumberStream("42", "worker-0", "integers:1:100").lines(first, 100)
            assert await answer.content.readexactly(len(expected)) == expected
        await wait_until(lambda: site.admin.count_clients()["numbers"] == 0)


async def test_two_hundred_slow_clients_hold_up_no_stream() -> None:
    async with pair(discard=True) as (producer, worker), site_of(worker) as site:
        clients = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(200)]
        for _, writer in clients[::2]:
            writer.write(b"GET /api/links HTTP/1.1\r\n")
        offset = producer.links[0].acked_offset
        await wait_until(lambda: producer.links[0].acked_offset > offset + 200)
        assert len(site.admin.guard.connections) <= PLACES
        assert producer.tally.ends.total() == 0
        for _, writer in clients:
            writer.close()


async def test_readiness_goes_first_and_liveness_last() -> None:
    async with pair(discard=True) as (producer, worker):
        for role in (producer, worker):
            async with site_of(role) as site:
                assert (await site.get("/readyz"))[0] == 200
                role.stop()
                assert role.problem is not None
                assert (await site.get("/readyz"))[0] == 503
                assert (await site.get("/livez"))[0] == 200


async def test_a_producer_is_ready_without_its_workers_but_not_without_names() -> None:
    settings = ProducerSettings(workers="127.0.0.1:1", seed="42")
    async with running(producer := Producer(settings)):
        await wait_until(lambda: bool(producer.links) and producer.links[0].last_error is not None)
        assert producer.problem is None
    settings = ProducerSettings(workers="no-such-name.invalid:9000", seed="42")
    async with running(producer := Producer(settings)):
        await wait_until(lambda: bool(producer.links) and producer.links[0].last_error is not None)
        assert "cannot resolve no-such-name.invalid" in str(producer.problem)


async def test_the_journal_is_told_of_an_absent_worker_once() -> None:
    settings = ProducerSettings(workers="127.0.0.1:1", seed="42")
    async with running(producer := Producer(settings)):
        await wait_until(lambda: producer.tally.failures.total() >= 3)
    assert [entry.event for entry in producer.journal.entries] == ["link.unreachable"]


@pytest.mark.parametrize("role", ["producer", "worker"])
async def test_the_json_of_a_role_that_has_done_nothing_is_complete(role: str) -> None:
    one = (
        Producer(ProducerSettings(workers="127.0.0.1:1", seed="42"))
        if role == "producer"
        else Worker(WorkerSettings(listen="127.0.0.1:0", discard=True))
    )
    async with site_of(one) as site:
        found = json.loads((await site.get("/api/links"))[1])
        assert (found["role"], found["problem"] is None) == (role, False)
        assert (await site.get("/metrics"))[0] == 200
