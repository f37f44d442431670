"""Speedups: the loops over numbers and bytes in C, where `speedups.c` was compiled when the package was built. Pure.

Nothing depends on it: `stream` and `decoder` do the same with NumPy and orjson where `ARE_COMPILED` is false.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = f"{__file__.rpartition('speedups')[0]}libspeedups.so"


def load(path: str) -> ctypes.CDLL | None:
    """The compiled library at `path`; None: there is none, or it is for another machine, or of another version."""
    try:
        library = ctypes.CDLL(path)
        draw, count = library.draw_lines_within, library.count_lines_within
    except (OSError, AttributeError):
        return None
    word, size = ctypes.c_uint64, ctypes.c_size_t
    draw.argtypes = [word, word, word, size, ctypes.c_int64, word, ctypes.c_void_p, size]
    draw.restype = size
    count.argtypes = [ctypes.c_char_p, size, size, size]
    count.restype = size
    return library


_LIBRARY: Final = load(LIBRARY)
ARE_COMPILED: Final = _LIBRARY is not None


def draw_lines(key: tuple[int, int], offset: int, count: int, low: int, span: int, room: NDArray[np.uint8]) -> int:
    """Write whole numbers `offset` to `offset + count - 1` as lines to the end of `room`; where in it they begin.

    Number n is low + floor(word n of Philox4x64-10 * span / 2^64), with a span of up to 2^64 (which C takes for 0).
    `room` has at least 22 bytes a number. Raises ValueError, TypeError, ctypes.ArgumentError: an argument cannot be,
    and nothing was written.
    """
    assert _LIBRARY is not None
    span = 0 if span == 2**64 else span
    words = (*key, offset, count, span)
    if min(words) < 0 or max(words) >= 2**64 or not -(2**63) <= low < 2**63:  # ctypes would cut them to size
        raise ValueError(f"no {count} numbers from {offset} on, of {span} values from {low} on")
    if not count:
        return len(room)
    place = ctypes.byref(ctypes.c_char.from_buffer(room.data))  # TypeError: it may not be written, or has gaps
    begin: int = _LIBRARY.draw_lines_within(*key, offset, count, low, span, place, len(room))
    if begin > len(room):
        raise ValueError(f"no room for {count} numbers from {offset} on in {len(room)} bytes")
    return begin


def count_lines(data: bytes, start: int, end: int) -> int:
    """How many lines `data[start:end]`, which ends with LF, are; 0 if they are not number lines alone.

    A number line starts with a digit or `-`, has only bytes that numbers have, and at most 64 of them. Nothing outside
    `data` is looked at. Raises ctypes.ArgumentError: it is not bytes.
    """
    assert _LIBRARY is not None
    if not 0 <= start < end <= len(data):  # ctypes would cut them to size
        return 0
    count: int = _LIBRARY.count_lines_within(data, len(data), start, end)
    return count
