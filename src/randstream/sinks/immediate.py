"""Immediate sinks: they pass numbers on as they arrive, for low latency.

Their offset counts what they have passed on; nothing that has gone can be called back, so after a beat that did not
hold, the unproven numbers come again.
"""

from __future__ import annotations

import asyncio

from ..errors import OfferError
from ..observe.sink_report import SinkReport
from ..protocol.frames import Beat, Lines, Open
from ..protocol.troubles import Taker


class ImmediateSink:
    """What all of them share: whose stream it is, where it stands, how far it is proven. By itself: discards.

    Implements `Sink`, which documents the methods.
    """

    taker = "nobody"
    taker_kind = Taker.PROGRAM
    problem: str | None = None
    is_full = False
    warning: str | None = None

    def __init__(self) -> None:
        self._offered: Open | None = None
        self._taken: Open | None = None
        """The stream that numbers were last taken from."""
        self._offset = 0
        self._proven_offset = 0

    async def start(self) -> None: ...
    async def close(self) -> None: ...

    async def open(self, offered: Open) -> int | None:
        """Name an offset only for the stream that numbers were last taken from."""
        self._drop_waiting()
        taken, self._offered = self._taken, offered
        if taken is None or taken.stream != offered.stream:
            return None
        if taken.numbers != offered.numbers:
            raise OfferError(f"stream {taken.stream} was of {taken.numbers} before, not of {offered.numbers}")
        self._proven_offset = self._offset
        return self._offset

    def begin(self, offset: int) -> None:
        self._taken = self._offered
        self._offset = self._proven_offset = offset

    def append(self, lines: Lines, count: int) -> None:
        self._offset += count
        self._pass_on(lines, count)

    def append_raw(self, lines: Lines) -> None:
        """Pass on numbers from a raw peer, which belong to no stream and leave the offset alone."""
        self._pass_on(lines, 0)

    async def wait_room(self) -> None:
        """Wait until there is room for more: raw peers have no window."""

    async def wait_passed(self) -> None:
        """Wait until all that was taken has been passed on."""

    def prove(self, beat: Beat) -> bool:
        self._proven_offset = beat.offset
        return True  # they have been passed on

    async def commit(self) -> int:
        return self._proven_offset  # all that was appended is passed on already

    def rewind(self) -> tuple[int, int] | None:
        self._drop_waiting()
        first, end = self._proven_offset, self._offset
        self._offset = min(first, end)
        return (first, end) if end > first else None

    async def run(self, report: SinkReport) -> None:
        await asyncio.get_running_loop().create_future()  # nothing to do, for ever

    def _pass_on(self, lines: Lines, counted: int) -> None:
        """Pass `lines` on, which moved the offset by `counted`."""

    def _drop_waiting(self) -> None:
        """Forget what has not begun to be passed on, and subtract its numbers from the offset."""


class DiscardSink(ImmediateSink):
    """Counts numbers and throws them away."""
