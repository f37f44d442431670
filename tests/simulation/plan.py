"""Plan: the cluster that a seed draws, and the faults that happen to it. It shrinks: a part of a plan is a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from randstream.protocol import WINDOW_BYTES

WORKER_FAULTS: Final = (
    "kill worker", "kill worker", "cut power", "cut power", "stop worker", "freeze worker", "delay worker",
    "kill in a disk call", "kill in a disk call", "fail disk", "fail disk", "slow disk",
)  # fmt: skip
PRODUCER_FAULTS: Final = ("kill producer", "cut producer's power", "stop producer", "freeze producer", "delay producer")
LINK_FAULTS: Final = (
    "partition", "block one way", "reset", "reset one side", "reset inside a line", "reset inside a line",
    "damage a byte", "damage a byte", "slow link", "split and merge",
)  # fmt: skip
OTHER_FAULTS: Final = ("dns fails", "dns hangs", "dns is wrong", "step the clock", "another seed", "rolling restart")
WEIGHTS: Final = ((6, 2, 7, 2), (6, 2, 7, 2), (1, 12, 4, 1))
"""Of the four kinds of faults above: in some plans it is mostly the producers that come and go."""
BURST_SECONDS: Final = 40.0
CALM_SECONDS: Final = (25.0, 60.0, 150.0)
"""A plan is bursts of faults with calms between them, in which every stream has to flow again."""
PAUSE_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 4.0, 4.0, 10.0, 10.0, 30.0, 30.0)
"""Between two faults of a burst, on average: the fewer there are, the longer each can show."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A cluster. Times in seconds."""

    workers: int
    producers: int
    rate: float
    heartbeat: float
    segment_bytes: int
    retain_bytes: int | None
    buffer_bytes: int
    """Of each socket in each kernel: small ones fill, and writers have to wait."""
    window_bytes: int
    """In place of the protocol's window, which streams this slow would never fill."""

    @property
    def longest_silence(self) -> float:
        """The most that a stream may be silent for, once everything that it needs works again.

        The dead connection is noticed (three heartbeats), a dial that began before ends (5 s), the longest delay passes
        (5 s), and the next dial succeeds.
        """
        return 3 * self.heartbeat + 12.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong: when, what, to whom, for how long, and how badly (0 to 1)."""

    number: int
    at: float
    kind: str
    worker: int
    producer: int
    seconds: float
    severity: float

    def __str__(self) -> str:
        return (
            f"#{self.number} at {self.at:.3f} s: {self.kind} (worker {self.worker}, producer {self.producer},"
            f" {self.seconds:.3f} s, {self.severity:.3f})"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What one seed does to one cluster, for `seconds`."""

    seed: int
    shape: Shape
    seconds: float
    faults: tuple[Fault, ...]

    def keep(self, numbers: set[int]) -> Plan:
        """The same plan with only these faults."""
        return replace(self, faults=tuple(fault for fault in self.faults if fault.number in numbers))


def draw_storm(seed: int, heartbeats: float) -> Plan:
    """Like `draw_plan`, but with many promotions: producers come and go, and each has a share of twelve workers."""
    plan, random = draw_plan(seed, heartbeats), Random(f"storm {seed}")
    shape = replace(plan.shape, workers=12, producers=random.choice((3, 4, 5)), rate=0.25, heartbeat=4.0)
    seconds, at = heartbeats * shape.heartbeat, 0.0
    faults: list[Fault] = []
    while (at := at + random.expovariate(1 / 3.0)) < seconds:
        if at % (BURST_SECONDS + CALM_SECONDS[1]) < BURST_SECONDS:
            kinds = random.choices((PRODUCER_FAULTS, LINK_FAULTS), (9, 1))[0]
            faults.append(
                Fault(
                    number=len(faults), at=at, kind=random.choice(kinds), worker=random.randrange(12),
                    producer=random.randrange(shape.producers), seconds=random.uniform(0.0, 12.0),
                    severity=random.random(),
                )
            )  # fmt: skip
    return Plan(seed, shape, seconds, tuple(faults))


def draw_plan(seed: int, heartbeats: float) -> Plan:
    """The plan of a seed, measured in heartbeats, so that a slow cluster has time to show what it does."""
    random = Random(f"plan {seed}")
    heartbeat = random.choice((0.5, 1.0, 2.0, 4.0, 4.0))
    seconds = heartbeats * heartbeat
    shape = Shape(
        workers=random.choice((1, 3, 6, 12)),
        producers=random.choice((1, 1, 2, 3, 3, 4, 5)),
        rate=random.choice((0.25, 0.5, 1.0, 1.0, 4.0)) / heartbeat,
        heartbeat=heartbeat,
        segment_bytes=random.choice((1, 600, 4000, 2**30)),
        retain_bytes=random.choice((None, None, 0, 2000)),
        buffer_bytes=random.choice((512, 4096, 128 * 1024)),
        window_bytes=random.choice((250, WINDOW_BYTES, WINDOW_BYTES)),
    )
    faults: list[Fault] = []
    longest = max(12.0, 5 * heartbeat)  # beyond every deadline
    weights = random.choice(WEIGHTS)
    pause, calm = random.choice(PAUSE_SECONDS), random.choice(CALM_SECONDS)
    at = random.uniform(0.0, 3.0)
    while at < seconds:
        if at % (BURST_SECONDS + calm) > BURST_SECONDS:
            at += calm
            continue
        kinds = random.choices((WORKER_FAULTS, PRODUCER_FAULTS, LINK_FAULTS, OTHER_FAULTS), weights)[0]
        faults.append(
            Fault(
                number=len(faults),
                at=at,
                kind=random.choice(kinds),
                worker=random.randrange(shape.workers),
                producer=random.randrange(shape.producers),
                seconds=random.choice(
                    (0.0, random.uniform(0.0, 0.5), random.uniform(0.0, 5.0), random.uniform(0.0, longest))
                ),
                severity=random.random(),
            )
        )
        at += random.expovariate(1 / pause)
    return Plan(seed, shape, seconds, tuple(faults))
