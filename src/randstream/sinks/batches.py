"""Batch sink: numbers as arrays for a loop in the same program. What the loop's body has finished is passed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy.typing as npt

from ..errors import SettingsError, SinkError
from ..numbers.distributions import parse_distribution
from ..numbers.numerals import OddLineError, parse_lines
from ..numbers.offsets import check_offset
from ..protocol import STREAM
from ..protocol.frames import Open
from ..settings.checks import shorten
from .queued import QueuedSink


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive numbers of one stream.

    `numbers` has shape (n,), of int64, uint64 (bits64) or float64; its first element is number `offset` of `stream`.
    """

    stream: str
    offset: int
    numbers: npt.NDArray[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "offset", check_offset(self.offset))

    @property
    def end_offset(self) -> int:
        """The offset of the number after the last: save it and `stream` with your result, and nothing counts twice."""
        return self.offset + len(self.numbers)


class BatchSink(QueuedSink):
    """Hands out batches one by one; asking for the next means that the last is finished.

    `offset`: where to continue, as saved from `Batch.end_offset`; None: the producer decides. It is an offset of
    `stream`, as saved from `Batch.stream`; None: of whatever stream is offered first.

    Raises TypeError, ValueError: `offset` is not an integer, or not from 0 to 2^63 - 1; SettingsError: `stream` is not
    a stream's id.
    """

    taker = "the loop over this worker's batches"

    def __init__(self, offset: SupportsIndex | None = None, stream: str | None = None) -> None:
        super().__init__()
        if stream is not None and not (isinstance(stream, str) and STREAM.fullmatch(stream)):
            advice = "give what Batch.stream was, 16 of 0-9 a-f, or None"
            raise SettingsError(f"stream is {shorten(repr(stream))}; {advice}")
        self._saved_offset = None if offset is None else check_offset(offset)
        self._saved_stream = stream
        self._dtype = "int64"
        self._out_bytes = 0
        self._is_over = False

    async def open(self, offered: Open) -> int | None:
        """Name the offset: the saved one, the first time that it fits."""
        try:
            self._dtype = parse_distribution(offered.numbers).dtype
        except SettingsError as error:
            raise SinkError(f"the producer's distribution cannot be read: {error}") from error
        if self._saved_offset is not None and self._saved_stream in (None, offered.stream):
            self._taken = offered
            self._offset, self._saved_offset = self._saved_offset, None
        return await super().open(offered)

    def begin(self, offset: int) -> None:
        """Take over the offset that the producer chose; batches of an older stream are no longer handed out."""
        self._drop_waiting()
        super().begin(offset)

    async def next_batch(self) -> Batch | None:
        """The next batch, as soon as there is one; None after `finish`.

        Raises SinkError: what came is not a number of its stream's type.
        """
        self._note_passed(self._out_bytes)
        self._out_bytes = 0
        await self._wait_until(lambda: bool(self._waiting) or self._is_over)
        if self._is_over:
            return None
        offset = self._offset - sum(counted for _, counted in self._waiting)
        text = self._take_batch()
        self._out_bytes = len(text)
        assert self._taken is not None
        try:
            numbers = parse_lines(text, text.count(b"\n"), self._dtype)
        except OddLineError as error:
            raise SinkError(f"offset {offset + error.index} of stream {self._taken.stream}: {error}") from error
        return Batch(self._taken.stream, offset, numbers)

    def finish(self, *, is_done: bool) -> None:
        """Hand out no more. `is_done`: the last batch is finished."""
        if is_done:
            self._note_passed(self._out_bytes)
            self._out_bytes = 0
        self._is_over = True
        self._notify()
