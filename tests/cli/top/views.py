"""Views: what `top` has of roles, and the screen that it makes of that."""

from __future__ import annotations

import io

from rich.console import Console
from tests.admin.roles import FakeRole

from randstream.admin.observer import Observer, to_json
from randstream.cli.top.screen import MARKS, render
from randstream.cli.top.snapshot import read_snapshot
from randstream.cli.top.source import Source, View


def view_of(role: FakeRole | None, *, limit: int = 100, silence: float = 0.0) -> View:
    """What `top` has of a role; None: of an address without an answer."""
    view = View(Source("127.0.0.1:1"))
    view.heard_at -= silence
    if role is None:
        view.ask()
    else:
        view.snapshot = read_snapshot(to_json(Observer(role).snapshot(limit=limit)))
    return view


def screen(*views: View | FakeRole, rows: int = 100, width: int = 150) -> str:
    console = Console(file=io.StringIO(), width=width)
    asked = [view if isinstance(view, View) else view_of(view) for view in views]
    console.print(render(asked, rows=rows, width=width))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def rows_of(text: str) -> list[list[str]]:
    """The rows of the table, in words."""
    return [line.split() for line in text.splitlines() if line[:1] in (*MARKS.values(), "○")]
