"""Plan: which faults come, drawn from a seed before anything runs. Pure: the same seed gives the same plan.

Each hand (one for every worker and one for every producer) has a plan of its own. A plan has no end; a run gets
as far as its time allows. What depends on the moment, such as the byte of a chunk, is drawn from the fault's own seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Kind(StrEnum):
    """A fault, as the journal and the table in docs/chaos.md call it."""

    CUT_RST = "cut mid-line (RST)"
    CUT_FIN = "cut mid-line (FIN)"
    RESET = "reset"
    BLACKHOLE = "blackhole"
    DELAY = "delay"
    SLICES = "one-byte slices"
    THROTTLE = "throttled reader"
    FLIP = "byte flipped"
    INSERT = "byte inserted"
    DELETE = "byte deleted"
    DUPLICATE = "chunk duplicated"
    KILL_WORKER = "SIGKILL worker"
    STOP_WORKER = "SIGSTOP worker"
    ROLL_WORKER = "SIGTERM worker"
    KILL_PRODUCER = "SIGKILL producer"
    STOP_PRODUCER = "SIGSTOP producer"
    ROLL_PRODUCER = "SIGTERM producer"


CUTS: Final = frozenset({Kind.CUT_RST, Kind.CUT_FIN, Kind.RESET})
CORRUPTIONS: Final = frozenset({Kind.FLIP, Kind.INSERT, Kind.DELETE})
KILLS: Final = frozenset({Kind.KILL_WORKER, Kind.KILL_PRODUCER})

WORKER_WEIGHTS: Final = {
    Kind.CUT_RST: 15,
    Kind.CUT_FIN: 15,
    Kind.RESET: 15,
    Kind.BLACKHOLE: 4,
    Kind.DELAY: 1,
    Kind.SLICES: 1,
    Kind.THROTTLE: 1,
    Kind.FLIP: 1,
    Kind.INSERT: 1,
    Kind.DELETE: 1,
    Kind.DUPLICATE: 1,
    Kind.KILL_WORKER: 2,
    Kind.STOP_WORKER: 1,
    Kind.ROLL_WORKER: 1,
}
PRODUCER_WEIGHTS: Final = {
    Kind.KILL_PRODUCER: 6,
    Kind.STOP_PRODUCER: 2,
    Kind.ROLL_PRODUCER: 1,
    Kind.RESET: 2,
    Kind.BLACKHOLE: 2,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Times are in heartbeats."""

    kind: Kind
    gap: float
    """Time between the recovery from the fault before and this one."""
    lasts: float
    """How long it lasts, or a killed process is down."""
    rushes: bool
    """It does not wait for the recovery, so it may hit a handshake, a recovery or a starting process."""
    hits_worker: bool
    """It hits bytes on their way to the worker, otherwise to the producer."""
    hits_line: bool
    """It hits all connections of a worker, otherwise the one that serves."""
    hits_handshake: bool
    """The connection is cut first, so that it hits the first bytes of the next one."""
    seed: int


def worker_plan(seed: str, worker: str, weights: dict[Kind, int] = WORKER_WEIGHTS) -> Iterator[Fault]:
    """The faults of `worker` and of its network."""
    return _plan(Random(f"{seed}/{worker}"), weights, longest_gap=1.5)


def producer_plan(seed: str, producer: str, weights: dict[Kind, int] = PRODUCER_WEIGHTS) -> Iterator[Fault]:
    """The faults of `producer` and of its network: rarer, because each hits several streams."""
    return _plan(Random(f"{seed}/{producer}"), weights, longest_gap=14.0)


def _plan(random: Random, weights: dict[Kind, int], longest_gap: float) -> Iterator[Fault]:
    kinds, shares = list(weights), list(weights.values())
    while True:
        yield Fault(
            kind=random.choices(kinds, shares)[0],
            gap=round(random.uniform(0, longest_gap), 2),
            lasts=round(random.uniform(*random.choice([(0, 1), (1, 8), (4, 8)])), 2),
            rushes=random.random() < 0.2,
            hits_worker=random.random() < 0.7,
            hits_line=random.random() < 0.05,
            hits_handshake=random.random() < 0.25,
            seed=random.getrandbits(32),
        )
