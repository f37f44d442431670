"""Screen: what the demo shows. On a terminal a table that moves and the last stories, else the stories as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.request import urlopen

from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..console import open_console

STORIES: Final = 8
STATE_COLOURS: Final = {"streaming": "green", "stalled": "yellow", "standby": "cyan"}


class Screen:
    """Standard output. Stories are told with the time since this was made."""

    def __init__(self) -> None:
        self._console = open_console(sys.stdout)
        self._began = asyncio.get_running_loop().time()
        self._stories: deque[str] = deque(maxlen=STORIES)
        self._live: Live | None = None

    def say(self, line: str | Text) -> None:
        """A line of its own."""
        self._console.print(Text(line) if isinstance(line, str) else line, soft_wrap=True)

    def tell(self, story: str) -> None:
        """What happens now."""
        line = f"{asyncio.get_running_loop().time() - self._began:5.1f} s  {story}"
        if self._live is None:
            self.say(line)
        else:
            self._stories.append(line)

    @contextlib.contextmanager
    def redrawing(self) -> Iterator[None]:
        """Within, `update` shows the table, where the terminal can."""
        if not self._console.can_redraw:
            yield
            return
        self._live = Live(console=self._console, refresh_per_second=8, transient=False, auto_refresh=False)
        try:
            with self._live:
                yield
        finally:
            self._live = None

    async def update(self, urls: Iterable[str]) -> None:
        """Show what the admin servers at `urls` say."""
        if self._live is not None:
            links = await asyncio.to_thread(fetch_links, list(urls))
            self._live.update(Group(_table(links), *map(Text, self._stories)), refresh=True)


def fetch_links(urls: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The link to each worker, by the worker's name: that of the producer at one of `urls` that serves it, if any."""
    links: dict[str, dict[str, Any]] = {}
    for url in urls:
        with contextlib.suppress(OSError), urlopen(url + "api/links", timeout=2) as answer:  # noqa: S310 - our own, on loopback
            for link in json.load(answer)["links"]:
                name = link["worker"] or "?"
                if name not in links or link["state"] == "streaming":
                    links[name] = link
    return links


def _table(links: dict[str, dict[str, Any]]) -> Table:
    table = Table(title="randstream demo (Ctrl-C ends it, with the proof)", title_justify="left")
    for heading in ("worker", "state", "offset", "numbers/s", "round trip", "served by"):
        is_text = heading in ("worker", "state", "served by")
        table.add_column(heading, justify="left" if is_text else "right", min_width=9)
    for name, link in sorted(links.items()):
        trip = link["round_trip"]
        state = Text(link["state"], STATE_COLOURS.get(link["state"], "red"))
        facts = f"{link['offset']:,}", f"{link['rate']:.0f}", "" if trip is None else f"{trip * 1000:.1f} ms"
        table.add_row(name, state, *facts, link["served_by"] or "")
    return table
