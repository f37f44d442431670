"""View: a check as a person sees it: a table or lines while it runs, and at the end a summary like that of ping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...settings.checks import shorten
from ..words import in_seconds, plain
from .report import LinkResult, Report

MOST_ROWS: Final = 20
"""Links that a table shows, those in trouble first."""
STORIES: Final = 8
"""The last lines below the live table."""
PIPE_COLUMNS: Final = 120


class View:
    """Writes to standard output. `is_live`: a table that changes, where that is a terminal."""

    def __init__(self, *, is_live: bool) -> None:
        self._console = Console()
        if not self._console.is_terminal:
            self._console = Console(width=PIPE_COLUMNS)
        self._stories: list[str] = []
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._is_live = is_live and self._console.is_terminal

    def running(self) -> AbstractContextManager[Any]:
        """The time in which the table is shown."""
        return self._live if self._is_live else nullcontext()

    def tell(self, at: float, story: str) -> None:
        """One line: what happened `at` seconds after the start."""
        line = plain(f"{at:7.1f} s  {story}")
        self._stories = [*self._stories, line][-STORIES:]
        if not self._is_live:
            self._print(line)

    def update(self, at: float, left: str, links: Iterable[LinkResult]) -> None:
        """Show the links as they are now; `left`: what the check waits for."""
        if self._is_live:
            title = Text(f"randstream check, {at:.0f} s; {left}", style="bold")
            self._live.update(Group(title, _table(links), *map(Text, self._stories)), refresh=True)

    def summarize(self, report: Report) -> None:
        """What came of it."""
        for line in summary_lines(report):
            self._print(line)
        self._print(report.verdict, style="bold red" if report.findings else "bold green")

    def _print(self, line: str, style: str | None = None) -> None:
        self._console.print(Text(line), style=style, soft_wrap=True)


def summary_lines(report: Report) -> Iterator[str]:
    """A few lines for each of MOST_ROWS links, those in trouble first, and one for the command."""
    links = _ordered(report.links)
    for link in links[:MOST_ROWS]:
        yield plain(f"--- {link.name}" + (f" at {link.target}" if link.worker else ""))
        if link.problem is not None:
            yield plain(link.problem)
        if link.stream is not None:
            yield f"{link.sent:,} numbers sent, {link.acknowledged:,} acknowledged: each once, in order, unchanged"
        if (trips := link.round_trips) is not None:
            figures = " / ".join(in_seconds(each) for each in (trips.min, trips.median, trips.p99, trips.max))
            yield f"round trip min / median / p99 / max = {figures}"
        if link.count:
            causes = ", ".join(f"{count} × {cause}" for cause, count in link.by_cause.items())
            many = "1 interruption" if link.count == 1 else f"{link.count:,} interruptions"
            yield f"{many}, longest {in_seconds(link.longest)}, {in_seconds(link.total)} in all: {causes}"
        elif link.stream is not None:
            yield "no interruption"
    if len(links) > MOST_ROWS:
        yield f"--- and {len(links) - MOST_ROWS:,} more, of which none was interrupted for longer"
    if report.command is not None:
        took = f"exit status {report.command.status} after {in_seconds(report.command.seconds)}"
        yield plain(f"--- {shorten(' '.join(report.command.arguments))}: {took}")


def _table(links: Iterable[LinkResult]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("worker", "now", "acknowledged", "round trip", "interruptions", "longest", "in all"):
        table.add_column(title, justify="left" if title in ("worker", "now") else "right", no_wrap=True)
    ordered = _ordered(links)
    for link in ordered[:MOST_ROWS]:
        trip = None if link.round_trips is None else link.round_trips.median
        table.add_row(
            plain(link.name), Text(plain(link.problem or "flows"), style="red" if link.problem else "green"),
            f"{link.acknowledged:,}", in_seconds(trip), f"{link.count:,}",
            in_seconds(link.longest or None), in_seconds(link.total or None),
        )  # fmt: skip
    if len(ordered) > MOST_ROWS:
        table.add_row(Text(f"and {len(ordered) - MOST_ROWS:,} more", style="dim"))
    return table


def _ordered(links: Iterable[LinkResult]) -> list[LinkResult]:
    return sorted(links, key=lambda link: (link.problem is None, -link.longest))
