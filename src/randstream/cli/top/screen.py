"""Screen: the table that `top` shows, and what stands above and below it. It trusts `read_snapshot`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..words import in_seconds, plain
from .columns import GAP, choose_columns, in_numbers, row_line, title_line
from .controls import HELP, Controls
from .polled import Look
from .rows import ORDER, Row

EVENTS: Final = 4
ROOMY: Final = 20
"""Lines of a screen that has room for events and empty lines."""

Line = tuple[Row, tuple[str, str] | None]
"""A line of the table: a row, or one of its notes."""


@dataclass(frozen=True, slots=True)
class Screen:
    """What to show now; how many lines the table has, and how many of them there is room for."""

    content: RenderableType
    lines: int
    page: int


def print_all(looks: Sequence[Look], rows: Sequence[Row], width: int, sort: str = "trouble") -> RenderableType:
    """Everything, one below the other. `rows`: sorted by `sort`."""
    left_out = _left_out(looks)
    lines = _lines(rows)
    widths = choose_columns(rows, width, sort, names_process=len(looks) > 1)
    parts = [*chain(*_processes(looks)), _heading(looks, rows), Text(), title_line(widths, sort)]
    parts += [row_line(row, widths) if note is None else _note(*note, looks) for row, note in lines]
    if left_out:
        parts.append(Text(f"and {left_out:,} more; those in trouble come first", style="dim"))
    return Group(*parts, Text(), *_events(looks))


def draw_page(
    looks: Sequence[Look], rows: Sequence[Row], controls: Controls, console: Console, *, has_keys: bool = True
) -> Screen:
    """The part that `controls` choose, as the size of `console` allows. `rows`: sorted as they say."""
    width, height = console.size
    if controls.shows_help:
        return Screen(_help(), 0, 0)
    is_roomy = height >= ROOMY
    space = [Text()] if is_roomy else []
    above = [*_some_processes(looks, console), _heading(looks, rows), *space]
    below = [*space, *_events(looks)] if is_roomy else []
    page = max(1, height - len(above) - len(below) - 2)
    lines = _lines(rows)
    first = min(controls.first, max(0, len(lines) - page))
    shown = lines[first : first + page]
    widths = choose_columns([row for row, _ in shown], width, controls.sort, names_process=len(looks) > 1)
    table = [row_line(row, widths) if note is None else _note(*note, looks) for row, note in shown]
    if not lines:
        table = [Text(f"no stream matches {plain(controls.name_filter)}" if controls.name_filter else "no stream yet")]
    table += [Text()] * (page - len(table))
    position = _position(rows, shown, _left_out(looks))
    bottom = _bottom_line(controls, position) if has_keys else Text(f"{position}Ctrl-C quits", style="dim")
    screen = [*above, title_line(widths, controls.sort), *table, *below, bottom]
    return Screen(Group(*map(_cut, screen[-height:])), len(lines), page)


def _lines(rows: Sequence[Row]) -> list[Line]:
    return [(row, note) for row in rows for note in (None, *row.notes)]


def _position(rows: Sequence[Row], shown: Sequence[Line], left_out: int) -> str:
    """Which rows are shown, of how many; empty if all are."""
    names = dict.fromkeys(row.worker for row, _ in shown)
    if len(names) == len(rows) + left_out:
        return ""
    first = next(i for i, row in enumerate(rows, 1) if row.worker in names)
    return f"{first:,}–{first + len(names) - 1:,} of {len(rows) + left_out:,}  "


def _some_processes(looks: Sequence[Look], console: Console) -> list[Text]:
    """A quarter of the screen at most, and a line that says how many are left out."""
    width, height = console.size
    most = max(1, height // 4)
    lines: list[Text] = []
    for i, (process, *problems) in enumerate(_processes(looks)):
        group = [process, *(line for problem in problems for line in problem.wrap(console, width))]
        if lines and len(lines) + len(group) > most:
            rest = sum(map(_is_troubled, looks)) - i
            troubled = f", {rest:,} of them in trouble" if rest > 0 else ""
            return [*lines, Text(f"processes not shown: {len(looks) - i:,}{troubled}", style="dim")]
        lines += group[:most]
    return lines


def _processes(looks: Sequence[Look]) -> list[list[Text]]:
    """The lines of each process, those in trouble first."""
    return [_process(look) for look in sorted(looks, key=lambda look: not _is_troubled(look))]


def _is_troubled(look: Look) -> bool:
    return not look.answers or bool(look.snapshot and (look.snapshot["problem"] or look.snapshot["warning"]))


def _process(look: Look) -> list[Text]:
    """A line for a process, and one for each of its problems."""
    snapshot = look.snapshot
    since = f"for {in_seconds(look.silence)}, since {_clock_time(look.since)}"
    if snapshot is None:
        return [Text(f"{look.address}  no answer {since}", style="yellow"), Text(look.trouble, style="yellow")]
    line = Text()
    line.append(f"randstream {snapshot['role']} {snapshot['name']}", style="bold")
    states = snapshot["totals"]["states"]
    line.append("  " + ", ".join(f"{states[state]:,} {state}" for state in ORDER if state in states))
    line.append(f"  {snapshot['totals']['reconnects']:,} reconnects", style="dim")
    told = f"  {snapshot['numbers'] or 'no stream yet'}  up {in_seconds(snapshot['uptime'])}"
    line.append(told, style="dim")
    lines = [line]
    if not look.answers:
        why = f": {look.problem}" if look.problem else ""
        lines.append(Text(f"stale: no answer {since}; trying again{why}", style="yellow"))
    if snapshot["problem"]:
        lines.append(Text(f"not ready: {snapshot['problem']}", style="red"))
    if snapshot["warning"]:
        lines.append(Text(snapshot["warning"], style="yellow"))
    return lines


def _heading(looks: Sequence[Look], rows: Sequence[Row]) -> Text:
    """The totals. Streams without rows flow: trouble comes first."""
    unseen = _left_out(looks)
    links = len(rows) + unseen
    flowing = sum(row.flows for row in rows) + unseen
    heading = Text()
    heading.append(f"{flowing:,} of {links:,} streams flow", style=f"bold {'green' if flowing == links else 'red'}")
    rate = _passed([look for look in looks if look.answers], "rate")
    numbers = _passed(looks, "numbers")
    heading.append(f"  {in_numbers(rate)} numbers/s  {numbers:,} in all")
    return heading


def _passed(looks: Sequence[Look], what: str) -> Any:
    """The total of the producers or of the workers, whichever is more: each number passes both roles."""
    snapshots = [look.snapshot for look in looks if look.snapshot]
    return max(
        sum(each["totals"][what] for each in snapshots if each["role"] == role) for role in ("producer", "worker")
    )


def _left_out(looks: Sequence[Look]) -> int:
    return max((look.snapshot["left_out"] for look in looks if look.snapshot), default=0)


def _note(process: str, what: str, looks: Sequence[Look]) -> Text:
    by = f"{process}: " if len(looks) > 1 else ""
    return Text(f"    {by}{what}", style="dim", no_wrap=True, overflow="ellipsis")


def _events(looks: Sequence[Look]) -> list[Text]:
    snapshots = [look.snapshot for look in looks if look.snapshot]
    events = [(event, snapshot["name"]) for snapshot in snapshots for event in snapshot["events"]]
    lines = []
    for event, process in sorted(events, key=lambda each: each[0]["time"])[: -EVENTS - 1 : -1]:
        what = event["event"].rpartition(".")[2].replace("_", " ")
        by = f"{process}: " if len(snapshots) > 1 else ""
        line = f"{_clock_time(event['time'])}  {by}{event['link']} {what}: {event['detail']}"
        lines.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
    return lines


def _bottom_line(controls: Controls, position: str) -> Text:
    line = Text()
    if controls.is_typing:
        line.append(f"/{controls.name_filter}").append(" ", style="reverse")
        return line.append("  Enter keeps it, Esc shows all", style="dim")
    if controls.is_paused:
        line.append("paused", style="reverse").append("  ")
    line.append(position)
    line.append("q quit  ? help  / ", style="dim")
    if controls.name_filter:
        line.append(plain(controls.name_filter))
    else:
        line.append("filter", style="dim")
    line.append("  s sort: ", style="dim").append(controls.sort)
    return line.append("  p pause  arrows scroll", style="dim")


def _help() -> RenderableType:
    table = Table.grid(padding=(0, GAP))
    for key, what in HELP:
        table.add_row(Text(key, style="bold"), Text(what))
    return Group(Text("randstream top", style="bold"), Text(), table)


def _cut(line: Text) -> Text:
    """`line` on one line, whatever the width."""
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _clock_time(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
