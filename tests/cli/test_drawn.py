"""Drawn: which numbers of a stream are written."""

from __future__ import annotations

from itertools import islice

import pytest

from randstream.cli.drawn import RUN_NUMBERS, Drawn
from randstream.errors import SettingsError
from randstream.numbers.stream import NumberStream
from randstream.protocol import MAX_OFFSET

STREAM = NumberStream("42", "worker-0", "integers:1:100")


@pytest.mark.parametrize("total", [0, 1, RUN_NUMBERS, 2 * RUN_NUMBERS + 1])
def test_parts_follow_each_other_and_are_as_many_as_asked_for(total: int) -> None:
    parts = list(Drawn(STREAM, 7, total).parts())
    assert b"".join(bytes(part.lines()) for part in parts) == STREAM.lines(7, total)
    assert sum(part.count for part in parts) == total
    assert [part.offset for part in parts] == list(range(7, 7 + total, RUN_NUMBERS))


def test_all_go_on_and_are_not_counted() -> None:
    source = Drawn(STREAM, 0, None)
    assert source.count() is None
    assert [part.offset for part in islice(source.parts(), 3)] == [0, RUN_NUMBERS, 2 * RUN_NUMBERS]


def test_all_end_where_the_stream_ends() -> None:
    (part,) = Drawn(STREAM, MAX_OFFSET - 3, None).parts()
    assert part.lines() == STREAM.lines(MAX_OFFSET - 3, 3)


def test_more_than_the_stream_has_is_refused() -> None:
    assert sum(part.count for part in Drawn(STREAM, MAX_OFFSET - 3, 3).parts()) == 3
    with pytest.raises(SettingsError, match=f"--offset {MAX_OFFSET - 3} --count 4 goes past its end"):
        Drawn(STREAM, MAX_OFFSET - 3, 4)
