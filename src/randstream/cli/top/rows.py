"""Rows: what several processes say of the same workers, one row a worker. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

ORDER: Final = ("stalled", "streaming", "opening", "standby", "dialling", "waiting", "resting", "finished")
"""Where several processes report different states of one worker, the first of these counts."""
TROUBLE_FIRST: Final = ("stalled", "waiting", "dialling", "opening")


@dataclass
class Row:
    """A worker, as all the processes report it."""

    worker: str
    link: dict[str, Any]
    """The link that tells most: the one that carries the stream, at the producer if that is watched."""
    served_by: str = ""
    standbys: dict[str, None] = field(default_factory=dict)
    interruptions: int = 0
    """The most that any process counts, including the current one."""
    longest: float = 0.0
    """The longest of those, in seconds."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """Each process that reports a problem, and the problem."""

    @property
    def state(self) -> str:
        state: str = self.link["state"]
        return state

    def add(self, process: str, link: dict[str, Any]) -> None:
        """Add what `process` reports of it: `link`."""
        state, served_by = link["state"], link["served_by"]
        if served_by and (state in ("streaming", "stalled") or not self.served_by):
            self.served_by = served_by
        if state == "standby":
            self.standbys[process] = None
        self.standbys |= dict.fromkeys(standby["producer"] for standby in link["standbys"])
        interruptions = link["interruptions"]
        current = interruptions["current"]
        counted = interruptions["count"] + (current is not None), interruptions["longest"]
        self.interruptions, self.longest = max((self.interruptions, self.longest), counted)
        if ORDER.index(state) < ORDER.index(self.state):
            self.link = link
        if state == "resting":
            self.notes.append((process, f"{link['peer']} rests"))
        elif link["error"] and state not in ("streaming", "stalled", "finished"):
            self.notes.append((process, link["error"]))
        elif current:
            self.notes.append((process, f"interrupted for {current['seconds']:.1f} s: {current['cause']}"))


def merge(snapshots: Iterable[dict[str, Any]]) -> list[Row]:
    """One row a worker, those in trouble first."""
    rows: dict[str, Row] = {}
    for snapshot in sorted(snapshots, key=lambda snapshot: snapshot["role"]):  # producers first
        for link in snapshot["links"]:
            name = link["worker"] or link["peer"] or "nobody"
            row = rows.setdefault(name, Row(name, link))
            row.add(snapshot["name"], link)
    return sorted(rows.values(), key=_place)


def _place(row: Row) -> tuple[int, list[str | int]]:
    """A key to sort by: trouble first, then rows with notes, then by name, numbers in names by their value."""
    rank = TROUBLE_FIRST.index(row.state) if row.state in TROUBLE_FIRST else len(TROUBLE_FIRST) + (not row.notes)
    return rank, [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", row.worker))]
