"""Views: what `top` has of roles, and the screen that it makes of that."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from tests.admin.roles import FakeRole

from randstream.admin.observer import Observer, to_json
from randstream.cli.top.columns import MARKS
from randstream.cli.top.controls import Controls
from randstream.cli.top.polled import Look
from randstream.cli.top.rows import Row, merge, sort_rows
from randstream.cli.top.screen import Screen, draw_page, print_all
from randstream.cli.top.snapshot import read_snapshot

NOON = 1_700_000_000.0
"""When the last answer came, in seconds since 1970."""


def snapshot_of(role: FakeRole, limit: int = 100) -> dict[str, Any]:
    return read_snapshot(to_json(Observer(role).snapshot(limit=limit)))


def look_of(role: FakeRole | None, *, limit: int = 100, silence: float = 0.0) -> Look:
    """What `top` has of a role; None: of an address without an answer."""
    if role is None:
        return Look("127.0.0.1:1", None, "no answer from http://127.0.0.1:1: connection refused", silence, NOON)
    return Look("127.0.0.1:2", snapshot_of(role, limit), None, silence, NOON)


def looks_of(*given: Look | FakeRole) -> list[Look]:
    return [each if isinstance(each, Look) else look_of(each) for each in given]


def rows_in(looks: list[Look], name_filter: str = "", sort: str = "trouble") -> list[Row]:
    answering = [look.snapshot for look in looks if look.snapshot and look.answers]
    stale = [look.snapshot for look in looks if look.snapshot and not look.answers]
    return sort_rows(merge(answering, stale, name_filter), sort)


def console_of(width: int = 150, height: int = 30) -> Console:
    return Console(file=io.StringIO(), width=width, height=height)


def shown(console: Console, content: Any) -> str:
    console.print(content)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def screen(*given: Look | FakeRole, width: int = 150, sort: str = "trouble") -> str:
    """What is printed of all this."""
    looks = looks_of(*given)
    return shown(console_of(width), print_all(looks, rows_in(looks, sort=sort), width, sort))


def page(
    *given: Look | FakeRole, controls: Controls | None = None, width: int = 100, height: int = 24, has_keys: bool = True
) -> tuple[str, Screen]:
    """What a terminal of this size shows of it, and as what."""
    looks, controls = looks_of(*given), controls or Controls()
    rows = rows_in(looks, controls.name_filter, controls.sort)
    console = console_of(width, height)
    drawn = draw_page(looks, rows, controls, console, has_keys=has_keys)
    return shown(console, drawn.content), drawn


def rows_of(text: str) -> list[list[str]]:
    """The rows of the table, in words."""
    return [line.split() for line in text.splitlines() if line[:1] in (*MARKS.values(), "○")]
