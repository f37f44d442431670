"""View: a check as a person sees it: a table or lines while it runs, and at the end a summary like ping's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...protocol import INTERRUPTION_HEARTBEATS
from ...settings.checks import shorten
from ..console import open_console
from ..summary import Account, summary_lines
from ..words import counted, in_seconds, plain
from .report import LinkResult, Report

MOST_ROWS: Final = 20
"""Links that the table shows, those in trouble first."""
STORIES: Final = 8
"""The last lines below the live table."""
ROWS_BESIDE: Final = 4
"""Lines of the screen besides the rows of links and the stories."""
WIDE: Final = 80
"""Columns that the whole table needs."""


class View:
    """Writes to `file`. `is_live`: as a table that changes, if that is a terminal that can show one."""

    def __init__(self, file: IO[str], *, is_live: bool) -> None:
        self._console = open_console(file)
        self.is_live = is_live and self._console.can_redraw
        """Whether `update` shows anything."""
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._stories: list[str] = []
        self.problem: OSError | None = None
        """Why nothing more can be written there: the check itself goes on."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the table during the block."""
        with self._writing(), ExitStack() as screen:
            if self.is_live:
                with self._writing():
                    screen.enter_context(self._live)
            yield

    def tell(self, at: float, story: str) -> None:
        """One line: what happened `at` seconds after the start."""
        line = plain(f"{at:7.1f} s  {story}")
        self._stories = [*self._stories, line][-STORIES:]
        if not self.is_live:
            self._print(line)

    def update(self, at: float, phase: str, links: Sequence[LinkResult], more: int) -> None:
        """Show `links` as they are now, and how many `more` there are. `phase`: what the check waits for."""
        if self.is_live and not self._console.quiet:
            with self._writing():
                self._live.update(self._screen(at, phase, links, more), refresh=True)

    def summarize(self, report: Report) -> None:
        """Print the summary."""
        for line in summary_lines(map(_account, report.links)):
            self._print(line)
        if report.command is not None:
            self._print(plain(f"--- {shorten(shlex.join(report.command.arguments))}: {report.command.outcome}"))
        if report.pause > INTERRUPTION_HEARTBEATS * report.settings["heartbeat"]:
            self._print(f"--- the check itself stood still for up to {report.pause:.2f} s: silences may be its own")
        self._print(plain(report.verdict), style="bold red" if report.status else "bold green")

    def _screen(self, at: float, phase: str, links: Sequence[LinkResult], more: int) -> RenderableType:
        height, width = self._console.height, self._console.width
        stories = [_line(story) for story in self._stories[-max(0, min(STORIES, height // 3)) :]]
        rows = max(1, min(MOST_ROWS, height - len(stories) - ROWS_BESIDE))
        title = _line(f"randstream check, {at:.0f} s; {phase}", style="bold")
        return Group(title, _table(links[:rows], more + len(links[rows:]), is_wide=width >= WIDE), *stories)

    def _print(self, line: str, style: str | None = None) -> None:
        with self._writing():
            self._console.print(Text(line), style=style, soft_wrap=True)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._console.quiet = True
            if not isinstance(error, BrokenPipeError):  # whose reader has what it wants
                self.problem = error


def _account(link: LinkResult) -> Account:
    numbers = f"{counted(link.sent, 'number')} sent, {link.acknowledged:,} acknowledged: each once, in order, unchanged"
    return Account(
        name=link.name,
        peer=None if link.name == link.target else link.target,
        problem=link.problem,
        numbers=None if link.stream is None else numbers,
        round_trips=link.round_trips,
        count=link.count,
        longest=link.longest,
        total=link.total,
        by_cause=link.by_cause,
    )


def _table(links: Sequence[LinkResult], more: int, *, is_wide: bool) -> Table:
    """`links`, and how many `more` there are. A narrow table has only the columns that a check is about."""
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    titles = ["worker", "now", "interruptions", "longest"]
    if is_wide:
        titles = [*titles[:2], "acknowledged", "round trip", *titles[2:], "in all"]
    for title in titles:
        is_text = title in ("worker", "now")
        table.add_column(
            title, justify="left" if is_text else "right", ratio=1 if is_text else None, no_wrap=True,
            overflow="ellipsis",
        )  # fmt: skip
    for link in links:
        cells = _cells(link)
        table.add_row(*(cells[title] for title in titles))
    if more:
        table.add_row(Text(f"and {more:,} more", style="dim"))
    return table


def _cells(link: LinkResult) -> dict[str, str | Text]:
    return {
        "worker": Text(plain(link.name)),
        "now": Text(plain(link.problem or "flows"), style="red" if link.problem else "green"),
        "acknowledged": f"{link.acknowledged:,}",
        "round trip": in_seconds(None if link.round_trips is None else link.round_trips.median),
        "interruptions": f"{link.count:,}",
        "longest": in_seconds(link.longest or None),
        "in all": in_seconds(link.total or None),
    }


def _line(text: str, style: str = "") -> Text:
    return Text(plain(text), style=style, no_wrap=True, overflow="ellipsis")
