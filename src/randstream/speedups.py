"""Speedups: the loops over numbers and bytes in C, where `speedups.c` was compiled when the package was built. Pure.

Nothing depends on it: `stream` and `decoder` do the same with NumPy and orjson where `ARE_COMPILED` is false.
"""

from __future__ import annotations

import ctypes
from operator import index
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = f"{__file__.rpartition('speedups')[0]}libspeedups.so"


class _Word(ctypes.c_uint64):
    """An argument from 0 to 2^64 - 1: what ctypes would cut to that silently is refused."""

    @classmethod
    def from_param(cls, value: Any) -> _Word:
        number = index(value)
        if not 0 <= number < 2**64:
            raise ValueError("not from 0 to 2^64 - 1")
        return cls(number)


class _Low(ctypes.c_int64):
    """Likewise, from -2^63 to 2^63 - 1."""

    @classmethod
    def from_param(cls, value: Any) -> _Low:
        number = index(value)
        if not -(2**63) <= number < 2**63:
            raise ValueError("not from -2^63 to 2^63 - 1")
        return cls(number)


def load(path: str) -> ctypes.CDLL | None:
    """The compiled library at `path`; None: there is none, or it is for another machine, or of another version."""
    try:
        library = ctypes.CDLL(path)
        draw, count = library.draw_lines_within, library.count_lines_within
    except (OSError, AttributeError):
        return None
    room = np.ctypeslib.ndpointer(np.uint8, ndim=1, flags=("C_CONTIGUOUS", "WRITEABLE"))
    draw.argtypes = [_Word, _Word, _Word, _Word, _Low, _Word, room, _Word]
    draw.restype = ctypes.c_size_t
    count.argtypes = [ctypes.c_char_p, _Word, _Word, _Word]
    count.restype = ctypes.c_size_t
    return library


_LIBRARY: Final = load(LIBRARY)
ARE_COMPILED: Final = _LIBRARY is not None


def draw_lines(key: tuple[int, int], offset: int, count: int, low: int, span: int, room: NDArray[np.uint8]) -> int:
    """Write whole numbers `offset` to `offset + count - 1` as lines to the end of `room`; where in it they begin.

    Number n is low + floor(word n of Philox4x64-10 * span / 2^64), with a span of up to 2^64 (which C takes for 0).
    `room` has at least 22 bytes a number. Raises ctypes.ArgumentError, ValueError: C would write what was not asked
    for, or outside `room`.
    """
    assert _LIBRARY is not None
    begin: int = _LIBRARY.draw_lines_within(*key, offset, count, low, 0 if span == 2**64 else span, room, len(room))
    if begin > len(room):
        raise ValueError(f"no room for {count} numbers from {offset} on in {len(room)} bytes")
    return begin


def count_lines(data: bytes, start: int, end: int) -> int:
    """How many lines `data[start:end]`, which ends with LF, are; 0 if they are not number lines alone.

    A number line starts with a digit or `-`, has only bytes that numbers have, and at most 64 of them. Nothing outside
    `data` is looked at. Raises ctypes.ArgumentError: it is not bytes.
    """
    assert _LIBRARY is not None
    count: int = _LIBRARY.count_lines_within(data, len(data), start, end)
    return count
