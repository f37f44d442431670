"""Decoder: cuts incoming bytes into control lines and runs of number lines. Pure, and buffers at most one line.

It works on runs: NumPy looks at every byte, Python at none, so a number costs a few nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from .. import speedups
from ..errors import Reason, RemoteProtocolError
from . import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from .frames import Frame, Numbers, parse_control_line

_HASH: Final = ord("#")
_LF: Final = ord("\n")
_TLS: Final = (b"\x16\x03", b"\x15\x03")
"""The first bytes of a TLS greeting and of a TLS alert."""
_LINES: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,%d}\n)+" % (MAX_NUMBER_LINE_BYTES - 2))
_SHORT_RUN_BYTES: Final = 1024
"""Below this a regular expression beats the fixed cost of a dozen NumPy calls."""
_BLOCK_BYTES: Final = 2**18
"""Bytes checked at once, as many as one turn of the loop reads: the intermediate results stay in a core's cache."""

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class Decoder:
    """Bytes in, frames out; keeps at most one unfinished line between calls."""

    def __init__(self) -> None:
        self.tail = b""
        """The start of an unfinished line."""

    def decode(self, data: bytes) -> Iterator[Frame]:
        """Yield every frame that `data` completes, in order. After an error the decoder is unusable.

        Raises RemoteProtocolError: `too-long` or `malformed`; the frames before it have been yielded.
        """
        if self.tail:
            data = self.tail + data
        if data.startswith(_TLS):
            raise RemoteProtocolError(Reason.MALFORMED, "TLS, but this end speaks plain text: see --tls-cert")
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
                count = count_lines(data, start, end)
                # A view keeps all of `data` alive: nothing may hold more than twice what the window counts.
                is_most = end - start > max(_SHORT_RUN_BYTES, len(data) // 2)
                yield Numbers(memoryview(data)[start:end] if is_most else data[start:end], count)
                start = end
            if start < limit:
                if hash_at >= 0:
                    raise RemoteProtocolError(Reason.MALFORMED, "a # inside a number line")
                break
        self.tail = data[start:]
        self._check_tail()

    def decode_rest(self) -> Iterator[Frame]:
        """Yield what the end of the input completes: nothing, because a line counts only once its LF has come."""
        yield from ()

    def _check_tail(self) -> None:
        tail = self.tail
        limit = MAX_CONTROL_LINE_BYTES if tail[:1] == b"#" else MAX_NUMBER_LINE_BYTES
        if len(tail) >= limit:
            raise RemoteProtocolError(Reason.TOO_LONG, f"a line of over {limit} bytes: {tail[:32]!r}")
        if tail and tail[0] != _HASH and not _LINES.fullmatch(tail + b"\n"):
            raise RemoteProtocolError(Reason.MALFORMED, f"neither a number nor a control line: {tail[:32]!r}")


def count_lines(data: bytes, start: int, end: int) -> int:
    """Check every byte of `data[start:end]`, which ends with LF, and count its lines.

    Each line must start with a digit or `-`, have only bytes that numbers have, and fit MAX_NUMBER_LINE_BYTES.

    Raises RemoteProtocolError: `too-long` or `malformed`.
    """
    count = count_if_lines(data, start, end)
    if not count:
        raise _fault(data[start:end])
    return count


def count_if_lines(data: bytes, start: int, end: int) -> int:
    """Do the same as `count_lines`, but return 0 if a line is not a number line."""
    if end - start <= _SHORT_RUN_BYTES:
        return data.count(b"\n", start, end) if _LINES.fullmatch(data, start, end) else 0
    return speedups.count_lines(data, start, end) if speedups.ARE_COMPILED else _count_blocks(data, start, end)


def _count_blocks(data: bytes, start: int, end: int) -> int:
    """Do the same as `speedups.count_lines`."""
    count = 0
    while start < end:
        block_end = data.rfind(b"\n", start, min(end, start + _BLOCK_BYTES)) + 1
        lines = _count_block(np.frombuffer(data, np.uint8, block_end - start, start)) if block_end else 0
        if not lines:
            return 0
        count += lines
        start = block_end
    return count


def _count_block(codes: Codes) -> int:
    """The number of lines in `codes`, which end with an LF; 0 unless all are number lines."""
    ends = codes == _LF
    bits = np.packbits(ends)
    whole = len(bits) // 8 * 8
    count = int(np.bitwise_count(bits[:whole].view(np.uint64)).sum() + np.bitwise_count(bits[whole:]).sum())
    if ends[0] or (ends[1:] & ends[:-1]).any() or not (_are_whole(codes, count) or _are_numbers(codes, ends)):
        return 0
    # Every line of 64 bytes or more holds 32 aligned bytes without an LF; one below 33 cannot.
    if bits[: len(bits) // 4 * 4].view(np.uint32).all():
        return count
    return count if np.diff(np.flatnonzero(ends), prepend=-1).max() <= MAX_NUMBER_LINE_BYTES else 0


def _are_whole(codes: Codes, line_count: int) -> bool:
    """Whether there is nothing but digits and that many LFs: true of most runs, and quick to check."""
    return bool(codes.max() <= ord("9")) and np.count_nonzero(codes < ord("0")) == line_count


def _are_numbers(codes: Codes, ends: Mask) -> bool:
    """Whether each line starts as a number does, and has only bytes that numbers have."""
    starters = (codes - np.uint8(ord("0"))) < 10
    starters |= codes == ord("-")
    allowed = starters | ends
    for byte in b".e+":
        allowed |= codes == byte
    return bool(allowed.all() and starters[0] and not (ends[:-1] > starters[1:]).any())


def _fault(lines: bytes) -> RemoteProtocolError:
    """Say what is wrong with a bad run. This may be slow, as a connection has at most one."""
    for line in lines.split(b"\n")[:-1]:
        if len(line) >= MAX_NUMBER_LINE_BYTES:
            return RemoteProtocolError(Reason.TOO_LONG, f"a number line of {len(line) + 1} bytes: {line[:32]!r}")
        if not _LINES.fullmatch(line + b"\n"):
            return RemoteProtocolError(Reason.MALFORMED, f"not a number: {line[:64]!r}")
    raise AssertionError("a run without a fault")
