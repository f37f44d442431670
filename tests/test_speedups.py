"""Speed-ups: the compiled code writes within its bounds, and gives what Python's arithmetic gives.

`tests/protocol/test_decoder.py` shows that they judge lines byte by byte, `tests/test_stream.py` that numbers agree.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from randstream import speedups
from randstream.stream import LONGEST_LINE_BYTES

pytestmark = pytest.mark.skipif(not speedups.ARE_COMPILED, reason="there was no C compiler when this was installed")

EDGES = [0, *(10**n + d for n in range(1, 20) for d in (-1, 0, 1)), *(2**n - 1 for n in range(65))]
"""Where the number of digits changes, of decimal and of binary ones."""


def lines_of(numbers: list[int], dtype: str) -> bytes:
    array = np.array(numbers, dtype)
    room = np.full(len(array) * LONGEST_LINE_BYTES + 2, ord("~"), np.uint8)
    end = len(room) - 1
    begin = speedups.put_lines(array, room[1:-1], end - 1) + 1
    assert room[0] == room[-1] == ord("~")
    assert len(array) == 0 or begin > 0
    return room[begin:end].tobytes()


@given(st.lists(st.integers(0, 2**64 - 1)))
@example([number for number in EDGES if number < 2**64])
def test_unsigned_numbers_are_spelled_as_python_spells_them(numbers: list[int]) -> None:
    assert lines_of(numbers, "uint64") == b"".join(b"%d\n" % number for number in numbers)


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
@example([sign * number for number in EDGES if number < 2**63 for sign in (1, -1)] + [-(2**63)])
def test_signed_numbers_are_spelled_as_python_spells_them(numbers: list[int]) -> None:
    assert lines_of(numbers, "int64") == b"".join(b"%d\n" % number for number in numbers)


@pytest.mark.parametrize("text", [b"1", b"-", b"12345678901234567890", b"-1.5e+300"])
@pytest.mark.parametrize("count", [1, 5, 100, 5000])
def test_lines_are_counted_from_any_start_to_any_end(text: bytes, count: int) -> None:
    lines = (text + b"\n") * count
    for before in range(40):
        data = b"#" * before + lines + b"\n#beat"
        assert speedups.count_lines(data, before, before + len(lines)) == count


def test_a_library_that_is_missing_or_for_another_machine_means_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "libspeedups.so"
    monkeypatch.setattr(speedups, "LIBRARY", str(library))
    assert speedups._load() is None
    library.write_bytes(b"\x7fELF of another machine")
    assert speedups._load() is None
