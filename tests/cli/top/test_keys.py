"""Keys: bytes of a terminal, in one piece and in several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.cli.top.keys import LONGEST_SEQUENCE, Keys

CASES = [
    (b"q", ["q"]),
    (b"/a?", ["/", "a", "?"]),
    (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
    (b"\x1b[H\x1bOH\x1b[1~\x1b[7~", ["home"] * 4),
    (b"\x1b[F\x1bOF\x1b[4~\x1b[8~", ["end"] * 4),
    (b"\x1b[5~\x1b[6~", ["page up", "page down"]),
    (b"\r\n\x7f\b\x15", ["enter", "enter", "backspace", "backspace", "clear"]),
    ("ü字".encode(), ["ü", "字"]),
    (b"\x1bx", ["escape", "x"]),
    (b"\x1b\x1b[A", ["escape", "up"]),
    (b"\x1b\n", ["escape", "enter"]),
    (b"\x1b[1;5A\x1b[3~\x1bOP\x1b[200~a\x1b[<0;1;1M", ["a"]),
    (b"\x00\x01\x07\t\x9b2J", ["\ufffd", "2", "J"]),
    (b"\xff", ["\ufffd"]),
]


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_bytes_are_keys_however_they_are_cut(data: bytes, expected: list[str]) -> None:
    keys = Keys()
    assert keys.feed(data) == expected
    assert not keys.is_pending
    assert [key for byte in data for key in keys.feed(bytes([byte]))] == expected


def test_escape_is_a_key_once_nothing_follows() -> None:
    keys = Keys()
    assert keys.feed(b"a\x1b") == ["a"]
    assert keys.is_pending
    assert keys.flush() == ["escape"]
    assert not keys.is_pending
    assert keys.flush() == []
    assert keys.feed(b"[A") == ["[", "A"]


def test_a_sequence_without_an_end_is_forgotten() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b[" + b"1" * LONGEST_SEQUENCE) == []
    assert keys.feed(b"q") == ["q"]


@given(st.lists(st.binary(max_size=8)))
def test_whatever_comes_is_named_keys_or_single_printable_characters(pieces: list[bytes]) -> None:
    keys = Keys()
    for key in [key for piece in pieces for key in keys.feed(piece)]:
        assert key.isprintable()
        assert len(key) == 1 or key.replace(" ", "").isalpha()
