"""Raw: reads raw peers, whose lines are numbers as people write them. Pure, and buffers at most one line.

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
"""The most bytes examined closely at once because one line among them is not clean."""
_SHOWN_BYTES: Final = 32
"""How much of a bad line its error shows."""
_WIRE: Final = re.compile(CONTROL + rb"|[\x15\x16]")
"""How a connection begins that is not a raw peer's: with a control line, or with TLS, which `Decoder` reports."""
_UNDECIDED: Final = re.compile(rb"(?:#[a-z]{0,6}|[\x15\x16])?")
"""What may still become a control line's verb, or TLS; it may be empty."""


class RawDecoder:
    """Bytes in, runs of number lines out; keeps at most one unfinished line between calls."""

    def __init__(self) -> None:
        self.tail = b""
        """The start of an unfinished line, shortened."""
        self._line_count = 0
        self._number_count = 0

    def decode(self, data: bytes) -> Iterator[Frame]:
        """Yield the numbers of every line that `data` completes. After an error the decoder is unusable.

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
        """Yield what the end of the input completes: the last line, if it lacks its LF."""
        if self.tail:
            yield from self.decode(b"\n")

    def _read(self, lines: bytes) -> Iterator[Frame]:
        """Yield the numbers in `lines` as one run, even if a line after them is not a number."""
        taken: list[bytes] = []
        before = self._number_count
        fault = self._take(lines, taken)
        if count := self._number_count - before:
            yield Numbers(taken[0] if len(taken) == 1 else b"".join(taken), count)
        if fault is not None:
            raise fault

    def _take(self, lines: bytes, taken: list[bytes]) -> RawLineError | None:
        """Add the numbers of `lines` to `taken`. Halve what is not clean, so that little is examined closely.

        Returns what is wrong with the first line that is not a number; nothing is taken after it.
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
        what = f"has more than the {MAX_NUMBER_LINE_BYTES - 1} bytes of a number" if is_long else "is not a number"
        number = self._line_count + 1
        return RawLineError(
            Reason.TOO_LONG if is_long else Reason.MALFORMED,
            f"line {number} {what}: {text.rstrip()[:_SHOWN_BYTES].decode('latin-1')!a}",
            line=number,
            taken=self._number_count,
            advice=advise(text[:MAX_NUMBER_LINE_BYTES]),
        )


class FirstLineDecoder:
    """For a worker that takes raw peers: tells by the first line whether the peer is raw or a producer."""

    def __init__(self) -> None:
        self._first = b""
        self._decoder: Decoder | RawDecoder | None = None

    @property
    def tail(self) -> bytes:
        """The start of an unfinished line."""
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
    """The start of a line about half-way through `lines`; 0 if there is only one line."""
    middle = lines.find(b"\n", len(lines) // 2) + 1
    return middle if middle < len(lines) else lines.rfind(b"\n", 0, -1) + 1


def _size(text: bytes) -> int:
    """The size of a number as written, without its comment, blanks and plus."""
    return len(text.partition(b"#")[0].strip().removeprefix(b"+"))
