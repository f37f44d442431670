"""Command: `randstream top`, on a terminal until it is told to quit, or once, or as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from ...clock import Clock
from ...errors import SettingsError
from ..console import PoliteConsole
from .controls import Controls
from .polled import Look
from .report import is_well, to_json
from .rows import Row, merge, sort_rows
from .screen import draw_page, print_all
from .terminal import Terminal, whole_screen
from .view import MOST_LINKS, PERIOD_SECONDS, Wanted
from .watched import Watched

PIPE_COLUMNS: Final = 150
FIRST_SECONDS: Final = 10.0
"""For the first answers. Name look-ups, and servers that answer a byte at a time, have no time limit of their own."""


def run_top(
    urls: Sequence[str],
    *,
    name_filter: str = "",
    sort: str = "trouble",
    token_file: str | None = None,
    ca_file: str | None = None,
    is_once: bool = False,
    as_json: bool = False,
) -> int:
    """Show the streams of the admin servers at `urls` until `q` or Ctrl-C; once, if asked to or if the output is not a
    terminal whose cursor can move. As JSON: one object a second, or once. Gives the exit status: 1 if it was asked for
    once, and something is not well.

    Raises SettingsError: one of `urls` is not a URL, `ca_file` is unusable, or none of them answers at first.
    """
    console = PoliteConsole(file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    is_live = not (is_once or as_json) and console.can_redraw
    controls = Controls(sort, name_filter)
    wanted = controls.wanted if is_live else Wanted(MOST_LINKS, name_filter)
    with Watched(urls, wanted, token_file, ca_file) as watched:
        watched.wait(FIRST_SECONDS, for_all=not is_live)
        looks = watched.looks()
        _require_an_answer(looks)
        if is_live:
            with suppress(KeyboardInterrupt, EOFError), whole_screen(console) as terminal:
                _watch(watched, controls, terminal, console)
            return 0
        if as_json and not is_once:
            with suppress(KeyboardInterrupt):
                _follow(watched, controls)
            return 0
    rows = _rows(looks, controls)
    if as_json:
        _print_json(looks, rows)
    else:
        console.print(print_all(looks, rows, console.width, sort))
    return int(is_once and not is_well(looks, rows))


def _require_an_answer(looks: Sequence[Look]) -> None:
    if all(look.snapshot is None for look in looks):
        which = f"none of {len(looks)} addresses answers; " if len(looks) > 1 else ""
        raise SettingsError(f"{which}{looks[0].trouble}")


def _watch(watched: Watched, controls: Controls, terminal: Terminal, console: PoliteConsole) -> None:
    clock = Clock()
    due = clock.now()
    looks: list[Look] = []
    rows: list[Row] = []
    shown: tuple[object, ...] = ()
    while not controls.has_quit:
        if clock.now() >= due:
            looks = looks if controls.is_paused else watched.looks()
            due = clock.now() + PERIOD_SECONDS
        chosen = looks, controls.sort, controls.name_filter
        if shown != chosen:
            rows, shown = _rows(looks, controls), chosen
        screen = draw_page(looks, rows, controls, console, has_keys=terminal.has_keys)
        terminal.show(screen.content)
        for key in terminal.wait(max(0.0, due - clock.now())):
            controls.press(key, lines=screen.lines, page=screen.page)
        watched.want(controls.wanted)


def _follow(watched: Watched, controls: Controls) -> None:
    while True:
        looks = watched.looks()
        _print_json(looks, _rows(looks, controls))
        time.sleep(PERIOD_SECONDS)


def _rows(looks: Sequence[Look], controls: Controls) -> list[Row]:
    answering = [look.snapshot for look in looks if look.snapshot and look.answers]
    stale = [look.snapshot for look in looks if look.snapshot and not look.answers]
    return sort_rows(merge(answering, stale, controls.name_filter), controls.sort)


def _print_json(looks: Sequence[Look], rows: Sequence[Row]) -> None:
    print(json.dumps(to_json(looks, rows, Clock.wall_time())), flush=True)
