"""Terminal: a whole screen to draw on and the keys that are pressed there; afterwards the terminal is as it was.

A signal that ends the program does so in `wait`, where nothing is half drawn: rich does not recover from an exception
between any two of its lines. Ctrl-Z suspends the program, and a new size ends `wait`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.live import Live

from ..endings import ENDING
from .keys import Keys

ESCAPE_SECONDS: Final = 0.05
"""If nothing follows for this long, Escape is the key, and not the start of another one's bytes."""
READ_BYTES: Final = 4096
NO_WRAP, WRAP = "\x1b[?7l", "\x1b[?7h"
"""A character that takes more cells than we think then pushes nothing onto the next line. Source: xterm, DECAWM."""
NOTED: Final = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT, *ENDING)


@contextmanager
def whole_screen(console: Console) -> Iterator[Terminal]:
    """The terminal of `console`, drawn on as long as the context lasts. Its keys come from standard input."""
    with _noted_signals() as (signals, handlers):
        terminal = Terminal(console, signals, handlers)
        try:
            terminal.enter()
            yield terminal
        finally:
            terminal.leave()


class Terminal:
    """See `whole_screen`. `signals`: where the numbers of NOTED arrive; `handlers`: those that they had before."""

    def __init__(self, console: Console, signals: int, handlers: dict[int, Any]) -> None:
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False)
        self._keys = Keys()
        self._input = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._modes: list[Any] | None = None
        self._signals = signals
        self._handlers = handlers

    @property
    def has_keys(self) -> bool:
        return self._input is not None

    def show(self, screen: RenderableType) -> None:
        self._live.update(screen, refresh=True)

    def wait(self, seconds: float) -> list[str]:
        """The keys that are pressed next, as `Keys` names them; none after `seconds`, or if the size has changed.

        Raises EOFError: the terminal is gone. Raises what the handler of a signal that ends the program raises.
        """
        sources = [self._signals] if self._input is None else [self._signals, self._input]
        ready, _, _ = select.select(sources, [], [], ESCAPE_SECONDS if self._keys.is_pending else seconds)
        if self._signals in ready:
            self._heed(os.read(self._signals, READ_BYTES))
        if self._input is None or self._input not in ready:
            return [] if ready else self._keys.flush()
        try:
            data = os.read(self._input, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            raise EOFError
        return self._keys.feed(data)

    def enter(self) -> None:
        """Take the screen and the keys."""
        if self._input is not None:
            self._modes = termios.tcgetattr(self._input)
            tty.setcbreak(self._input, termios.TCSANOW)
        self._live.start()
        self._write(NO_WRAP)

    def leave(self) -> None:
        """Give them back."""
        if self._input is not None and self._modes is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSANOW, self._modes)
        self._write(WRAP)
        self._live.stop()

    def _heed(self, numbers: bytes) -> None:
        for number in ENDING:
            if number in numbers:
                self._handlers[number](number, None)
        if signal.SIGTSTP in numbers:
            self.leave()
            noting = signal.signal(signal.SIGTSTP, self._handlers[signal.SIGTSTP])
            signal.raise_signal(signal.SIGTSTP)  # it goes on here after SIGCONT
            signal.signal(signal.SIGTSTP, noting)
            self.enter()
        elif signal.SIGCONT in numbers:  # after SIGSTOP: the shell has had the terminal meanwhile
            self.leave()
            self.enter()

    def _write(self, code: str) -> None:
        self._console.file.write(code)
        self._console.file.flush()


@contextmanager
def _noted_signals() -> Iterator[tuple[int, dict[int, Any]]]:
    """Write the numbers of NOTED to a pipe instead of acting on them; its reading end, and the handlers before."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    handlers: dict[int, Any] = {
        number: signal.signal(number, lambda *_: None)
        for number in NOTED
        if number not in ENDING or callable(signal.getsignal(number))  # not those that are ignored
    }
    try:
        yield reading, handlers
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
