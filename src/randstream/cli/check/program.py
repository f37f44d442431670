"""Program: the command that a check runs meanwhile, and whose streams it leaves alone."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress

from ...clock import Clock
from ...errors import SettingsError
from .report import Command


class Program:
    """A program with its arguments. Raises SettingsError: there is none of that name."""

    def __init__(self, arguments: Sequence[str], clock: Clock) -> None:
        if shutil.which(arguments[0]) is None:
            raise SettingsError(f"-- {arguments[0]}: there is no such program; give its path, or install it")
        self.arguments = tuple(arguments)
        self._clock = clock
        self._child: asyncio.subprocess.Process | None = None

    async def run(self) -> Command:
        """Run it to its end. Raises SettingsError: it cannot be started."""
        begin = self._clock.now()
        try:
            self._child = await asyncio.create_subprocess_exec(*self.arguments)
        except OSError as error:
            raise SettingsError(f"-- {self.arguments[0]}: cannot run it: {error.strerror or error}") from None
        status = await self._child.wait()
        return Command(self.arguments, 128 - status if status < 0 else status, self._clock.now() - begin)

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on, if it runs."""
        if self._child is not None and self._child.returncode is None:
            with suppress(ProcessLookupError):
                self._child.send_signal(number)
