"""Text: numbers as lines, and those as CSV. Pure. The spelling is orjson's; the C code spells likewise."""

from __future__ import annotations

from typing import Final

import numpy as np
import orjson
from numpy.typing import NDArray

from .. import speedups
from .distributions import LAST_WORD, Distribution, NumberArray

LONGEST_LINE_BYTES: Final = 25
"""Of any distribution, with its LF: a float64 such as -2.2250738585072014e-308."""

JSON_TO_LINES: Final = bytes.maketrans(b",]", b"\n\n")


def longest_line_bytes(distribution: Distribution) -> int:
    """The most bytes that a line of `distribution` can have, with its LF."""
    if distribution.dtype == "float64":
        return LONGEST_LINE_BYTES
    # Numbers grow with their words, so the first or the last word makes the longest.
    return max(len(str(distribution.from_word(word))) for word in (0, LAST_WORD)) + 1


def to_lines(numbers: NumberArray | list[int | float]) -> bytes:
    """`numbers` as text, each ended by LF."""
    if len(numbers) == 0:
        return b""
    if isinstance(numbers, list):
        return orjson.dumps(numbers).translate(JSON_TO_LINES, b"[")
    room = np.empty(len(numbers) * LONGEST_LINE_BYTES, np.uint8)
    return room[: put_lines(numbers, room)].tobytes()


def put_lines(numbers: NumberArray, room: NDArray[np.uint8]) -> int:
    """Write `numbers`, one at least, as lines to the start of `room`; return how many bytes they take.

    `room` has at least LONGEST_LINE_BYTES for each.
    """
    if speedups.ARE_COMPILED and numbers.dtype == np.float64:
        return speedups.put_float_lines(np.ascontiguousarray(numbers), room)
    json = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    codes = np.frombuffer(json, np.uint8, len(json) - 1, 1)  # without the `[`
    shift = (codes == ord(",")).view(np.uint8)
    shift *= ord(",") - ord("\n")
    lines = np.subtract(codes, shift, out=room[: len(codes)])
    lines[-1] = ord("\n")  # was the `]`
    return len(codes)


def to_csv(lines: bytes | memoryview, offset: int, count: int) -> bytes | memoryview:
    """`lines`, which are `count` numbers from `offset` on, as lines of CSV: `offset,number`."""
    if speedups.ARE_COMPILED:
        return speedups.put_csv_lines(lines, offset, count)
    # A number line has no `%`, and `%` is several times as fast as a loop.
    template = bytes(lines).replace(b"\n", b"\n%d,")
    return (b"%d," + template).removesuffix(b"%d,") % tuple(range(offset, offset + count))
