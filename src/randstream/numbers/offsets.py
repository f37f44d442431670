"""Offsets: the one door for the offsets and counts that callers give, of whatever type their integers are. Pure."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from ..protocol import MAX_OFFSET


def check_offset(value: SupportsIndex, what: str = "offset") -> int:
    """`value` as an int. Raises TypeError: it is no integer; ValueError: it is not from 0 to 2^63 - 1."""
    try:
        offset = index(value)
    except TypeError:
        raise TypeError(f"{what} is {value!r}, which is no integer; give one from 0 to 2^63 - 1") from None
    if not 0 <= offset <= MAX_OFFSET:
        raise ValueError(f"{what} is {offset}; give one from 0 to 2^63 - 1")
    return offset


def check_range(offset: SupportsIndex, count: SupportsIndex) -> tuple[int, int]:
    """Both as ints. Raises as `check_offset` does, and ValueError where the stream ends before them."""
    start, many = check_offset(offset), check_offset(count, "count")
    if start + many > MAX_OFFSET:
        raise ValueError(f"no {many} numbers from offset {start} on: a stream has 0 to 2^63 - 2")
    return start, many
