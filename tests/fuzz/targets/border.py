"""Border: whatever Python hands to our C code."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import numpy as np

from randstream import speedups

GUARD: Final = 64


def fuzz_border(data: bytes) -> None:
    """Whatever C is told to do, it writes only within its room, and reads only within its data.

    The first bytes are seven integers: a size from 0 to 9 and its bytes, signed and little-endian.
    """
    if not speedups.ARE_COMPILED:
        return
    integers, rest = [], data
    for _ in range(7):
        size = rest[0] % 10 if rest else 0
        integers.append(int.from_bytes(rest[1 : size + 1], "little", signed=True))
        rest = rest[size + 1 :]
    key0, key1, offset, count, low, span, room_bytes = integers
    space = np.full(room_bytes % 4096 + 2 * GUARD, ord("~"), np.uint8)
    room = space[GUARD:-GUARD]
    with suppress(ValueError):
        begin = speedups.draw_lines((key0, key1), offset, count, low, span, room)
        assert room[begin:].tobytes().count(b"\n") == count
    assert (space[:GUARD] == ord("~")).all()
    assert (space[-GUARD:] == ord("~")).all()
    lines = rest[offset:count].count(b"\n") if 0 <= offset < count <= len(rest) else 0
    assert speedups.count_lines(rest, offset, count) in (0, lines)
    with suppress(ValueError):
        assert bytes(speedups.put_csv_lines(rest, offset, count)).count(b"\n") == count == rest.count(b"\n")
