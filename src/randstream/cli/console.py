"""Console: a terminal or a pipe whose reader may leave, as `| head` does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from .endings import orderly_end

PIPE_COLUMNS: Final = 120


class PoliteConsole(Console):
    """Discards its output once the reader has left, so the program that writes to it can clean up."""

    @property
    def can_redraw(self) -> bool:
        """Whether it is a terminal that can overwrite what it shows."""
        return self.file.isatty() and not self.is_dumb_terminal

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


def open_console(file: IO[str]) -> PoliteConsole:
    """A console on `file`, PIPE_COLUMNS wide if that is not a terminal."""
    return PoliteConsole(file=file, width=None if file.isatty() else PIPE_COLUMNS)


@contextmanager
def shown_progress(*columns: ProgressColumn) -> Iterator[Progress]:
    """Progress on standard error, if that is a terminal; a signal that ends it gives the terminal its cursor back."""
    console = PoliteConsole(stderr=True)
    with (
        orderly_end(),
        Progress(*columns, console=console, transient=True, disable=not console.can_redraw) as progress,
    ):
        yield progress
