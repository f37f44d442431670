"""The faults of the demo, in a cluster without processes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from randstream.cli.demo.cluster import Cluster
from randstream.cli.demo.faults import DOWNTIME, PAUSE, Faults
from randstream.cli.demo.process import Process

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


class Staged(Cluster):
    """Notes in `done` what happens to it. producer-0 serves everybody; what has resumed since is from producer-1."""

    def __init__(self) -> None:
        super().__init__(Path(), "42")
        self.done: list[str] = []
        self.can_start = asyncio.Event()
        self.can_start.set()
        for process in (*self.workers.values(), *self.producers.values()):
            process.__class__ = StagedProcess
            process.said["link.resumed"] = {"producer": "producer-0", "interruption": 0.25, "offset": 42}

    async def start_worker(self, name: str) -> int:
        self.done.append(f"start {name}")
        return 1

    async def start_producer(self, name: str) -> None:
        await self.can_start.wait()
        self.done.append(f"start {name}")

    def cut(self, producer: str) -> None:
        self.done.append(f"cut {producer}")


class StagedProcess(Process):
    """Resumes as soon as somebody waits for it."""

    __slots__ = ()

    async def wait_said(self, event: str) -> dict[str, Any]:
        self.said.setdefault(event, {"producer": "producer-1", "interruption": 0.5, "offset": 43})
        return self.said[event]

    async def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert number is signal.SIGKILL


def faults_of(cluster: Cluster, pauses: int) -> tuple[Faults, list[str], list[float]]:
    """Its faults, of which no other begins after so many pauses; what they tell; and the seconds that they live on."""
    stories: list[str] = []
    lived: list[float] = []

    async def live_on(seconds: float) -> bool:
        lived.append(seconds)
        return len(lived) <= pauses

    return Faults(cluster, stories.append, live_on), stories, lived


async def test_each_fault_heals_before_the_next_and_is_told() -> None:
    cluster = Staged()
    faults, stories, lived = faults_of(cluster, 99)
    await faults.cause()
    assert cluster.done == ["start producer-0", "start worker-2", "cut producer-1"]
    assert stories == [
        "producer-0 is killed (SIGKILL): it served 3 of 3 workers",
        "producer-1 serves them now; the longest silence was 0.50 s",
        "producer-0 is back and stands by",
        "worker-2 is killed (SIGKILL): its stream stops",
        "worker-2 is back and says: resume at offset 43. No other process kept anything for it",
        "the connection from producer-1 to worker-1 is cut",
        "worker-1 goes on at offset 43, from producer-1",
    ]
    assert lived == [PAUSE, DOWNTIME, PAUSE, DOWNTIME, PAUSE]
    assert (faults.count, faults.are_over.is_set()) == (3, True)


@pytest.mark.parametrize(("pauses", "count"), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3)])
async def test_a_fault_that_has_begun_heals_and_no_other_one_begins_once_the_demo_ends(pauses: int, count: int) -> None:
    faults, stories, _ = faults_of(Staged(), pauses)
    await faults.cause()
    assert (faults.count, faults.are_over.is_set()) == (count, True)
    assert len(stories) == [0, 3, 5, 7][count]


async def test_they_are_not_over_while_one_has_not_healed() -> None:
    cluster = Staged()
    cluster.can_start.clear()
    faults, _, _ = faults_of(cluster, 99)
    causing = asyncio.create_task(faults.cause())
    await asyncio.sleep(0.01)
    assert (faults.count, faults.are_over.is_set()) == (0, False)
    cluster.can_start.set()
    await causing
    assert faults.are_over.is_set()
