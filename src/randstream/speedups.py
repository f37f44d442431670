"""Speedups: the loops over numbers and bytes in C, where `speedups.c` was compiled when the package was built. Pure.

Nothing depends on it: `stream` and `decoder` do the same with NumPy and orjson where `ARE_COMPILED` is false.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = f"{__file__.rpartition('speedups')[0]}libspeedups.so"


def _load() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:  # not compiled, or for another kind of machine
        return None
    word, size, address = ctypes.c_uint64, ctypes.c_size_t, ctypes.c_void_p
    library.put_words.argtypes = [word, word, word, size, address]
    library.put_words.restype = None
    for put_lines in library.put_unsigned_lines, library.put_signed_lines:
        put_lines.argtypes = [address, size, address]
        put_lines.restype = size
    library.count_number_lines.argtypes = [ctypes.c_char_p, size, size]
    library.count_number_lines.restype = size
    return library


_LIBRARY: Final = _load()
ARE_COMPILED: Final = _LIBRARY is not None


def draw_words(key: tuple[int, int], block: int, count: int) -> NDArray[np.uint64]:
    """The words of `count` blocks of Philox4x64-10 from `block` on, shape (4 * count,)."""
    assert _LIBRARY is not None
    words = np.empty(4 * count, np.uint64)
    _LIBRARY.put_words(*key, block, count, words.ctypes.data)
    return words


def put_lines(numbers: NDArray[Any], room: NDArray[np.uint8], end: int) -> int:
    """Write `numbers`, of type uint64 or int64, as lines that end at `room[end]`; where they begin.

    Up to 21 bytes a number before `end` are written to.
    """
    assert _LIBRARY is not None
    put = _LIBRARY.put_unsigned_lines if numbers.dtype == np.uint64 else _LIBRARY.put_signed_lines
    size: int = put(numbers.ctypes.data, len(numbers), room.ctypes.data + end)
    return end - size


def count_lines(data: bytes, start: int, end: int) -> int:
    """How many lines `data[start:end]`, which ends with LF, are; 0 if they are not number lines alone.

    A number line starts with a digit or `-`, has only bytes that numbers have, and at most 64 of them.
    """
    assert _LIBRARY is not None
    count: int = _LIBRARY.count_number_lines(data, start, end)
    return count
