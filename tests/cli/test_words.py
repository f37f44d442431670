"""Figures and texts as a terminal shows them."""

from __future__ import annotations

import codecs

import pytest

from randstream.cli.words import approximate, counted, in_seconds, plain


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0.0, "0 µs"), (12e-6, "12 µs"), (0.0123, "12.3 ms"), (1.0, "1.0 s"), (119.0, "119.0 s"),
        (120.0, "2 min"), (7199.0, "120 min"), (7200.0, "2 h"),
    ],
)  # fmt: skip
def test_seconds_have_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert in_seconds(seconds) == text


def test_a_text_moves_no_cursor() -> None:
    assert plain("a\x1b[2Jb\nc\x9bd – µ") == "a [2Jb c d – µ"


@pytest.mark.parametrize(("count", "text"), [(0, "0 links"), (1, "1 link"), (1234, "1,234 links")])
def test_one_is_no_plural(count: int, text: str) -> None:
    assert counted(count, "link") == text


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp437"])
def test_what_an_encoding_lacks_is_told_in_ascii(encoding: str) -> None:
    codecs.register_error("approximate of a test", approximate)
    told = "● a ■ b – c ☃ \ud800".encode(encoding, "approximate of a test")
    assert told.decode(encoding).replace("■", "#") == "* a # b - c ? ?"
