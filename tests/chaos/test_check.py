"""`randstream check` tells the truth: twenty workers behind proxies that harm them and write down what they did.

Every harm is in the report, with its cause and to one heartbeat its length; nothing else is. The heartbeat is one that
a loaded machine can keep: 0.5 s, so that silences count from one second on, and a dead connection is noticed after 1.5.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from tests.chaos.gauge import Gauge, Passed
from tests.chaos.hatchery import ROOT, Hatchery, hatching
from tests.chaos.mutants import CHECK_MUTANTS
from tests.support.ports import free_port

HEARTBEAT: Final = 0.5
SILENCE: Final = 2 * HEARTBEAT
BETWEEN: Final = 1.25
"""Seconds that a silence lasts which is one, but after which the connection lives on."""
WORKERS: Final = 20
SECONDS: Final = 24.0
FIRST, SECOND = (1.0, 5.0), (12.0, 16.0)
"""When a worker's first and second harm begin: long after what went before is over, and long before the end."""

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_factories=["asyncio"])]


@dataclass
class Place:
    """A worker and what stands in front of it."""

    name: str
    gauge: Gauge
    hatchery: Hatchery
    pid: int = 0

    def hatch(self) -> None:
        self.pid = self.hatchery.hatch(self.name, self.gauge.worker_port)

    async def silence(self, seconds: float) -> None:
        """Wait until nothing has passed for `seconds`."""
        while (left := self.gauge.passed[-1].at + seconds - time.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)


async def reset(place: Place, seconds: float) -> None:
    place.gauge.end_all(reset=True)


async def end(place: Place, seconds: float) -> None:
    place.gauge.end_all(reset=False)


async def half_open(place: Place, seconds: float) -> None:
    place.gauge.drops_worker = place.gauge.drops_producer = True
    await asyncio.sleep(seconds)
    place.gauge.heal()


async def lose_answers(place: Place, seconds: float) -> None:
    place.gauge.drops_worker = True
    await asyncio.sleep(seconds)
    place.gauge.heal()


async def lose_numbers(place: Place, seconds: float) -> None:
    place.gauge.drops_producer = True
    await asyncio.sleep(seconds)
    place.gauge.heal()


async def refuse(place: Place, seconds: float) -> None:
    await place.gauge.refuse()
    await asyncio.sleep(seconds)
    await place.gauge.accept_again()


async def slow(place: Place, seconds: float) -> None:
    place.gauge.is_slow = True
    await place.silence(BETWEEN)
    place.gauge.let_go()


async def slow_within_limits(place: Place, seconds: float) -> None:
    place.gauge.is_slow = True
    await place.silence(0.6 * SILENCE)
    place.gauge.let_go()


async def freeze_shortly(place: Place, seconds: float) -> None:
    os.kill(place.pid, signal.SIGSTOP)
    await place.silence(BETWEEN)
    os.kill(place.pid, signal.SIGCONT)


async def freeze(place: Place, seconds: float) -> None:
    os.kill(place.pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(place.pid, signal.SIGCONT)


async def kill(place: Place, seconds: float) -> None:
    os.kill(place.pid, signal.SIGKILL)
    await asyncio.sleep(seconds)
    place.hatch()


Harm = Callable[[Place, float], Awaitable[None]]
LOST: Final[dict[Harm, set[str]]] = {
    reset: {"cut"},
    end: {"cut"},
    half_open: {"timeout"},
    lose_answers: {"timeout"},
    lose_numbers: {"timeout"},  # which the worker says: the producer hears it say again and again what it has
    refuse: {"cut"},
    freeze: {"timeout"},
    kill: {"cut"},
}
"""What ends a connection, and the causes that it may be told with."""
KEPT: Final = (slow, freeze_shortly)
"""What the connection survives."""


@dataclass(frozen=True)
class Plan:
    """What a worker suffers: a harm, when it begins, and for how long, in seconds."""

    harm: Harm
    at: float
    seconds: float


def plans(random: Random) -> list[list[Plan]]:
    """For each worker, in order of time. The last ones suffer nothing that counts."""
    harms = [*LOST, *KEPT] * 3
    random.shuffle(harms)
    whole = [[Plan(harms.pop(), random.uniform(*FIRST), random.uniform(2.0, 4.0))] for _ in range(WORKERS - 4)]
    for plan in whole[: len(harms)]:
        plan.append(Plan(harms.pop(), random.uniform(*SECOND), random.uniform(2.0, 4.0)))
    assert not harms
    spared = [Plan(slow_within_limits, at, 0.0) for at in (3.0, 6.0, 9.0)]
    return [*whole, [], [], spared, spared]


@dataclass(frozen=True)
class Gap:
    """What really interrupted a stream, as its proxy saw it. Times are in seconds since 1970."""

    start: float
    end: float
    is_lost: bool

    @property
    def seconds(self) -> float:
        return self.end - self.start


def gaps(passed: Sequence[Passed]) -> list[Gap]:
    """From proof to proof: on another connection its first ack, on the same each that moves."""
    acks = [each for each in passed if each.acked is not None]
    found: list[Gap] = []
    last = acks[0]
    for each in acks:
        if each.connection > last.connection:
            found.append(Gap(last.at, each.at, is_lost=True))
        elif each.connection < last.connection or each.acked == last.acked:
            continue
        elif each.at - last.at > SILENCE:
            found.append(Gap(last.at, each.at, is_lost=False))
        last = each
    return found


class Run:
    """A check of twenty workers while they are harmed."""

    def __init__(self, places: list[Place], plans: list[list[Plan]], report_file: Path) -> None:
        self.places = places
        self.plans = plans
        self.report_file = report_file
        self.begun: dict[tuple[str, int], float] = {}
        """When each worker's each harm really began, in seconds since 1970."""

    async def check(self, module: Sequence[str] = ("randstream",)) -> dict[str, Any]:
        """The report of a check that lasts as long as the plan."""
        targets = ",".join(f"127.0.0.1:{place.gauge.port}" for place in self.places)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *module, "check", "--workers", targets, "--heartbeat", str(HEARTBEAT),
            "--seconds", str(SECONDS), "--max-interruption", "60", "--max-total", "60",
            "--report", str(self.report_file), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            for _ in self.places:
                assert b" reached at " in await child.stdout.readline()
            async with asyncio.TaskGroup() as group:
                for place, plan in zip(self.places, self.plans, strict=True):
                    group.create_task(self._harm(place, plan))
                told = (await child.stdout.read()).decode()
            assert await child.wait() == 0, told
        finally:
            if child.returncode is None:
                child.kill()
        print(told[told.index("---") :])
        report: dict[str, Any] = json.loads(self.report_file.read_bytes())
        return report

    async def _harm(self, place: Place, plan: list[Plan]) -> None:
        begin = time.monotonic()
        for number, each in enumerate(plan):
            await asyncio.sleep(begin + each.at - time.monotonic())
            self.begun[place.name, number] = time.time()
            await each.harm(place, each.seconds)


@asynccontextmanager
async def a_run(seed: str, folder: Path) -> AsyncIterator[Run]:
    async with AsyncExitStack() as stack:
        hatchery = stack.enter_context(hatching())
        places = []
        for number in range(WORKERS):
            gauge = await stack.enter_async_context(Gauge(f"worker-{number}", free_port()).running())
            places.append(Place(gauge.worker, gauge, hatchery))
            places[-1].hatch()
        yield Run(places, plans(Random(seed)), folder / "report.json")


def compare(run: Run, report: dict[str, Any]) -> tuple[int, float]:
    """How many harms there were, and the worst error of a measured length, in heartbeats. Fails at a lie."""
    links = {link["worker"]: link for link in report["links"]}
    count, worst = 0, 0.0
    for place, plan in zip(run.places, run.plans, strict=True):
        told = links[place.name]["interruptions"]
        real = gaps(place.gauge.passed)
        story = f"{place.name}: {[each.harm.__name__ for each in plan]}, really {real}, told {told}"
        harms = [
            (each.harm, run.begun[place.name, number])
            for number, each in enumerate(plan)
            if each.harm is not slow_within_limits
        ]
        assert len(told) == len(harms) == links[place.name]["count"], story
        for (harm, begun), shown in zip(harms, told, strict=True):
            gap = min(real, key=lambda gap: abs(gap.start - begun))
            assert abs(gap.start - begun) < SILENCE, story
            assert abs(datetime.fromisoformat(shown["start"]).timestamp() - gap.start) < HEARTBEAT, story
            error = abs(shown["seconds"] - gap.seconds)
            assert error < HEARTBEAT, story
            assert shown["cause"] in LOST.get(harm, {"timeout" if gap.is_lost else "silence"}), story
            assert shown["is_over"], story
            count += 1
            worst = max(worst, error / HEARTBEAT)
        assert links[place.name]["total"] == pytest.approx(sum(each["seconds"] for each in told), abs=1e-3)
    return count, worst


async def test_every_harm_is_in_the_report_to_one_heartbeat_and_nothing_else_is(
    chaos_seed: str, tmp_path: Path
) -> None:
    async with a_run(chaos_seed, tmp_path) as run:
        count, worst = compare(run, await run.check())
    print(f"{count} harms, each found; the worst length is off by {worst:.3f} heartbeats")
    assert count == 3 * (len(LOST) + len(KEPT))


@pytest.mark.parametrize("mutant", CHECK_MUTANTS)
async def test_a_check_that_lies_is_found_out(mutant: str, chaos_seed: str, tmp_path: Path) -> None:
    async with a_run(chaos_seed, tmp_path) as run:
        report = await run.check(("tests.chaos.mutants", mutant))
        with pytest.raises(AssertionError):
            compare(run, report)
