"""Decoder: cuts what arrives into control lines and runs of number lines. Pure, and bounded by one line.

It works on runs: NumPy looks at every byte, Python at none, so a number costs a few nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import Reason, RemoteProtocolError
from . import MAX_CONTROL_LINE_BYTES, MAX_NUMBER_LINE_BYTES
from .frames import Frame, Numbers, parse_control_line

_HASH: Final = ord("#")
_LF: Final = ord("\n")
_TLS: Final = (b"\x16\x03", b"\x15\x03")
"""What a TLS greeting, and a TLS alert, begin with."""
_LINES: Final = re.compile(rb"(?:[0-9-][0-9.e+-]{0,%d}\n)+" % (MAX_NUMBER_LINE_BYTES - 2))
_SHORT_RUN_BYTES: Final = 1024
"""Below this a regular expression beats the fixed cost of a dozen NumPy calls."""
_BLOCK_BYTES: Final = 2**17
"""Looked at together: what is computed of it stays in a core's cache."""

Codes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


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
        if data.startswith(_TLS):
            raise RemoteProtocolError(Reason.MALFORMED, "TLS, where this end speaks plain text: see --tls-cert")
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
    count = 0
    start = 0
    while start < len(run):
        end = run.rfind(b"\n", start, start + _BLOCK_BYTES) + 1
        codes = np.frombuffer(run, np.uint8, max(end - start, 0), start)
        ends = codes == _LF
        if not end or not _are_number_lines(codes, ends):
            raise _fault(run)
        count += int(np.count_nonzero(ends))
        start = end
    return count


def _are_number_lines(codes: Codes, ends: Mask) -> bool:
    """Whether `codes`, which end with a LF, are number lines, `ends` marking every LF.

    Most runs are digits and LF alone, which two comparisons show; what else a number has is looked for only then.
    """
    below_digits = codes < ord("0")
    if codes.max() <= ord("9") and np.count_nonzero(below_digits) == np.count_nonzero(ends):
        if ends[0] or _has_neighbours(bits := np.packbits(ends)):
            return False
    else:
        starters = (codes - np.uint8(ord("0"))) < 10
        starters |= codes == ord("-")
        allowed = starters | ends
        for byte in b".e+":
            allowed |= codes == byte
        if not allowed.all() or not starters[0] or (ends[:-1] > starters[1:]).any():
            return False
        bits = np.packbits(ends)
    # Every line of 64 bytes or more holds 32 aligned bytes without a LF; one below 33 cannot.
    whole = len(bits) // 4 * 4
    if bits[:whole].view(np.uint32).all():
        return True
    return bool(np.diff(np.flatnonzero(ends), prepend=-1).max() <= MAX_NUMBER_LINE_BYTES)


def _has_neighbours(bits: Codes) -> bool:
    """Whether two marks, packed eight to a byte, stand side by side: an empty line."""
    return bool((bits & (bits >> 1)).any() or ((bits[:-1] & 1) & (bits[1:] >> 7)).any())


def _fault(run: bytes) -> RemoteProtocolError:
    """Name what is wrong with a bad run: the slow way, for there is only one."""
    for line in run.split(b"\n")[:-1]:
        if len(line) >= MAX_NUMBER_LINE_BYTES:
            return RemoteProtocolError(Reason.TOO_LONG, f"a number line of {len(line) + 1} bytes: {line[:32]!r}")
        if not _LINES.fullmatch(line + b"\n"):
            return RemoteProtocolError(Reason.MALFORMED, f"not a number: {line[:64]!r}")
    raise AssertionError("a run without a fault")
