"""Raw: reads a peer without a protocol, whose lines are numbers as people write them. Pure, and bounded by one line.

However the bytes come, in one piece or one by one, the outcome is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..errors import RawLineError, Reason
from . import MAX_NUMBER_LINE_BYTES
from .decoder import Decoder
from .frames import Frame, Numbers
from .spelling import CONTROL, advise, read_clean, read_lines, respell, shorten

_CLOSE_BYTES: Final = 2048
"""So much is looked at closely together, for the sake of one line in it that is not clean."""
_SHOWN_BYTES: Final = 32
"""Of a line that is no number, this much is told."""
_WIRE: Final = re.compile(CONTROL + rb"|[\x15\x16]")
"""How a connection begins that is no raw peer's: with a control line, or with TLS, which the wire's decoder knows."""
_UNDECIDED: Final = re.compile(rb"(?:#[a-z]{0,6}|[\x15\x16])?")
"""What may become a verb of the wire, or TLS. It may be none yet: nothing has come."""


class RawDecoder:
    """Bytes in, runs of number lines out; keeps at most one unfinished line between calls."""

    def __init__(self) -> None:
        self.tail = b""
        """What has come of a line that has not ended yet, shortened."""
        self._line_count = 0
        self._number_count = 0

    def decode(self, data: bytes) -> Iterator[Frame]:
        """Yield the numbers of every line that `data` completes. After an error the decoder is spent.

        Raises RawLineError: `too-long` or `malformed`; all numbers before it have been yielded.
        """
        end = data.rfind(b"\n") + 1
        if end:
            lines, self.tail = self.tail + data[:end], b""
            yield from self._read(lines.replace(b"\r\n", b"\n") if b"\r" in lines else lines)
        self.tail = shorten(self.tail + data[end:])
        if _size(self.tail) >= MAX_NUMBER_LINE_BYTES:
            raise self._fault(self.tail)

    def decode_rest(self) -> Iterator[Frame]:
        """Yield what the end of all bytes completes: the last line, if it lacks its LF."""
        if self.tail:
            yield from self.decode(b"\n")

    def _read(self, lines: bytes) -> Iterator[Frame]:
        """Yield the numbers in `lines` as one run, also if a line after them is none."""
        taken: list[bytes] = []
        before = self._number_count
        fault = self._take(lines, taken)
        if count := self._number_count - before:
            yield Numbers(taken[0] if len(taken) == 1 else b"".join(taken), count)
        if fault is not None:
            raise fault

    def _take(self, lines: bytes, taken: list[bytes]) -> RawLineError | None:
        """Add the numbers of `lines` to `taken`. What is not clean is halved, so that little is looked at closely.

        Returns what is wrong with the first line that is no number, after which nothing is taken.
        """
        middle = _middle_of(lines)
        numbers = read_clean(lines)
        if numbers is None and (len(lines) <= _CLOSE_BYTES or not middle):
            numbers = read_lines(lines)
        if numbers is not None:
            taken.append(numbers[0])
            self._line_count += lines.count(b"\n")
            self._number_count += numbers[1]
            return None
        if not middle:
            return self._fault(lines[:-1])
        return self._take(lines[:middle], taken) or self._take(lines[middle:], taken)

    def _fault(self, line: bytes) -> RawLineError:
        text = shorten(line)
        is_long = max(_size(text), len(respell(text + b"\n")) - 1) >= MAX_NUMBER_LINE_BYTES
        what = f"has more than the {MAX_NUMBER_LINE_BYTES - 1} bytes of a number" if is_long else "is no number"
        number = self._line_count + 1
        return RawLineError(
            Reason.TOO_LONG if is_long else Reason.MALFORMED,
            f"line {number} {what}: {text.rstrip()[:_SHOWN_BYTES].decode('latin-1')!a}",
            line=number,
            taken=self._number_count,
            advice=advise(text[:MAX_NUMBER_LINE_BYTES]),
        )


class FirstLineDecoder:
    """Of a worker that takes raw peers: the first line tells whether a raw peer or a producer speaks."""

    def __init__(self) -> None:
        self._first = b""
        self._decoder: Decoder | RawDecoder | None = None

    @property
    def tail(self) -> bytes:
        """What has come of a line that has not ended yet."""
        return self._first if self._decoder is None else self._decoder.tail

    def decode(self, data: bytes) -> Iterator[Frame]:
        """See `Decoder` and `RawDecoder`."""
        if self._decoder is None:
            data = self._first + data
            if _UNDECIDED.fullmatch(data):
                self._first = data
                return
            self._decoder = Decoder() if _WIRE.match(data) else RawDecoder()
        yield from self._decoder.decode(data)

    def decode_rest(self) -> Iterator[Frame]:
        """See `Decoder` and `RawDecoder`."""
        if self._decoder is not None:
            yield from self._decoder.decode_rest()


def _middle_of(lines: bytes) -> int:
    """Where a line begins about half-way through `lines`; 0: they are only one."""
    middle = lines.find(b"\n", len(lines) // 2) + 1
    return middle if middle < len(lines) else lines.rfind(b"\n", 0, -1) + 1


def _size(text: bytes) -> int:
    """The bytes of a number as written: without its comment, its blanks, and its plus."""
    return len(text.partition(b"#")[0].strip().removeprefix(b"+"))
