"""Pump: sends the numbers of one connection as they become due, a run at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from ..net.budget import LEAST_BYTES
from ..net.connection import Connection
from ..net.timers import NOW
from ..numbers.stream import NumberStream
from ..numbers.text import LONGEST_LINE_BYTES, longest_line_bytes
from ..observe.tally import Tally
from ..protocol import MAX_OFFSET
from ..protocol.frames import Lines
from .pacing import Pacer

RUN_NUMBERS: Final = 16384
"""The most numbers in a run: a third of a megabyte, which stays in a core's cache from the draw to the kernel's copy.
Runs of half the size cost a quarter of the speed; larger ones gain nothing and hold up the loop for longer."""
FEW_NUMBERS: Final = LEAST_BYTES // LONGEST_LINE_BYTES
"""How many always fit a writable connection."""


class Pump:
    """Draws what `pacer` allows and gives it to `send`, whenever `connection` has room."""

    def __init__(
        self,
        stream: NumberStream,
        pacer: Pacer,
        connection: Connection,
        send: Callable[[Lines, int, float], None],
        tally: Tally,
    ) -> None:
        self._stream = stream
        self._pacer = pacer
        self._connection = connection
        self._send = send
        self._tally = tally
        self._line_bytes = longest_line_bytes(stream.distribution)
        connection.expect_runs(RUN_NUMBERS * self._line_bytes)
        self.waits_for_room = False
        """Whether a due run found no room: call `push` again once there is some."""

    def push(self, offset: int, room: float, now: float) -> None:
        """Send the run that is due at `offset`, or as much as the connection has room for, if the longest such run fits
        into `room` bytes. The caller flushes.

        The connection calls its owner back when the next run is due.
        """
        count = self._count_due(offset, room, now) if self._connection.is_writable else 0
        if count:
            lines = self._stream.view(offset, count)
            self._pacer.take(count)
            self._send(lines, count, now)
            self._tally.numbers += count
            self._tally.number_bytes += len(lines)
        due = self._pacer.next_due() if offset + count < MAX_OFFSET else math.inf
        self.waits_for_room = due <= now and not count
        if self.waits_for_room:
            self._connection.poke(math.inf)
        else:  # another run already due waits for whatever else the loop has to do
            self._connection.poke(due if due > now else NOW)

    def _count_due(self, offset: int, room: float, now: float) -> int:
        count = min(self._pacer.due(now), RUN_NUMBERS, MAX_OFFSET - offset)
        if count > FEW_NUMBERS:
            count = min(count, self._connection.room // self._line_bytes)
        return count if count * self._line_bytes <= room else 0
