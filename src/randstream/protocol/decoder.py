"""Decoder: cuts what arrives into control lines and runs of number lines. Pure, and bounded by one line.

It works on runs: NumPy looks at every byte, Python at none, so a number costs a few nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from ..errors import Reason, RemoteProtocolError
from . import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from .frames import Frame, Numbers, parse_control_line

_HASH: Final = ord("#")
_LF: Final = ord("\n")
_LINES: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,%d}\n)+" % (MAX_NUMBER_LINE_BYTES - 2))
_SHORT_RUN_BYTES: Final = 1024
"""Below this a regular expression beats the fixed cost of a dozen NumPy calls."""


class Decoder:
    """Bytes in, frames out; keeps at most one unfinished line between calls."""

    def __init__(self) -> None:
        self._tail = b""

    def decode(self, data: bytes) -> Iterator[Frame]:
        """Yield every frame that `data` completes, in order. After an error the decoder is spent.

        Raises:
            RemoteProtocolError: `too-long` or `malformed`; the frames before it have been yielded.
        """
        if self._tail:
            data = self._tail + data
        start = 0
        while start < len(data):
            if data[start] == _HASH:
                end = data.find(b"\n", start, start + MAX_CONTROL_LINE_BYTES)
                if end < 0:
                    break
                yield parse_control_line(data[start:end])
                start = end + 1
                continue
            hash_at = data.find(b"#", start)
            limit = len(data) if hash_at < 0 else hash_at
            end = data.rfind(b"\n", start, limit) + 1
            if end > start:
                run = data[start:end]
                yield Numbers(run, count_lines(run))
                start = end
            if start < limit:
                if hash_at >= 0:
                    raise RemoteProtocolError(Reason.MALFORMED, "a # inside a number line")
                break
        self._tail = data[start:]
        self._check_tail()

    def _check_tail(self) -> None:
        tail = self._tail
        limit = MAX_CONTROL_LINE_BYTES if tail[:1] == b"#" else MAX_NUMBER_LINE_BYTES
        if len(tail) >= limit:
            raise RemoteProtocolError(Reason.TOO_LONG, f"a line of over {limit} bytes: {tail[:32]!r}")
        if tail and tail[0] != _HASH and not _LINES.fullmatch(tail + b"\n"):
            raise RemoteProtocolError(Reason.MALFORMED, f"neither a number nor a control line: {tail[:32]!r}")


def count_lines(run: bytes) -> int:
    """The number of lines in a run that ends with LF, having looked at every byte of it.

    Each line must start with a digit or `-`, have no byte that no number has, and fit MAX_NUMBER_LINE_BYTES.

    Raises:
        RemoteProtocolError: `too-long` or `malformed`.
    """
    if len(run) <= _SHORT_RUN_BYTES:
        if not _LINES.fullmatch(run):
            raise _fault(run)
        return run.count(b"\n")
    codes = np.frombuffer(run, np.uint8)
    ends = codes == _LF
    starters = (codes - np.uint8(ord("0"))) < 10
    allowed = starters | ends
    if not allowed.all():
        minus = codes == ord("-")
        starters |= minus
        allowed |= minus
        for byte in b".e+":
            allowed |= codes == byte
        if not allowed.all():
            raise _fault(run)
    if not starters[0] or (ends[:-1] > starters[1:]).any():
        raise _fault(run)
    if _may_hold_long_line(ends):
        lengths = np.diff(np.flatnonzero(ends), prepend=-1)
        if lengths.max() > MAX_NUMBER_LINE_BYTES:
            raise _fault(run)
    return int(np.count_nonzero(ends))


def _may_hold_long_line(ends: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> bool:
    """Whether some 32 aligned bytes have no LF. Every line of 64 bytes or more holds such; one below 33 cannot.

    A bit a byte, looked at 32 at a time: an eighth of the cost of finding every LF.
    """
    bits = np.packbits(ends)
    whole = len(bits) // 4 * 4
    return not bits[:whole].view(np.uint32).all() or len(bits) != whole


def _fault(run: bytes) -> RemoteProtocolError:
    """Name what is wrong with a bad run: the slow way, for there is only one."""
    for line in run.split(b"\n")[:-1]:
        if len(line) >= MAX_NUMBER_LINE_BYTES:
            return RemoteProtocolError(Reason.TOO_LONG, f"a number line of {len(line) + 1} bytes: {line[:32]!r}")
        if not _LINES.fullmatch(line + b"\n"):
            return RemoteProtocolError(Reason.MALFORMED, f"not a number: {line[:64]!r}")
    raise AssertionError("a run without a fault")
