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
from .spelling import CONTROL, advise, read_lines, respell, shorten

_SHOWN_BYTES: Final = 32
"""Of a line that is no number, this much is told."""
_WIRE: Final = re.compile(CONTROL + rb"|[\x15\x16]")
"""How a connection begins that is no raw peer's: with a control line, or with TLS, which the wire's decoder knows."""
_UNDECIDED: Final = re.compile(rb"(?:#[a-z]{0,6})?")
"""What may become a verb of the wire. It may be none yet: nothing has come."""


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
            yield from self._read(lines)
        self.tail = shorten(self.tail + data[end:])
        if _size(self.tail) >= MAX_NUMBER_LINE_BYTES:
            raise self._fault(self.tail)

    def decode_rest(self) -> Iterator[Frame]:
        """Yield what the end of all bytes completes: the last line, if it lacks its LF."""
        if self.tail:
            yield from self.decode(b"\n")

    def _read(self, lines: bytes) -> Iterator[Frame]:
        """Halve `lines` where a line is no number, so that all before it are taken, and few are looked at alone."""
        if numbers := read_lines(lines):
            self._line_count += lines.count(b"\n")
            self._number_count += numbers[1]
            if numbers[1]:
                yield Numbers(*numbers)
            return
        middle = lines.find(b"\n", len(lines) // 2) + 1
        if middle == len(lines):
            middle = lines.rfind(b"\n", 0, -1) + 1
        if not middle:
            raise self._fault(lines[:-1])
        yield from self._read(lines[:middle])
        yield from self._read(lines[middle:])

    def _fault(self, line: bytes) -> RawLineError:
        text = shorten(line)
        is_long = max(_size(text), len(respell(text + b"\n")) - 1) >= MAX_NUMBER_LINE_BYTES
        what = f"has more than the {MAX_NUMBER_LINE_BYTES - 1} bytes of a number" if is_long else "is no number"
        number = self._line_count + 1
        return RawLineError(
            Reason.TOO_LONG if is_long else Reason.MALFORMED,
            f"line {number} {what}: {ascii(text.rstrip()[:_SHOWN_BYTES].decode('latin-1'))}",
            line=number,
            taken=self._number_count,
            advice=advise(text[: MAX_NUMBER_LINE_BYTES]),
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


def _size(text: bytes) -> int:
    """The bytes of a number as written: without its comment, its blanks, and its plus."""
    return len(text.partition(b"#")[0].strip().removeprefix(b"+"))
