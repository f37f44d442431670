"""Walk: goes through a segment interval by interval, for as long as they are valid. Changes nothing."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from ..errors import RemoteProtocolError
from ..protocol import MAX_CONTROL_LINE_BYTES, MAX_INTERVAL_BYTES
from ..protocol.decoder import count_lines
from ..protocol.frames import crc32c
from .files import File
from .layout import Header

_BEAT: Final = re.compile(rb"#beat offset=(0|[1-9][0-9]{0,18}) crc=([0-9a-f]{8})(?: t=[0-9]{1,20})?\n")
"""As `encode` spells it, except that `t`, which is not read here, may be missing. The wire's parser takes 4 times as
long, and a slow stream's store is mostly beats."""
_NO_NUMBER: Final = re.compile(rb"[^0-9.e+\-\n\0]")
"""What no interrupted commit leaves before a beat: it leaves bytes of lines, and NUL where they did not reach the
disk."""
_TORN_BEAT: Final = re.compile(rb"#[a-z0-9= ]*+\0*+")
"""What such a commit leaves of its beat."""
MOST_BYTES: Final = MAX_INTERVAL_BYTES + MAX_CONTROL_LINE_BYTES
"""The longest interval, with its beat. This much is read at a time: no interval needs more than one read."""


class Walk:
    """Stands at the end of a beat of a segment and steps to the next, checking all between.

    `position` (bytes) and `offset` are those of the last valid beat, `first` is the offset of the first number
    before it. `flaw` says what is invalid after it: None before a tail that no beat ends, as more may come.
    """

    def __init__(self, file: File, position: int, offset: int) -> None:
        self.file = file
        self.position = position
        self.first = offset
        self.offset = offset
        self.flaw: str | None = None
        self._buffer = b""
        self._cursor = 0

    def next_run(self) -> bytes | None:
        """Step to the end of the next beat and return the number lines before it; None: no valid interval here.

        May be called again after None: the file may have changed. Raises OSError.
        """
        hash_at, beat = self._find_beat()
        if beat is None:
            self._buffer = self.file.read(self.position, MOST_BYTES)
            self._cursor = 0
            hash_at, beat = self._find_beat()
        if beat is None:
            self._stop(_name_flaw(self._buffer, hash_at))
            return None
        lines = self._buffer[self._cursor : hash_at]
        offset = int(beat[1])
        if flaw := _check(lines, offset - self.offset, int(beat[2], 16)):
            self._stop(flaw)
            return None
        self.position += beat.end() - self._cursor
        self.first, self.offset = self.offset, offset
        self._cursor = beat.end()
        return lines

    def _find_beat(self) -> tuple[int, re.Match[bytes] | None]:
        hash_at = self._buffer.find(b"#", self._cursor)
        return hash_at, _BEAT.match(self._buffer, hash_at) if hash_at >= 0 else None

    def _stop(self, flaw: str | None) -> None:
        """Forget what was read past the last beat: it may be written again."""
        self.flaw = flaw
        self._buffer = b""


def walk_from_start(file: File, header: Header) -> Walk:
    """A walk of a whole segment."""
    return Walk(file, header.size, header.first)


def walk_from_beat(file: File, position: int) -> Walk | None:
    """A walk from the first beat that begins at `position` or after, taken at its word.

    None: there is none within the length of an interval. Raises OSError.
    """
    for size in (MOST_BYTES // 128, MOST_BYTES):  # most intervals are short
        text = file.read(position - 1, size + 1)
        lf_at = text.find(b"\n#")
        beat = _BEAT.match(text, lf_at + 1) if lf_at >= 0 else None
        if beat is not None:
            return Walk(file, position - 1 + beat.end(), int(beat[1]))
    return None


def walk_past_flaw(file: File, position: int, least: int, most: int) -> Walk | None:
    """A walk from the first beat at `position` or after that is followed by a valid interval, the next to read.

    `least` and `most` are offsets that this interval lies between. None: there is none. Raises OSError.
    """
    while True:
        text = file.read(position, 2 * MOST_BYTES)
        beats = list(_BEAT.finditer(text))
        for beat, following in pairwise(beats):
            first, end = int(beat[1]), int(following[1])
            lines = text[beat.end() : following.start()]
            if least <= first < end <= most and _check(lines, end - first, int(following[2], 16)) is None:
                return Walk(file, position + beat.end(), first)
        if len(text) < 2 * MOST_BYTES:
            return None
        position += beats[-1].start() if beats and beats[-1].start() else MOST_BYTES


def _check(lines: bytes, count: int, crc: int) -> str | None:
    if lines and not lines.endswith(b"\n"):
        return "a number line that does not end before the beat"
    try:
        found = count_lines(lines, 0, len(lines)) if lines else 0
    except RemoteProtocolError as error:
        return str(error)
    if found != count:
        return f"{found} number lines, but the beat after them counts {count}"
    if (computed := crc32c(lines)) != crc:
        return f"number lines with crc {computed:08x}, but the beat after them says {crc:08x}"
    return None


def _name_flaw(text: bytes, hash_at: int) -> str | None:
    """Why `text` cannot begin with an interval even if more were to come, nor be left by a crash; None if it might."""
    line, lf, _ = text[hash_at : hash_at + MAX_CONTROL_LINE_BYTES].partition(b"\n")
    if hash_at >= 0 and (lf or len(line) == MAX_CONTROL_LINE_BYTES or not _TORN_BEAT.fullmatch(line)):
        return f"not a beat: {line[:80]!r}"
    if found := _NO_NUMBER.search(text, 0, len(text) if hash_at < 0 else hash_at):
        return f"not of number lines: {text[found.start() :][:80]!r}"
    return f"no beat in {len(text)} bytes" if len(text) == MOST_BYTES else None


def read_last_beat(file: File) -> int | None:
    """The offset that a segment's last line gives; None: that line is no beat. Raises OSError."""
    text = file.read(max(file.size() - MAX_CONTROL_LINE_BYTES, 0), MAX_CONTROL_LINE_BYTES)
    beat = _BEAT.fullmatch(text, text.rfind(b"\n#") + 1)
    return None if beat is None else int(beat[1])
