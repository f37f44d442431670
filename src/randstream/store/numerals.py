"""Numerals: whether number lines are numbers. The wire looks at their bytes only, and lets `1-2` pass. Pure."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import numpy.typing as npt

WHOLE: Final = re.compile(rb"-?[0-9]+")
REAL: Final = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?")

Codes = npt.NDArray[np.uint8]

_BLOCK_BYTES: Final = 2**18
"""Looked at together: what is computed of it stays in a core's cache."""
_DIGIT, _LF, _MINUS, _PLUS, _POINT, _E = range(6)
_KINDS: Final = np.zeros(256, np.uint8)
for _byte, _kind in ((b"\n", _LF), (b"-", _MINUS), (b"+", _PLUS), (b".", _POINT), (b"e", _E)):
    _KINDS[ord(_byte)] = _kind


def find_odd_line(lines: bytes, *, is_whole: bool) -> int | None:
    """The position in `lines` of the first that is no number, or with `is_whole` no whole number; None: all are.

    `lines` are number lines as the wire has them: see `decoder.count_lines`.
    """
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _BLOCK_BYTES) + 1
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
    """Whether each line is a number, judged by what surrounds each byte that is no digit."""
    places = np.flatnonzero((codes - np.uint8(ord("0"))) > 9)
    kinds = _KINDS[codes[places]]
    before = _KINDS[codes[places - 1]]  # of the first byte: the LF at the end
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
