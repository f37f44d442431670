"""Standard: the standard streams of this process: what they show, and whose error it is if they cannot be written."""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from ..errors import is_full
from .words import approximate

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(OSError):
    """Standard output cannot be written."""


class _Output(io.FileIO):
    """Standard output. Raises OutputError, and BrokenPipeError: its reader, such as `| head`, has left."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (taken := super().write(data)) is None:  # shared with a process that made it non-blocking
                select.select([], [self], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from None
        return taken


def open_output() -> io.BufferedWriter:
    """Standard output for bytes. Under PYTHONUNBUFFERED `sys.stdout.buffer` may write only a part of them."""
    return io.BufferedWriter(_Output(sys.stdout.fileno(), "wb", closefd=False))


def set_up_standard_streams() -> None:
    """Make all three usable, whatever the process was given."""
    _fill_descriptors()
    codecs.register_error("approximate", approximate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, is_line_buffered = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = io.TextIOWrapper(open_output(), encoding, "approximate", line_buffering=is_line_buffered)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="approximate")


def wants_colours() -> bool:
    """Whether a terminal should get colours, by the conventions that rich keeps too. Source: no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "unknown")


def forget_output() -> None:
    """Discard what is still buffered: Python would try again to write it at exit, and complain."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def remedy(error: OSError) -> str:
    """What to do about output that cannot be written."""
    return "send it where there is room" if is_full(error) else "send it elsewhere"


def _fill_descriptors() -> None:
    """Open /dev/null in place of those that are closed.

    Otherwise a socket would get standard error's number, and with it the logs; and libuv would abort.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: `fd`
