"""Drawn: a source of numbers that are made from the seed as they are written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..errors import SettingsError
from ..numbers.distributions import NumberArray
from ..numbers.stream import NumberStream
from ..protocol import MAX_OFFSET

RUN_NUMBERS: Final = 65536


@dataclass(frozen=True, slots=True)
class DrawnPart:
    """Consecutive numbers of a stream, made on request."""

    stream: NumberStream
    offset: int
    count: int

    def lines(self) -> bytes | memoryview:
        return self.stream.view(self.offset, self.count)

    def numbers(self) -> NumberArray:
        return self.stream.read(self.offset, self.count)


class Drawn:
    """`total` numbers of `stream` from `offset` on; None: all to its end, in tens of thousands of years.

    Raises SettingsError: the stream ends before that.
    """

    def __init__(self, stream: NumberStream, offset: int, total: int | None) -> None:
        if offset + (total or 0) > MAX_OFFSET:
            what = f"--offset {offset} --count {total or 'all'} goes past its end"
            raise SettingsError(f"a stream has the numbers 0 to 2^63 - 2; {what}")
        self.dtype = stream.distribution.dtype
        self.total = total
        self._stream = stream
        self._offset = offset

    def count(self) -> int | None:
        return self.total

    def parts(self) -> Iterator[DrawnPart]:
        end = MAX_OFFSET if self.total is None else self._offset + self.total
        for start in range(self._offset, end, RUN_NUMBERS):
            yield DrawnPart(self._stream, start, min(RUN_NUMBERS, end - start))
