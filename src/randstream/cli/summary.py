"""Summary: what became of each stream, like ping's at its end: for a check, and for a role that ends on a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..observe.durations import Durations
from ..observe.interruptions import InterruptionsStatus
from .words import counted, in_seconds, plain

MOST: Final = 20
"""Streams that are listed, those in trouble first."""


@dataclass(frozen=True, slots=True)
class RoundTrips:
    """From a beat to its ack, in seconds."""

    min: float
    median: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Account:
    """What became of one stream. Lengths are in seconds."""

    name: str
    peer: str | None
    """Where it went, or came from, if that is not the name."""
    problem: str | None
    numbers: str | None
    """How many passed, and what became of them; None: it never flowed."""
    round_trips: RoundTrips | None
    count: int
    """How many interruptions there were."""
    longest: float
    total: float
    by_cause: Mapping[str, int]


def summary_lines(accounts: Iterable[Account]) -> Iterator[str]:
    """A few lines for each stream, of MOST at most."""
    ordered = sorted(accounts, key=lambda each: in_trouble_first(each.problem, each.longest))
    for each in ordered[:MOST]:
        yield from map(plain, _lines(each))
    if (more := len(ordered) - MOST) > 0:
        rest = ordered[MOST:]
        troubled = sum(each.problem is not None for each in rest)
        interrupted = sum(each.problem is None and each.count > 0 for each in rest)
        yield f"--- and {more:,} more: {troubled:,} in trouble, {interrupted:,} interrupted for no longer than these"


def _lines(account: Account) -> Iterator[str]:
    yield f"--- {account.name}" + ("" if account.peer is None else f" at {account.peer}")
    if account.problem is not None:
        yield account.problem
    if account.numbers is not None:
        yield account.numbers
    if (trips := account.round_trips) is not None:
        figures = " / ".join(in_seconds(each) for each in (trips.min, trips.median, trips.p99, trips.max))
        yield f"round trip min / median / p99 / max = {figures}"
    if account.count:
        causes = ", ".join(f"{count} × {cause}" for cause, count in account.by_cause.items())
        many = counted(account.count, "interruption")
        yield f"{many}, longest {account.longest:,.2f} s, {account.total:,.2f} s in all: {causes}"
    elif account.numbers is not None:
        yield "no interruption"


def in_trouble_first(problem: str | None, longest: float) -> tuple[bool, float]:
    """A key to sort streams by: those with a `problem`, then those that were interrupted for the longest."""
    return problem is None, -longest


def sum_up(trips: Durations | None) -> RoundTrips | None:
    """The figures of `trips`; None: there were none."""
    if trips is None or not trips.count:
        return None
    figures = trips.shortest, trips.quantile(0.5), trips.quantile(0.99), trips.longest
    return RoundTrips(*(round(each, 7) for each in figures))


def count_causes(status: InterruptionsStatus) -> dict[str, int]:
    """How many of the interruptions that are kept had each cause, including the current one."""
    current = () if status.current is None else (status.current,)
    return dict(Counter(str(each.cause) for each in (*status.last, *current)))
