"""Top: the live page for a terminal. Asks an admin server once a second, and uses nothing else of a role."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Final
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
"""Lines of the screen beside the rows of streams."""
PIPE_COLUMNS: Final = 120
EVENTS: Final = 4
STYLES: Final = {"streaming": "green", "stalled": "yellow", "finished": "dim"}
MARKS: Final = {"streaming": "●", "stalled": "■", "finished": "·"}
"""Shapes as well, for those who cannot tell the colours apart."""


def run_top(url: str, *, name_filter: str = "", is_once: bool = False) -> None:
    """Show the links of the admin server at `url` until Ctrl-C; once, if asked to or if the output is no terminal.

    Raises SettingsError: `url` is not a URL, or the first request gets no answer.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_COLUMNS)
    source = Source(url, name_filter)
    snapshot = source.fetch(limit=_rows(console))
    if is_once or not console.is_terminal:
        console.print(render(snapshot))
    else:
        with suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
            _watch(source, snapshot, live)


def _watch(source: Source, snapshot: dict[str, Any], live: Live) -> None:
    clock = Clock()
    heard_at = clock.now()
    while True:
        live.update(render(snapshot, silence=clock.now() - heard_at), refresh=True)
        time.sleep(PERIOD_SECONDS)
        try:
            snapshot = source.fetch(limit=_rows(live.console))
        except SettingsError:
            continue  # shown as silence; it may come back
        heard_at = clock.now()


class Source:
    """An admin server's `/api/links`. `url`: `http://host:port`, or `host:port`."""

    def __init__(self, url: str, name_filter: str = "") -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingsError(f"{url!r} is no address of an admin server; give http://HOST:PORT")
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


def render(snapshot: dict[str, Any], *, silence: float = 0.0) -> RenderableType:
    """The screen for `snapshot`, which is `silence` seconds old."""
    return Group(_heading(snapshot, silence), Text(), _table(snapshot), *_footer(snapshot))


def _heading(snapshot: dict[str, Any], silence: float) -> Text:
    totals = snapshot["totals"]
    heading = Text()
    heading.append(f"randstream {snapshot['role']} {snapshot['name']}", style="bold")
    heading.append(f"  {snapshot['numbers'] or 'no stream yet'}  up {_seconds(snapshot['uptime'])}\n", style="dim")
    flowing = totals["states"].get("streaming", 0)
    style = "green" if flowing == totals["links"] else "red"
    heading.append(f"{flowing:,} of {totals['links']:,} streams flow", style=f"bold {style}")
    heading.append(f"  {_rate(totals['rate'])} numbers/s")
    heading.append(f"  {totals['numbers']:,} in all  {totals['reconnects']:,} reconnects")
    if snapshot["problem"]:
        heading.append(f"\nnot ready: {snapshot['problem']}", style="red")
    if silence > STALE_SECONDS:
        heading.append(f"\nstale: no answer for {silence:.0f} s, trying again", style="yellow")
    return heading


def _table(snapshot: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    table.add_column("worker", ratio=1, no_wrap=True, overflow="ellipsis")
    heard = "last ack" if snapshot["role"] == "producer" else "last beat"
    for title in ("state", "numbers/s", "offset", "round trip", heard, "reconnects"):
        table.add_column(title, justify="left" if title == "state" else "right", no_wrap=True)
    for link in snapshot["links"]:
        state = link["state"]
        style = STYLES.get(state, "red")
        name = Text(f"{MARKS.get(state, '○')} ", style=style)
        name.append(_plain(link["worker"] or link["peer"] or "nobody"), style="default")
        if link["error"] and state not in STYLES:
            name.append(f"  {_plain(link['error'])}", style="dim")
        trip, silence = _seconds(link["round_trip"]), _seconds(link["silence"])
        offset, reconnects = f"{link['offset']:,}", f"{link['reconnects']:,}"
        table.add_row(name, Text(state, style=style), _rate(link["rate"]), offset, trip, silence, reconnects)
    return table


def _footer(snapshot: dict[str, Any]) -> list[Text]:
    lines = []
    if snapshot["left_out"]:
        lines.append(Text(f"and {snapshot['left_out']:,} more; those in trouble come first", style="dim"))
    lines.append(Text())
    for event in snapshot["events"][: -EVENTS - 1 : -1]:
        at = time.strftime("%H:%M:%S", time.localtime(event["time"]))
        what = event["event"].rpartition(".")[2]
        line = _plain(f"{at}  {event['link']} {what}: {event['detail']}")
        lines.append(Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
    return lines


def _rows(console: Console) -> int:
    return max(1, console.height - ROWS_BESIDE) if console.is_terminal else 1000


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
