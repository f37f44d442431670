"""Top: the live page in a terminal, for one process or several. Polls admin servers once a second, and uses nothing
else of a role.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from rich.console import Console
from rich.live import Live

from ...errors import SettingsError
from .screen import render
from .source import MOST_LINKS, PERIOD_SECONDS, Source, View

ROWS_BESIDE: Final = 12
"""Lines of the screen besides the rows of streams and the processes."""
PIPE_COLUMNS: Final = 150
FIRST_SECONDS: Final = 10.0
"""For the first answers. Name look-ups, and servers that answer a byte at a time, have no time limit of their own."""


def run_top(
    urls: Sequence[str],
    *,
    name_filter: str = "",
    token_file: str | None = None,
    ca_file: str | None = None,
    is_once: bool = False,
) -> None:
    """Show the streams of the admin servers at `urls` until Ctrl-C; once, if asked to or if the output is not a
    terminal whose cursor can move.

    Raises SettingsError: one of `urls` is not a URL, `ca_file` is unusable, or none of them answers at first.
    """
    is_live = not is_once and sys.stdout.isatty() and not Console().is_dumb_terminal
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    views = [View(Source(url, name_filter, token_file, ca_file)) for url in dict.fromkeys(urls)]
    if ca_file is not None and not any(view.source.is_secure for view in views):
        raise SettingsError("--ca is of no use without an https:// URL; give https://HOST:PORT")
    for view in views:
        view.start()
    for view in views:
        view.asked.wait(max(0.0, FIRST_SECONDS - view.silence))
    if all(view.snapshot is None for view in views):
        which = f"none of {len(views)} addresses answers; " if len(views) > 1 else ""
        raise SettingsError(f"{which}{views[0].trouble}")
    if not is_live:
        console.print(render(views, rows=MOST_LINKS, width=console.width))
        return
    with suppress(KeyboardInterrupt), Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            rows = max(1, console.height - ROWS_BESIDE - len(views))
            live.update(render(views, rows=rows, width=console.width), refresh=True)
            time.sleep(PERIOD_SECONDS)
