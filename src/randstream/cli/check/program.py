"""Program: the command that runs during a check, which leaves the command's standard streams alone."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...children.spawn import send_signal, spawn
from ...clock import Clock
from ...errors import SettingsError
from .report import Command

GRACE_SECONDS: Final = 5.0
"""How long a program has to end after each signal; the last one is SIGKILL."""


class Program:
    """A program with its arguments. Raises SettingsError: there is none of that name."""

    def __init__(self, arguments: Sequence[str], clock: Clock) -> None:
        if shutil.which(arguments[0]) is None:
            why = "there is no such program; give its path, or install it"
            if os.sep in arguments[0] and Path(arguments[0]).exists():
                why = "it cannot be executed; chmod +x it, or give what runs it"
            raise SettingsError(f"-- {shlex.quote(arguments[0])}: {why}")
        self.arguments = tuple(arguments)
        self._clock = clock
        self._child: asyncio.subprocess.Process | None = None
        self._escalation: asyncio.TimerHandle | None = None
        self._told: signal.Signals | None = None
        """The signal it was sent last, or will be sent once it runs."""

    async def run(self) -> Command:
        """Run it to its end. Raises SettingsError: it cannot be started."""
        begin = self._clock.now()
        try:
            self._child = await spawn(self.arguments)
        except OSError as error:
            raise SettingsError(f"-- {self.arguments[0]}: cannot run it: {error.strerror or error}") from None
        if self._told is not None:
            self.send(self._told)
        status = await self._child.wait()
        if self._escalation is not None:
            self._escalation.cancel()
        seconds = self._clock.now() - begin
        if status >= 0:
            return Command(self.arguments, status, seconds)
        return Command(self.arguments, 128 - status, seconds, signal.Signals(-status).name)

    def end(self, number: signal.Signals) -> None:
        """End it: by `number`, then if that does not help by SIGTERM, then by SIGKILL."""
        if self._escalation is not None:
            self._escalation.cancel()
        if number is not signal.SIGINT or not is_in_foreground():  # a terminal sends its Ctrl-C to all there
            self.send(number)
        following = signal.SIGTERM if number is signal.SIGINT else signal.SIGKILL
        if number is not signal.SIGKILL:
            self._escalation = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.end, following)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: now if it runs, else once it does."""
        self._told = number
        if self._child is not None:
            send_signal(self._child, number)


def is_in_foreground() -> bool:
    """Whether this process is one of those that its terminal's keys interrupt."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
