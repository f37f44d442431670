"""Screen: the table that `top` shows, and what stands above and below it. It trusts `read_snapshot`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, Final, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..words import in_seconds
from .rows import ORDER, Row, merge
from .source import View

STALE_SECONDS: Final = 2.5
WIDE: Final = 100
WIDEST: Final = 140
"""Columns that the whole table needs."""
EVENTS: Final = 4
STYLES: Final = {"streaming": "green", "stalled": "yellow", "standby": "blue", "resting": "dim", "finished": "dim"}
MARKS: Final = {"streaming": "●", "stalled": "■", "standby": "◇", "resting": "–", "finished": "·"}
"""Shapes as well, for those who cannot tell the colours apart."""


def render(views: Sequence[View], *, rows: int, width: int) -> RenderableType:
    """The screen, with up to `rows` lines for workers and their problems."""
    snapshots = [view.snapshot for view in views if view.snapshot is not None]
    merged = merge(snapshots)
    unseen = max((snapshot["left_out"] for snapshot in snapshots), default=0)
    processes = chain.from_iterable(map(_process, views))
    lines = accumulate(1 + len(row.notes) for row in merged)
    shown = merged[: sum(count <= rows for count in lines)]
    notes = [_note(row, *note, names_process=len(views) > 1) for row in shown for note in row.notes]
    footer = _footer(snapshots, len(merged) - len(shown) + unseen)
    return Group(*processes, _heading(merged, unseen, snapshots), Text(), _table(shown, width), *notes, *footer)


def _process(view: View) -> list[Text]:
    """A line for a process, and one for each of its problems."""
    snapshot = view.snapshot
    if snapshot is None:
        return [Text(view.trouble, style="yellow")]
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"randstream {snapshot['role']} {snapshot['name']}", style="bold")
    states = snapshot["totals"]["states"]
    line.append("  " + ", ".join(f"{states[state]:,} {state}" for state in ORDER if state in states))
    line.append(f"  {snapshot['totals']['reconnects']:,} reconnects", style="dim")
    told = f"  {snapshot['numbers'] or 'no stream yet'}  up {in_seconds(snapshot['uptime'])}"
    line.append(told, style="dim")
    lines = [line]
    if view.silence > STALE_SECONDS:
        lines.append(Text(f"stale: no answer for {view.silence:.0f} s, trying again", style="yellow"))
    if snapshot["problem"]:
        lines.append(Text(f"not ready: {snapshot['problem']}", style="red"))
    if snapshot["warning"]:
        lines.append(Text(snapshot["warning"], style="yellow"))
    return lines


def _heading(rows: list[Row], unseen: int, snapshots: list[dict[str, Any]]) -> Text:
    """The totals. `unseen` streams have no rows, and flow: trouble comes first."""
    links = len(rows) + unseen
    flowing = sum(row.state in ("streaming", "standby") for row in rows) + unseen
    heading = Text()
    heading.append(f"{flowing:,} of {links:,} streams flow", style=f"bold {'green' if flowing == links else 'red'}")
    rate, numbers = (
        max(sum(each["totals"][what] for each in snapshots if each["role"] == role) for role in ("producer", "worker"))
        for what in ("rate", "numbers")
    )  # each number passes both roles
    heading.append(f"  {_rate(rate)} numbers/s  {numbers:,} in all")
    return heading


def _table(rows: list[Row], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    titles = ["worker", "state", "served by", "numbers/s", "offset"]
    if width >= WIDE:
        titles[3:3] = ["standing by"]
        titles += ["lag", "round trip"]
    if width >= WIDEST:
        titles += ["silent", "interrupted", "longest"]
    for title in titles:
        ratio = {"worker": 3, "served by": 2, "standing by": 3}.get(title)
        is_number = ratio is None and title != "state"
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(title, ratio=ratio, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = _cells(row)
        table.add_row(*(cells[title] for title in titles))
    return table


def _cells(row: Row) -> dict[str, str | Text]:
    link = row.link
    style = STYLES.get(row.state, "red")
    name = Text(f"{MARKS.get(row.state, '○')} ", style=style)
    name.append(row.worker, style="default")
    standbys = ", ".join(row.standbys)
    return {
        "worker": name,
        "state": Text(row.state, style=style),
        "served by": Text(row.served_by or "–"),
        "standing by": Text(f"{len(row.standbys)}: {standbys}" if standbys else "–"),
        "numbers/s": _rate(link["rate"]),
        "offset": f"{link['offset']:,}",
        "lag": f"{link['offset'] - link['acked_offset']:,}",
        "round trip": in_seconds(link["round_trip"]),
        "silent": in_seconds(link["silence"]),
        "interrupted": f"{row.interruptions:,}",
        "longest": in_seconds(row.longest if row.interruptions else None),
    }


def _note(row: Row, process: str, what: str, *, names_process: bool) -> Text:
    by = f"{process}: " if names_process else ""
    return Text(f"{row.worker}: {by}{what}", style="dim", no_wrap=True, overflow="ellipsis")


def _footer(snapshots: list[dict[str, Any]], left_out: int) -> list[Text]:
    lines = []
    if left_out:
        lines.append(Text(f"and {left_out:,} more; those in trouble come first", style="dim"))
    lines.append(Text())
    events = [(event, snapshot["name"]) for snapshot in snapshots for event in snapshot["events"]]
    for event, process in sorted(events, key=lambda each: each[0]["time"])[: -EVENTS - 1 : -1]:
        at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        what = event["event"].rpartition(".")[2].replace("_", " ")
        by = f"{process}: " if len(snapshots) > 1 else ""
        line = f"{at}  {by}{event['link']} {what}: {event['detail']}"
        lines.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
    return lines


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}"
