"""Simulate: runs a plan from the first start to the last goodbye, counts, and shrinks a plan that breaks a promise."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

import structlog
from tests.simulation.cluster import Cluster
from tests.simulation.gaps import WitnessedInterruptions
from tests.simulation.machines import Machine
from tests.simulation.plan import Plan
from tests.simulation.promises import GOODBYE_SECONDS, Promises, grace_of_all
from tests.simulation.world import START, Note, World

from randstream.producer import link, producer
from randstream.protocol import receiver, sender
from randstream.worker import intake

CHECK_SECONDS: Final = 1.0
CALM_SECONDS: Final = 15.0
"""At the end of a plan, when all streams have moved again."""
MOST_STEPS_A_SECOND: Final = 50_000
"""Callbacks in a virtual second: a cluster that spins is broken too."""


@dataclass(slots=True)
class Outcome:
    """The result of runs."""

    faults: Counter[str] = field(default_factory=Counter)
    stream_seconds: float = 0.0
    numbers: int = 0
    lives: int = 0
    promotions: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    longest_silence: float = 0.0

    def add(self, other: Outcome) -> None:
        self.faults += other.faults
        self.stream_seconds += other.stream_seconds
        self.numbers += other.numbers
        self.lives += other.lives
        self.promotions += other.promotions
        self.steps += other.steps
        self.longest_silence = max(self.longest_silence, other.longest_silence)

    def __str__(self) -> str:
        return (
            f"{self.faults.total():,} faults, {self.lives:,} lives,"
            f" {self.promotions['promotion']:,} promotions, {self.promotions['hand-over']:,} hand-overs,"
            f" {self.stream_seconds / 3600:,.1f} virtual stream-hours, {self.numbers:,} numbers,"
            f" longest silence {self.longest_silence:.1f} s"
        )


def simulate(plan: Plan, trace: list[Note] | None = None) -> Outcome:
    """Run `plan`; return the result. Raises `Broken`."""
    with World(f"world {plan.seed}", tracing=trace is not None) as world, logs_of(world), limits_of(plan):
        if trace is not None:
            world.trace = trace
        cluster = Cluster(plan, world)
        promises = Promises(cluster)
        cluster.start()
        _watch(world, cluster, promises, plan.seconds)
        cluster.heal()
        _watch(world, cluster, promises, 0.0, until=lambda: _all_flow(cluster, promises))
        _watch(world, cluster, promises, CALM_SECONDS)
        _end(world, cluster, promises)
        world.collect()
        promises.check_end()
        return Outcome(
            faults=cluster.faults,
            stream_seconds=(world.now - START) * len(cluster.workers),
            numbers=sum(promises.acked.values()),
            lives=sum(machine.lives for machine in cluster.machines),
            promotions=promises.wire.promotions,
            steps=world.steps,
            longest_silence=max(promises.silences.values()),
        )


def _end(world: World, cluster: Cluster, promises: Promises) -> None:
    """Tell all processes to end: at once, or one kind before the other."""
    first: Sequence[Machine] = (cluster.machines, cluster.producers, cluster.workers)[cluster.plan.seed % 3]
    for machine in first:
        machine.stop()
    if first is cluster.producers:
        world.run(world.now + GOODBYE_SECONDS)
        promises.check_goodbye()
    elif first is cluster.workers:
        world.run(world.now + grace_of_all())
    for machine in cluster.machines:
        if machine not in first:
            machine.stop()
    world.run(world.now + grace_of_all())


def _watch(
    world: World, cluster: Cluster, promises: Promises, seconds: float, until: Callable[[], bool] | None = None
) -> None:
    """Let time pass, and check the promises. `check` itself ends a wait that lasts too long."""
    end = world.now + seconds
    while world.now < end if until is None else not until():
        world.run(world.now + CHECK_SECONDS, steps=CHECK_SECONDS * MOST_STEPS_A_SECOND)
        cluster.supervise()
        promises.check()


def _all_flow(cluster: Cluster, promises: Promises) -> bool:
    """Whether every stream has moved since everything was well again."""
    return all(promises.moved_at[name] > harmed_until for name, harmed_until in cluster.harmed_until.items())


@contextmanager
def limits_of(plan: Plan) -> Iterator[None]:
    """Lower limits, which streams as slow as a plan's can reach, and a witness of all interruptions.

    The protocol depends on none of these limits.
    """
    with ExitStack() as stack:
        for owner, name, value in (
            (sender, "WINDOW_BYTES", plan.shape.window_bytes),
            (receiver, "WINDOW_BYTES", plan.shape.window_bytes),
            (producer, "DIALS_AT_ONCE", 2 * plan.shape.workers),
            (link, "Interruptions", WitnessedInterruptions),
            (intake, "Interruptions", WitnessedInterruptions),
        ):
            stack.enter_context(patch.object(owner, name, value))
        yield


@contextmanager
def logs_of(world: World) -> Iterator[None]:
    """What the roles log becomes part of the trace; without one, nothing is logged at all."""

    def note(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        name = event.pop("event")
        world.note(f"{name} {' '.join(f'{key}={value}' for key, value in event.items())}", "log")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[note],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.DEBUG if world.trace is not None else logging.CRITICAL
        ),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def shrink(plan: Plan, breaks: Callable[[Plan], bool]) -> Plan:
    """The plan with the fewest faults that still break a promise: leaves out halves, then quarters and so on."""
    size = max(1, len(plan.faults) // 2)
    while True:
        start, has_shrunk = 0, False
        while start < len(plan.faults):
            left = {fault.number for fault in (*plan.faults[:start], *plan.faults[start + size :])}
            candidate = plan.keep(left)
            if breaks(candidate):
                plan, has_shrunk = candidate, True
            else:
                start += size
        if size == 1 and not has_shrunk:
            return plan
        size = max(1, size // 2)


def breaks_a_promise(plan: Plan) -> bool:
    """Whether `simulate` fails on `plan`."""
    try:
        simulate(plan)
    except Exception:
        return True
    return False
