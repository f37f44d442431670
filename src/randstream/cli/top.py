"""Top: the live page for a terminal, of one process or several. Asks admin servers once a second, and uses nothing
else of a role.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from itertools import accumulate, chain
from typing import Any, Final, Literal
from urllib.error import URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..clock import Clock
from ..errors import SettingsError

PERIOD_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
STALE_SECONDS: Final = 2.5
ROWS_BESIDE: Final = 12
"""Lines of the screen beside the rows of streams and the processes."""
MOST_LINKS: Final = 1000
"""Asked of each process. Every one has trouble first, so what is cut off is what flows."""
PIPE_COLUMNS: Final = 140
WIDE: Final = 100
WIDEST: Final = 130
"""Columns that the screen must have for all of the table."""
EVENTS: Final = 4
STYLES: Final = {"streaming": "green", "stalled": "yellow", "standby": "blue", "resting": "dim", "finished": "dim"}
MARKS: Final = {"streaming": "●", "stalled": "■", "standby": "◇", "resting": "–", "finished": "·"}
"""Shapes as well, for those who cannot tell the colours apart."""
ORDER: Final = ("stalled", "streaming", "opening", "standby", "dialling", "waiting", "resting", "finished")
"""What several processes say of one worker comes to the first of these."""
TROUBLE_FIRST: Final = ("stalled", "waiting", "dialling", "opening")


def run_top(urls: Sequence[str], *, name_filter: str = "", is_once: bool = False) -> None:
    """Show the streams of the admin servers at `urls` until Ctrl-C; once, if asked to or if the output is no terminal.

    Raises SettingsError: one of `urls` is not a URL, or none of them gives an answer at first.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    views = [View(Source(url, name_filter)) for url in dict.fromkeys(urls)]
    for view in views:
        view.start()
    for view in views:
        view.asked.wait()
    if all(view.snapshot is None for view in views):
        which = f"none of {len(views)} addresses answers; " if len(views) > 1 else ""
        raise SettingsError(f"{which}{views[0].problem}")
    if is_once or not console.is_terminal:
        console.print(render(views, rows=MOST_LINKS, width=console.width))
        return
    with suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            rows = max(1, console.height - ROWS_BESIDE - len(views))
            live.update(render(views, rows=rows, width=console.width), refresh=True)
            time.sleep(PERIOD_SECONDS)


class Source:
    """An admin server's `/api/links`. `url`: `http://host:port`, or `host:port`."""

    def __init__(self, url: str, name_filter: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingsError(f"{url!r} is no address of an admin server; give http://HOST:PORT")
        self.address = parts.netloc
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._filter = name_filter

    def fetch(self, *, limit: int) -> dict[str, Any]:
        """A snapshot as `docs/operations.md` describes it. Raises SettingsError if the server gives none."""
        url = f"{self._base}/api/links?limit={limit}&filter={quote(self._filter)}"
        try:
            with urlopen(Request(url), timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - checked above
                snapshot: dict[str, Any] = json.load(answer)
        except (URLError, HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise SettingsError(f"no answer from {self._base}: {reason}; start a role with --admin there") from None
        return snapshot


class View:
    """What an admin server said last. A thread of its own asks it, so that one without an answer delays no other."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.snapshot: dict[str, Any] | None = None
        self.problem: SettingsError | None = None
        """Why the last request got no answer; None: it got one."""
        self.asked = threading.Event()
        """Set after the first request."""
        self._clock = Clock()
        self.heard_at = self._clock.now()
        """When the last answer came, in seconds of the monotonic clock; before the first: the start."""

    @property
    def silence(self) -> float:
        """Seconds since `heard_at`."""
        return self._clock.now() - self.heard_at

    def start(self) -> None:
        """Ask once a second for as long as the program runs."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self.ask()
            time.sleep(PERIOD_SECONDS)

    def ask(self) -> None:
        """Ask once."""
        try:
            self.snapshot, self.problem = self.source.fetch(limit=MOST_LINKS), None
            self.heard_at = self._clock.now()
        except SettingsError as error:
            self.problem = error
        self.asked.set()


@dataclass
class Row:
    """A worker, from all that the processes say of it."""

    worker: str
    link: dict[str, Any]
    """The link that tells most: the one that carries the stream, at the producer if that is watched."""
    served_by: str = ""
    standbys: dict[str, None] = field(default_factory=dict)
    reconnects: int = 0
    """The most that any process counts."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """What is not well, and the process that says so."""

    @property
    def state(self) -> str:
        state: str = self.link["state"]
        return state

    def add(self, process: str, link: dict[str, Any]) -> None:
        """`process` says `link` of it."""
        state, served_by = link["state"], link["served_by"]
        if served_by and (state in ("streaming", "stalled") or not self.served_by):
            self.served_by = served_by
        if state == "standby":
            self.standbys[process] = None
        self.standbys |= dict.fromkeys(standby["producer"] for standby in link["standbys"])
        self.reconnects = max(self.reconnects, link["reconnects"])
        if ORDER.index(state) < ORDER.index(self.state):
            self.link = link
        if state == "resting":
            self.notes.append((process, f"{link['peer']} rests"))
        elif link["error"] and state not in ("streaming", "stalled", "finished"):
            self.notes.append((process, link["error"]))


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
    """Trouble first, then what has notes, then by name, of which numbers are in order."""
    rank = TROUBLE_FIRST.index(row.state) if row.state in TROUBLE_FIRST else len(TROUBLE_FIRST) + (not row.notes)
    return rank, [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", row.worker))]


def render(views: Sequence[View], *, rows: int, width: int) -> RenderableType:
    """The screen, with up to `rows` lines for workers and what is not well with them."""
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
    """A line for a process, and one for each of its troubles."""
    snapshot = view.snapshot
    if snapshot is None:
        return [Text(_plain(str(view.problem or f"{view.source.address}: no answer yet")), style="yellow")]
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(_plain(f"randstream {snapshot['role']} {snapshot['name']}"), style="bold")
    states = snapshot["totals"]["states"]
    line.append("  " + ", ".join(f"{states[state]:,} {state}" for state in ORDER if state in states))
    line.append(f"  {snapshot['totals']['reconnects']:,} reconnects", style="dim")
    told = f"  {snapshot['numbers'] or 'no stream yet'}  up {_seconds(snapshot['uptime'])}"
    line.append(_plain(told), style="dim")
    lines = [line]
    if view.silence > STALE_SECONDS:
        lines.append(Text(f"stale: no answer for {view.silence:.0f} s, trying again", style="yellow"))
    if snapshot["problem"]:
        lines.append(Text(_plain(f"not ready: {snapshot['problem']}"), style="red"))
    if snapshot["warning"]:
        lines.append(Text(_plain(snapshot["warning"]), style="yellow"))
    return lines


def _heading(rows: list[Row], unseen: int, snapshots: list[dict[str, Any]]) -> Text:
    """What they come to together. `unseen` streams have no rows, and are well: trouble comes first."""
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
        titles += ["silent", "reconnects"]
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
    name.append(_plain(row.worker), style="default")
    standbys = ", ".join(row.standbys)
    return {
        "worker": name,
        "state": Text(row.state, style=style),
        "served by": Text(_plain(row.served_by or "–")),
        "standing by": Text(_plain(f"{len(row.standbys)}: {standbys}" if standbys else "–")),
        "numbers/s": _rate(link["rate"]),
        "offset": f"{link['offset']:,}",
        "lag": f"{link['offset'] - link['acked_offset']:,}",
        "round trip": _seconds(link["round_trip"]),
        "silent": _seconds(link["silence"]),
        "reconnects": f"{row.reconnects:,}",
    }


def _note(row: Row, process: str, what: str, *, names_process: bool) -> Text:
    by = f"{process}: " if names_process else ""
    return Text(_plain(f"{row.worker}: {by}{what}"), style="dim", no_wrap=True, overflow="ellipsis")


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
        line = _plain(f"{at}  {by}{event['link']} {what}: {event['detail']}")
        lines.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
    return lines


def _plain(text: str) -> str:
    """`text` without control characters: a peer's text must not move the cursor."""
    return "".join(each if each.isprintable() else " " for each in text)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * factor:.1f} {unit}" if unit in ("ms", "s") else f"{seconds * factor:.0f} {unit}"
    return f"{seconds / 3600:.0f} h"
