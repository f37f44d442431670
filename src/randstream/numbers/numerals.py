"""Numerals: number lines to numbers. The wire checks only their bytes, and lets `1-2` pass. Pure.

A number is what `int` or `float` makes of its line, if that is spelled as a number and within its type. Lines are read
in C where that was compiled, else by orjson; what those are not sure of is read line by line, so both agree.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from .. import speedups
from .distributions import NumberArray

WHOLE: Final = re.compile(rb"-?[0-9]+")
REAL: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?")

Codes = npt.NDArray[np.uint8]

_BLOCK_BYTES: Final = 2**18
"""Checked at a time: what is computed from it stays in a core's cache."""
_DIGIT, _LF, _MINUS, _PLUS, _POINT, _E = range(6)
_KINDS: Final = np.zeros(256, np.uint8)
for _byte, _kind in ((b"\n", _LF), (b"-", _MINUS), (b"+", _PLUS), (b".", _POINT), (b"e", _E)):
    _KINDS[ord(_byte)] = _kind


class OddLineError(ValueError):
    """A line is not a number of the wanted type: the `index`-th, which begins at byte `position`."""

    def __init__(self, line: bytes, dtype: str, index: int, position: int) -> None:
        super().__init__(f"not a number of type {dtype}: {line.decode('ascii', 'backslashreplace')!r}")
        self.index = index
        self.position = position


def parse_lines(lines: bytes, count: int, dtype: str) -> NumberArray:
    """The numbers of `count` lines, each ended by LF, shape (count,): int64, uint64 or float64.

    Each float64 is the nearest to what is written, as with `float`. Raises OddLineError: a line is not such a number.
    """
    numbers = np.empty(count, dtype)
    done = stop = 0
    while done < count:
        taken, stop = _take_compiled(lines, stop, numbers[done:]) if speedups.ARE_COMPILED else (0, stop)
        done += taken
        if done < count:
            end = lines.index(b"\n", stop) + 1 if speedups.ARE_COMPILED else _block_end(lines, stop)
            found = _take_block(lines[stop:end], dtype, done, stop)
            numbers[done : done + len(found)] = found
            done, stop = done + len(found), end
    return numbers


def _take_compiled(lines: bytes, start: int, numbers: NumberArray) -> tuple[int, int]:
    if numbers.dtype.kind == "f":
        return speedups.parse_float_lines(lines, start, numbers)
    return speedups.parse_integer_lines(lines, start, numbers)


def _take_block(block: bytes, dtype: str, index: int, position: int) -> npt.NDArray[Any] | list[int | float]:
    """The numbers of `block`, whose first line is the `index`-th. JSON allows some spellings that number lines do not,
    and lacks others; orjson makes an integer beyond 64 bits a float."""
    is_whole = dtype != "float64"
    lacking = b"-" if dtype == "uint64" else b"-0\n"
    if lacking not in block and find_odd_line(block, is_whole=is_whole) is None:
        with suppress(orjson.JSONDecodeError, OverflowError):
            values = orjson.loads(b"[%b]" % block[:-1].replace(b"\n", b","))
            found = np.array(values, dtype)
            if float not in set(map(type, values)) if is_whole else np.isfinite(found).all():
                return found
    numbers: list[int | float] = []
    for line in block[:-1].split(b"\n"):
        numbers.append(_parse_line(line, dtype, index + len(numbers), position))
        position += len(line) + 1
    return numbers


def _parse_line(line: bytes, dtype: str, index: int, position: int) -> int | float:
    if dtype == "float64":
        if REAL.fullmatch(line) and math.isfinite(number := float(line)):
            return number
    elif WHOLE.fullmatch(line):
        bounds = np.iinfo(dtype)
        if bounds.min <= (whole := int(line)) <= bounds.max:
            return whole
    raise OddLineError(line, dtype, index, position)


def _block_end(lines: bytes, start: int) -> int:
    return lines.rfind(b"\n", start, start + _BLOCK_BYTES) + 1


def find_odd_line(lines: bytes, *, is_whole: bool) -> int | None:
    """The position in `lines` of the first that is not a number (with `is_whole`: a whole number); None: all are.

    `lines` are number lines as the wire has them: see `decoder.count_lines`.
    """
    start = 0
    while start < len(lines):
        end = _block_end(lines, start)
        codes = np.frombuffer(lines, np.uint8, end - start, start)
        if not (_are_whole(codes) if is_whole else _are_real(codes)):
            grammar = WHOLE if is_whole else REAL
            for line in lines[start:end].splitlines(keepends=True):
                if not grammar.fullmatch(line[:-1]):
                    return start
                start += len(line)
        start = end
    return None


def _are_whole(codes: Codes) -> bool:
    """Whether each line is digits, or `-` and digits."""
    ends, signs = codes == ord("\n"), codes == ord("-")
    if codes.max() > ord("9") or np.count_nonzero(codes < ord("0")) != np.count_nonzero(ends | signs):
        return False
    is_within_line, is_alone = signs[1:] & ~ends[:-1], signs[:-1] & ends[1:]
    return not (is_within_line.any() or is_alone.any())


def _are_real(codes: Codes) -> bool:
    """Whether each line is a number, judged by what surrounds each byte that is not a digit."""
    places = np.flatnonzero((codes - np.uint8(ord("0"))) > 9)
    kinds = _KINDS[codes[places]]
    before = _KINDS[codes[places - 1]]  # for the first byte, the LF at the end
    after = _KINDS[codes[(places + 1) % len(codes)]]
    is_end, is_sign, is_point, is_e = kinds == _LF, (kinds == _MINUS) | (kinds == _PLUS), kinds == _POINT, kinds == _E
    is_of_exponent = is_sign & (before == _E)
    right = is_end & (before == _DIGIT)
    right |= is_sign & (after == _DIGIT) & (is_of_exponent | ((kinds == _MINUS) & (before == _LF)))
    right |= is_point & (before == _DIGIT) & (after == _DIGIT)
    right |= is_e & (before == _DIGIT) & ((after == _MINUS) | (after == _PLUS))
    # In a line: one point at most, and nothing but digits after an exponent's sign.
    wrong_next = (is_point[:-1] & is_point[1:]) | (is_of_exponent[:-1] & ~is_end[1:])
    return bool(right.all() and not wrong_next.any())
