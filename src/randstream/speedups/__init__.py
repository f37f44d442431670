"""Speedups: the loops over numbers and bytes in C, where that was compiled when the package was built. Pure.

Nothing depends on it: without it, `stream`, `text`, `numerals` and `decoder` do the same with NumPy and orjson.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FAMILIES: Final = ("uniform", "exponential", "normal")
"""Families of float64 numbers, in the order of `floats.h`."""

LONGEST_OFFSET: Final = 21
"""Bytes in front of a line of CSV; SPARE more may be written after the last line. See `csv_lines.c`."""
SPARE: Final = 24

LIBRARY: Final = f"{__path__[0]}/libspeedups.so"

_WORD, _SIZE, _DOUBLE, _BYTES, _ARRAY = (
    ctypes.c_uint64, ctypes.c_size_t, ctypes.c_double, ctypes.c_char_p, ctypes.c_void_p,
)  # fmt: skip
_PLACE: Final = ctypes.POINTER(_SIZE)
_ARGUMENTS: Final[dict[str, list[Any]]] = {
    "draw_lines_within": [_WORD, _WORD, _WORD, _SIZE, ctypes.c_int64, _WORD, _ARRAY, _SIZE],
    "draw_floats_within": [_WORD, _WORD, _WORD, _SIZE, _WORD, _DOUBLE, _DOUBLE, _ARRAY, _SIZE],
    "draw_float_lines_within": [_WORD, _WORD, _WORD, _SIZE, _WORD, _DOUBLE, _DOUBLE, _ARRAY, _SIZE],
    "make_floats_within": [_ARRAY, _SIZE, _WORD, _DOUBLE, _DOUBLE, _ARRAY, _SIZE],
    "put_float_lines_within": [_ARRAY, _SIZE, _ARRAY, _SIZE],
    "put_csv_lines_within": [_ARRAY, _SIZE, _WORD, _SIZE, _ARRAY, _SIZE],
    "count_lines_within": [_BYTES, _SIZE, _SIZE, _SIZE],
    "parse_integer_lines": [_BYTES, _SIZE, _SIZE, ctypes.c_int, _ARRAY, _SIZE, _PLACE],
    "parse_float_lines": [_BYTES, _SIZE, _SIZE, _ARRAY, _SIZE, _PLACE],
}
"""What each function takes. Each returns a size."""


def load(path: str) -> ctypes.CDLL | None:
    """The compiled library at `path`; None: there is none, or it is for another machine, or another version."""
    try:
        library = ctypes.CDLL(path)
        for name, types in _ARGUMENTS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, _SIZE
    except (OSError, AttributeError):
        return None
    return library


def _place_of(array: NDArray[Any], dtype: str) -> int:
    """The address of a one-dimensional array, aligned and without gaps. Raises TypeError: it is not one."""
    flags = array.flags if isinstance(array, np.ndarray) and array.dtype == dtype and array.ndim == 1 else None
    if flags is None or not (flags.c_contiguous and flags.aligned):
        raise TypeError(f"no {dtype} numbers in a row")
    return array.ctypes.data


def _place_of_room(array: NDArray[Any], dtype: str) -> int:
    """The same for an array to write to. Raises ValueError: it is read-only."""
    place = _place_of(array, dtype)
    if not array.flags.writeable:
        raise ValueError("the room may not be written")
    return place


_LIBRARY: Final = load(LIBRARY)
ARE_COMPILED: Final = _LIBRARY is not None


def draw_lines(key: tuple[int, int], offset: int, count: int, low: int, span: int, room: NDArray[np.uint8]) -> int:
    """Write whole numbers `offset` to `offset + count - 1` as lines to the end of `room`; return where they begin.

    Number n is low + floor(word n of Philox4x64-10 * span / 2^64), with a span of up to 2^64 (0 in C). `room` has at
    least 22 bytes a number. Raises ValueError, TypeError, ctypes.ArgumentError: an argument is not valid, and nothing
    was written.
    """
    assert _LIBRARY is not None
    span = 0 if span == 2**64 else span
    words = (*key, offset, count, span)
    if min(words) < 0 or max(words) >= 2**64 or not -(2**63) <= low < 2**63:  # ctypes would truncate them
        raise ValueError(f"no {count} numbers from {offset} on, of {span} values from {low} on")
    if not count:
        return len(room)
    place = ctypes.byref(ctypes.c_char.from_buffer(room.data))  # TypeError: it may not be written, or has gaps
    begin: int = _LIBRARY.draw_lines_within(*key, offset, count, low, span, place, len(room))
    if begin > len(room):
        raise ValueError(f"no room for {count} numbers from {offset} on in {len(room)} bytes")
    return begin


def draw_floats(
    key: tuple[int, int], offset: int, family: str, location: float, scale: float, numbers: NDArray[np.float64]
) -> None:
    """Fill `numbers`, the first of which is number `offset`: location + scale * the standard number of one of FAMILIES.

    Raises ValueError, TypeError, ctypes.ArgumentError: an argument is not valid, and nothing was written.
    """
    assert _LIBRARY is not None
    words = (*key, offset)
    if min(words) < 0 or max(words) >= 2**64:  # ctypes would truncate them
        raise ValueError(f"no numbers from {offset} on")
    place, count = _place_of_room(numbers, "float64"), len(numbers)
    if _LIBRARY.draw_floats_within(*words, count, FAMILIES.index(family), location, scale, place, count):
        raise ValueError(f"no {count} numbers from {offset} on")


def draw_float_lines(
    key: tuple[int, int], offset: int, count: int, family: str, location: float, scale: float, room: NDArray[np.uint8]
) -> int:
    """Write such numbers `offset` to `offset + count - 1` as lines to the start of `room`; return their size in bytes.

    `room` has at least 25 bytes a number. Raises ValueError, TypeError, ctypes.ArgumentError: an argument is not valid,
    and nothing was written.
    """
    assert _LIBRARY is not None
    words = (*key, offset, count)
    if min(words) < 0 or max(words) >= 2**64:  # ctypes would truncate them
        raise ValueError(f"no {count} numbers from {offset} on")
    place = _place_of_room(room, "uint8")
    size: int = _LIBRARY.draw_float_lines_within(*words, FAMILIES.index(family), location, scale, place, len(room))
    if size > len(room):
        raise ValueError(f"no room for {count} numbers from {offset} on in {len(room)} bytes")
    return size


def make_floats(words: NDArray[np.uint64], family: str, location: float, scale: float) -> NDArray[np.float64]:
    """The same from `words`, shape (n,). Raises TypeError: they are of another dtype, or have gaps."""
    assert _LIBRARY is not None
    numbers = np.empty(len(words))
    place = _place_of(words, "uint64")
    _LIBRARY.make_floats_within(
        place, len(words), FAMILIES.index(family), location, scale, numbers.ctypes.data, len(numbers)
    )
    return numbers


def put_float_lines(numbers: NDArray[np.float64], room: NDArray[np.uint8]) -> int:
    """Write finite `numbers` as lines to the start of `room`; return how many bytes of it they take.

    `room` has at least 25 bytes a number. Raises ValueError, TypeError: an argument is not valid, and nothing was
    written.
    """
    assert _LIBRARY is not None
    places = _place_of(numbers, "float64"), _place_of_room(room, "uint8")
    size: int = _LIBRARY.put_float_lines_within(places[0], len(numbers), places[1], len(room))
    if size > len(room):
        raise ValueError(f"no room for {len(numbers)} numbers in {len(room)} bytes")
    return size


def put_csv_lines(lines: bytes | memoryview, offset: int, count: int) -> memoryview:
    """`lines`, of which there are `count`, each after its offset and a comma; the first has `offset`.

    Raises ValueError, ctypes.ArgumentError: there are more or fewer lines, or no such offsets.
    """
    assert _LIBRARY is not None
    given = np.frombuffer(lines, np.uint8) if lines else np.empty(0, np.uint8)
    if not (0 <= offset <= offset + count < 2**64 and count <= len(given)):  # ctypes would truncate them
        raise ValueError(f"no {count} lines from {offset} on in {len(given)} bytes")
    room = np.empty(len(given) + count * LONGEST_OFFSET + SPARE, np.uint8)
    places = given.ctypes.data, len(given), offset, count, room.ctypes.data, len(room)
    size: int = _LIBRARY.put_csv_lines_within(*places)
    if size > len(room):
        raise ValueError(f"no {count} lines in {len(given)} bytes")
    return room[:size].data.toreadonly()


def count_lines(data: bytes, start: int, end: int) -> int:
    """How many lines `data[start:end]`, which ends with LF, has; 0 if they are not number lines alone.

    A number line starts with a digit or `-`, has only bytes that numbers have, and at most 64 of them. Nothing outside
    `data` is read. Raises ctypes.ArgumentError: it is not bytes.
    """
    assert _LIBRARY is not None
    if not 0 <= start < end <= len(data):  # ctypes would truncate them
        return 0
    count: int = _LIBRARY.count_lines_within(data, len(data), start, end)
    return count


def parse_integer_lines(lines: bytes, start: int, numbers: NDArray[Any]) -> tuple[int, int]:
    """Fill `numbers`, of int64 or uint64, from `lines[start:]`; return how many were read, and where the first line
    begins that was not, for lack of room or because it may not be such a number.

    Raises TypeError, ValueError, ctypes.ArgumentError: an argument is not valid, and nothing was written.
    """
    assert _LIBRARY is not None
    is_signed = numbers.dtype == "int64"
    place = _place_of_room(numbers, "int64" if is_signed else "uint64")
    stop = ctypes.c_size_t()
    start = _check_start(lines, start)
    return _LIBRARY.parse_integer_lines(lines, start, len(lines), is_signed, place, len(numbers), stop), stop.value


def parse_float_lines(lines: bytes, start: int, numbers: NDArray[Any]) -> tuple[int, int]:
    """The same for float64."""
    assert _LIBRARY is not None
    place = _place_of_room(numbers, "float64")
    stop = ctypes.c_size_t()
    start = _check_start(lines, start)
    return _LIBRARY.parse_float_lines(lines, start, len(lines), place, len(numbers), stop), stop.value


def _check_start(lines: bytes, start: int) -> int:
    """`start`, if it lies within `lines`: ctypes would truncate it. Raises ValueError."""
    if not 0 <= start <= len(lines):
        raise ValueError(f"no byte {start} in lines of {len(lines)} bytes")
    return start
