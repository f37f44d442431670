"""Endings: what a signal does to a command that has something to undo."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command."""


class Ending:
    """Ends a block at the first of ENDING. It ignores those that follow: they must not end what the block undoes."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._is_held = self._has_acted = False

    def __call__(self, number: int, _: object) -> None:
        """Handle a signal."""
        self._number = self._number or number
        self._act()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A block that no signal ends before its end."""
        before, self._is_held = self._is_held, True
        try:
            yield
        finally:
            self._is_held = before
            self._act()

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """In a block that is held, one that a signal ends at once, even one that came before."""
        before, self._is_held = self._is_held, False
        try:
            self._act()
            yield
        finally:
            self._is_held = before

    def _act(self) -> None:
        if self._number is None or self._is_held or self._has_acted:
            return
        self._has_acted = True
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + self._number)


@contextmanager
def orderly_end() -> Iterator[Ending]:
    """Let Ctrl-C, SIGTERM and SIGHUP, unless ignored, end the block as an exception does, once.

    In another such block they are the outer one's.
    """
    handlers = {number: signal.getsignal(number) for number in ENDING}
    outer = next((handler for handler in handlers.values() if isinstance(handler, Ending)), None)
    if outer is not None:
        yield outer
        return
    ending = Ending()
    heeded = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, ending)
    try:
        yield ending
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
