"""Runs: where they end in a stream, and how they are cut into pieces of whole lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.protocol.network import number_lines

from randstream.protocol.runs import Run

LINES = number_lines(100, 50)
RUN = Run(100, LINES, 50)


def test_a_run_ends_where_the_next_one_begins() -> None:
    assert RUN.end_offset == 150
    assert Run(7, b"", 0).end_offset == 7


@pytest.mark.parametrize("size", [1, 2, 10, 64, len(LINES) - 1, len(LINES), 10**6])
def test_pieces_are_whole_lines_and_together_they_are_the_run(size: int) -> None:
    pieces = list(RUN.pieces(size))
    assert b"".join(piece.lines for piece in pieces) == LINES
    assert all(piece.lines == number_lines(piece.offset, piece.count) for piece in pieces)
    assert all(piece.end_offset == following.offset for piece, following in pairwise(pieces))
    assert pieces[-1].end_offset == RUN.end_offset


@pytest.mark.parametrize("size", [1, 10, 64])
def test_a_piece_is_as_long_as_asked_for_and_less_than_a_line_longer(size: int) -> None:
    longest = max(map(len, LINES.splitlines(keepends=True)))
    *whole, last = RUN.pieces(size)
    assert all(size <= len(piece.lines) <= size + longest for piece in whole)
    assert 0 < len(last.lines) <= size + longest


def test_a_run_that_is_short_enough_is_its_only_piece_and_an_empty_one_has_none() -> None:
    assert list(RUN.pieces(len(LINES))) == [RUN]
    assert list(Run(7, b"", 0).pieces(10)) == []
