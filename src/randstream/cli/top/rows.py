"""Rows: what several processes say of the same workers, one row a worker. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from ..words import in_seconds

ORDER: Final = ("stalled", "streaming", "opening", "standby", "dialling", "waiting", "resting", "finished")
"""Where several processes report different states of one worker, the first of these counts."""
TROUBLE_FIRST: Final = ("stalled", "waiting", "dialling", "opening")
UNKNOWN: Final = "unknown"
"""The state of a worker of which only processes that no longer answer have told."""


@dataclass
class Row:
    """A worker, as all the processes report it."""

    worker: str
    process: str
    """The process that reports `link`."""
    link: dict[str, Any]
    """The link that tells most: the one that carries the stream, at the producer if that is watched."""
    is_stale: bool = False
    served_by: str = ""
    standbys: dict[str, None] = field(default_factory=dict)
    interruptions: int = 0
    """The most that any process counts, including the current one."""
    longest: float = 0.0
    """The longest of those, in seconds."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Each process that has something to tell, and what."""
    is_troubled: bool = False
    """Whether one of the notes is a problem."""

    @property
    def state(self) -> str:
        state: str = UNKNOWN if self.is_stale else self.link["state"]
        return state

    @property
    def flows(self) -> bool:
        return self.state in ("streaming", "standby")

    @property
    def is_well(self) -> bool:
        return self.state not in (*TROUBLE_FIRST, UNKNOWN) and not self.is_troubled

    @property
    def lag(self) -> int:
        lag: int = self.link["offset"] - self.link["acked_offset"]
        return lag

    def add(self, process: str, link: dict[str, Any], now: float) -> None:
        """Add what `process` reports of it: `link`. `now`: seconds since 1970, by the clock of `process`."""
        state, served_by = link["state"], link["served_by"]
        if served_by and (state in ("streaming", "stalled") or not self.served_by):
            self.served_by = served_by
        if state == "standby":
            self.standbys[process] = None
        self.standbys |= dict.fromkeys(standby["producer"] for standby in link["standbys"])
        interruptions = link["interruptions"]
        counted = interruptions["count"] + (interruptions["current"] is not None), interruptions["longest"]
        self.interruptions, self.longest = max((self.interruptions, self.longest), counted)
        if ORDER.index(state) < ORDER.index(self.link["state"]):
            self.process, self.link = process, link
        if state == "resting":
            self.notes.append((process, f"{link['peer']} rests"))
        elif trouble := _trouble(link, now):
            self.notes.append((process, trouble))
            self.is_troubled = True


def _trouble(link: dict[str, Any], now: float) -> str | None:
    """Why `link` is not well, and for how long if it says so; None if it does not say."""
    state, current = link["state"], link["interruptions"]["current"]
    if link["reason"]:
        told = "" if link["since"] is None else f" (for {in_seconds(max(0.0, now - link['since']))})"
        return f"{link['reason']}{told}"
    if link["error"] and state not in ("streaming", "stalled", "finished"):
        error: str = link["error"]
        return error
    if current:
        return f"interrupted for {current['seconds']:.1f} s: {current['cause']}"
    return None


def merge(
    snapshots: Iterable[dict[str, Any]], stale: Iterable[dict[str, Any]] = (), name_filter: str = ""
) -> list[Row]:
    """One row a worker, of the links whose worker or peer contains `name_filter`.

    `stale`, the last snapshots of processes that no longer answer, tell only of workers that no other one knows.
    """
    rows: dict[str, Row] = {}
    given = [(snapshot, False) for snapshot in _producers_first(snapshots)]
    given += [(snapshot, True) for snapshot in _producers_first(stale)]
    for snapshot, is_stale in given:
        for link in snapshot["links"]:
            if name_filter.casefold() not in f"{link['worker'] or ''} {link['peer'] or ''}".casefold():
                continue
            name = link["worker"] or link["peer"] or "nobody"
            row = rows.setdefault(name, Row(name, snapshot["name"], link, is_stale))
            if row.is_stale or not is_stale:
                row.add(snapshot["name"], link, snapshot["time"])
    return list(rows.values())


def _producers_first(snapshots: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(snapshots, key=lambda snapshot: snapshot["role"])


def _trouble_rank(row: Row) -> int:
    if row.is_stale:
        return 0
    return TROUBLE_FIRST.index(row.state) if row.state in TROUBLE_FIRST else len(TROUBLE_FIRST) + (not row.notes)


SORTS: Final[dict[str, Callable[[Row], Any]]] = {
    "trouble": _trouble_rank,
    "name": lambda row: 0,
    "rate": lambda row: -row.link["rate"],
    "offset": lambda row: -row.link["offset"],
    "lag": lambda row: -row.lag,
    "round-trip": lambda row: -(row.link["round_trip"] or 0.0),
    "silence": lambda row: -(row.link["silence"] or 0.0),
    "interrupted": lambda row: -row.interruptions,
    "longest": lambda row: -row.longest,
}
"""What rows can be sorted by: trouble first, the largest figure first, or by name."""


def sort_rows(rows: Iterable[Row], sort: str) -> list[Row]:
    """`rows` by one of SORTS, and those that are equal there by name, numbers in names by their value."""
    key = SORTS[sort]
    return sorted(rows, key=lambda row: (key(row), _natural(row.worker)))


def _natural(name: str) -> list[str | int]:
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", name))]
