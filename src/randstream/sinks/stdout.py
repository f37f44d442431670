"""Stdout sink: numbers as text on standard output."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Final

from ..clock import Clock
from ..errors import SettingsError, is_full, shortage_of
from ..observe.sink_report import SinkReport
from ..protocol.troubles import Taker
from .pipe import FdWriter, PipeSink

RETRY_SECONDS: Final = 1.0
"""How long to wait after a failed write, such as to a file on a full disk, before trying again."""


class StdoutSink(PipeSink):
    """Writes to `fd`. A reader that closes, as in `| head`, is a polite end."""

    taker = "the reader of standard output"
    taker_kind = Taker.OUTPUT

    def __init__(self, clock: Clock, fd: int = 1) -> None:
        super().__init__(clock)
        self._fd = fd
        self._writer: FdWriter | None = None

    async def start(self) -> None:
        try:
            self._writer = FdWriter(os.dup(self._fd))
        except OSError as error:
            why = f"cannot write to standard output: {error.strerror}; open it, or give --discard"
            raise SettingsError(shortage_of(error) or why) from error

    async def close(self) -> None:
        assert self._writer is not None
        self._writer.end()

    async def _write(self, batch: bytes, report: SinkReport) -> bool:
        assert self._writer is not None
        while True:
            taken, error = await self._writer.write(batch)
            if error is None:
                self.problem, self.is_full = None, False
                report.worked(self._clock.now())
                return True
            if error.errno == errno.EPIPE:
                return False
            self.problem, self.is_full = f"cannot write to standard output: {error.strerror}", is_full(error)
            report.failed(self.problem, self._clock.now(), retry_in=RETRY_SECONDS)
            batch = batch[taken:]
            await asyncio.sleep(RETRY_SECONDS)
