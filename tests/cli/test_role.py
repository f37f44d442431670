"""The summary that a role says at its end, to whoever reads it."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.roles import a_producer, a_worker, producing, running
from tests.support.waiting import until

from randstream.cli import role as module
from randstream.cli.role import accounts_of, has_reader, run_role
from randstream.cli.summary import summary_lines
from randstream.producer.producer import Producer
from randstream.settings import ProducerSettings
from randstream.worker.worker import Worker


def lines_of(role: Producer | Worker) -> list[str]:
    return list(summary_lines(accounts_of(role)))


async def streamed(seconds: float = 0.0, **settings: Any) -> tuple[Producer, Worker]:
    """A pair that has ended; `seconds`: how long the producer was away."""
    async with a_worker() as worker:
        async with producing(worker, rate=100) as producer:
            await until(lambda: producer.tally.acked_numbers >= 20)
        await asyncio.sleep(seconds)
    return producer, worker


async def test_both_roles_tell_what_passed() -> None:
    producer, worker = await streamed()
    count = producer.tally.acked_numbers
    assert lines_of(producer) == [
        f"--- worker-0 at {producer.links[0].target}", f"{count} numbers sent, {count} acknowledged", "no interruption",
    ]  # fmt: skip
    assert lines_of(worker)[:2] == ["--- worker-0", f"{count} numbers received, {count} acknowledged"]


async def test_a_workers_own_end_is_no_interruption() -> None:
    async with a_worker() as worker, producing(worker) as producer:
        await until(lambda: producer.tally.acked_numbers > 20)
        worker.stop()
        await until(lambda: worker.line.holder is None)
        await asyncio.sleep(1.0)
        assert lines_of(worker)[-1] == "no interruption"


async def test_a_worker_whose_producer_was_away_at_the_end_was_interrupted() -> None:
    _, worker = await streamed(seconds=5.0)
    assert lines_of(worker)[-1].startswith("1 interruption, longest 5.")


async def test_round_trips_are_told_if_they_were_kept() -> None:
    async with a_worker() as worker:
        assert worker.address is not None
        settings = ProducerSettings(workers=f"127.0.0.1:{worker.address[1]}", heartbeat_interval=0.1)
        like = a_producer(worker)
        producer = Producer(settings, clock=like.clock, dns=like._dns, keeps_round_trips=True)
        async with running(producer):
            await until(lambda: producer.tally.acked_numbers)
    assert lines_of(producer)[2].startswith("round trip min / median / p99 / max = ")


async def test_who_was_never_reached_is_told() -> None:
    producer = a_producer("127.0.0.1:1")
    async with running(producer):
        await until(lambda: producer.links and producer.links[0].last_error)
    assert lines_of(producer)[0] == "--- 127.0.0.1:1"
    assert lines_of(producer)[1].startswith("not reached: conn")


async def test_a_worker_that_nobody_dialled_has_nothing_to_tell() -> None:
    async with a_worker() as worker:
        pass
    assert lines_of(worker) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("error", "is_read"), [(Terminal(), True), (io.StringIO(), False), (None, False)])
def test_the_summary_is_for_a_terminal(error: Any, is_read: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(make_role: Callable[[], Any], settings: Any) -> int:
        make_role()
        return 0

    monkeypatch.setattr("randstream.service.run_service", run)
    monkeypatch.setattr(sys, "stderr", error)
    assert has_reader() is is_read
    settings = ProducerSettings(workers="a:9000")

    def make() -> Producer:
        producer = Producer(settings)
        producer._context = None
        return producer

    monkeypatch.setattr(module, "summary_lines", lambda accounts: ["--- worker-0 [bold]"])
    assert run_role(make, settings) == 0
    if error is not None:
        assert error.getvalue() == ("--- worker-0 [bold]\n" if is_read else "")
