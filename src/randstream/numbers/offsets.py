"""Offsets: the one check of the offsets and counts that callers give, whatever type of integer they are. Pure.

It raises Python's own TypeError and ValueError, and returns an `int`, whose sums do not wrap. Callers that allow None
handle that themselves.
"""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from ..protocol import MAX_OFFSET

_SHOWN_BITS = 128
"""Of a value: an error need not repeat a thousand digits."""


def check_integer(value: SupportsIndex, what: str) -> int:
    """`value` as an int. Raises TypeError: it is not an integer. A bool is not: it is never meant as a number."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise TypeError(f"{what} is of type {type(value).__name__}; give an integer") from None


def show_integer(value: int) -> str:
    """`value` as an error shows it."""
    return str(value) if value.bit_length() <= _SHOWN_BITS else f"an integer of {value.bit_length()} bits"


def check_offset(value: SupportsIndex, what: str = "offset") -> int:
    """`value` as an int. Raises TypeError: it is not an integer; ValueError: it is not from 0 to 2^63 - 1."""
    offset = check_integer(value, what)
    if not 0 <= offset <= MAX_OFFSET:
        raise ValueError(f"{what} is {show_integer(offset)}; give one from 0 to 2^63 - 1")
    return offset


def check_range(offset: SupportsIndex, count: SupportsIndex) -> tuple[int, int]:
    """Both as ints. Raises as `check_offset` does, and ValueError if the stream ends before that."""
    start, many = check_offset(offset), check_offset(count, "count")
    if start + many > MAX_OFFSET:
        raise ValueError(f"no {many} numbers from offset {start} on: a stream has 0 to 2^63 - 2")
    return start, many
