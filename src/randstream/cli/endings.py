"""Endings: what a signal does to a command that has something to undo."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def orderly_end() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP, unless ignored, end the block as an exception does."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    endings = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: end, signal.SIGHUP: end}
    handlers = {number: signal.getsignal(number) for number in endings}
    heeded = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, endings[number])
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
