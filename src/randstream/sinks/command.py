"""Command sink: numbers to a program's standard input; a program that ends is started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Final

import structlog

from ..backoff import Backoff
from ..children.spawn import send_signal, spawn
from ..clock import Clock
from ..errors import SettingsError, shortage_of
from ..observe.sink_report import SinkReport
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..protocol.troubles import Taker
from .pipe import FdWriter, PipeSink

STEADY_SECONDS: Final = 10.0
"""A command that ran this long has proved itself: the next restart comes soon again."""
CLOSE_SECONDS: Final = 5.0
"""How long a command has to end after its standard input has ended, and again after SIGTERM."""

log = structlog.get_logger("randstream")


class CommandSink(PipeSink):
    """Passes on what the command's pipe takes; what an ended command's pipe did not take goes to the next command.

    A number of which the pipe took only a part goes to the next command whole.
    """

    taker_kind = Taker.COMMAND

    def __init__(self, command: Sequence[str], clock: Clock, random: Random) -> None:
        super().__init__(clock)
        self.taker = f"the command {command[0]}"
        self._command = command
        self._backoff = Backoff(random)
        self.process: asyncio.subprocess.Process | None = None
        """The command that runs, or the last one that ran; None before `start`."""
        self._writer: FdWriter | None = None
        self._started_at = 0.0
        self._lines = Throttle(LINES_A_MINUTE)

    async def start(self) -> None:
        try:
            await self._spawn()
        except OSError as error:
            why = f"cannot run {self._command[0]!r}: {error.strerror}; give a program that can be run after --"
            raise SettingsError(shortage_of(error) or why) from error

    async def run(self, report: SinkReport) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mind())
            group.create_task(super().run(report))

    async def close(self) -> None:
        """End the command: its standard input first, then SIGTERM, then SIGKILL."""
        if self.process is None or self._writer is None:
            return
        self._writer.end()
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                await asyncio.wait_for(self.process.wait(), CLOSE_SECONDS)
            except TimeoutError:
                send_signal(self.process, number)
            else:
                return
        await self.process.wait()

    async def _spawn(self) -> None:
        reading, writing = os.pipe()
        try:
            # In its own session, because Ctrl-C at a terminal is for the worker, which ends the command's input itself.
            self.process = await spawn(self._command, stdin=reading, start_new_session=True)
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._writer = FdWriter(writing)
        self._started_at = self._clock.now()
        self.problem = None
        self._lines.say(
            log.info, "command.started", self._clock.now(), command=self._command[0], command_pid=self.process.pid
        )
        self._notify()

    async def _mind(self) -> None:
        while True:
            assert self.process is not None
            status = await self.process.wait()
            await self._restart(f"the command exited with status {status}")

    async def _restart(self, problem: str) -> None:
        assert self._writer is not None
        self._writer.end()
        self._writer = None
        if self._clock.now() - self._started_at >= STEADY_SECONDS:
            self._backoff.reset()
        while True:
            self.problem = problem
            delay = self._backoff.delay()
            self._lines.say(log.warning, "command.exited", self._clock.now(), error=problem, restart_in=round(delay, 3))
            await asyncio.sleep(delay)
            try:
                await self._spawn()
            except OSError as error:
                problem = shortage_of(error) or f"cannot run {self._command[0]!r}: {error.strerror}"
            else:
                return

    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        while True:
            await self._wait_until(lambda: self._writer is not None)
            writer = self._writer
            assert writer is not None
            taken, error = await writer.write(batch)
            if error is None:
                return True
            batch = batch[batch.rfind(b"\n", 0, taken) + 1 :]
            if self._writer is writer:
                self.problem = "the command has closed its standard input"
            await self._wait_until(partial(self._is_replaced, writer))

    def _is_replaced(self, broken: FdWriter) -> bool:
        return self._writer is not broken
