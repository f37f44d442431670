"""Console: a terminal or a pipe whose reader may leave, as `| head` does."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
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
def shown_progress(*columns: ProgressColumn, total: float | None = None) -> Iterator[Callable[..., None]]:
    """Progress on standard error, if that is a terminal, and the function that updates it: `Progress.update`.

    If `sys.stdout` is a terminal too, what is written to it meanwhile is shown above. A signal that ends the block
    gives the terminal its cursor back: it never acts while rich draws, which does not recover from an exception
    between two of its lines. So hold signals while you write.
    """
    console = PoliteConsole(stderr=True)
    is_beside = sys.stdout is not None and sys.stdout.isatty()
    with (
        orderly_end() as ending,
        ending.held(),
        Progress(
            *columns, console=console, transient=True, redirect_stdout=is_beside, disable=not console.can_redraw
        ) as progress,
    ):
        task = progress.add_task("", total=total)
        with ending.heeded():
            yield partial(progress.update, task)
