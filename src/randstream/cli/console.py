"""Console: a terminal or a pipe whose reader may leave, as `| head` does."""

from __future__ import annotations

import os
from typing import IO, Final

from rich.console import Console

PIPE_COLUMNS: Final = 120


class PoliteConsole(Console):
    """Goes on in silence when its reader has left, so that whoever writes to it can clean up."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def open_console(file: IO[str]) -> PoliteConsole:
    """One on `file`, PIPE_COLUMNS wide if that is no terminal."""
    return PoliteConsole(file=file, width=None if file.isatty() else PIPE_COLUMNS)
