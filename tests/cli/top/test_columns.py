"""Columns: which there is room for, and how a row looks in them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import look_of, rows_in

from randstream.cli.top.columns import MOST_IMPORTANT_FIRST, NAME, choose_columns, row_line, shorten, title_line
from randstream.cli.top.rows import SORTS, Row


def rows(*names: str, **given: Any) -> list[Row]:
    return rows_in([look_of(FakeRole(links=[FakeLink(name, **given) for name in names]))])


def titles(width: int, *names: str, sort: str = "trouble") -> list[str]:
    return [column.title for column in choose_columns(rows(*names), width, sort, names_process=True)]


def test_columns_vanish_from_the_least_important_on_and_the_name_never_does() -> None:
    seen = [set(titles(width, "worker-0")) for width in range(200, 0, -1)]
    for wider, narrower in pairwise(seen):
        assert narrower <= wider
    assert seen[0] == {NAME.title, *(column.title for column in MOST_IMPORTANT_FIRST)}
    assert seen[-1] == {NAME.title}
    assert titles(40, "worker-0") == ["worker", "state", "numbers/s", "offset"]


@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort not in ("trouble", "name")])
def test_the_column_that_is_sorted_by_is_the_last_to_vanish(sort: str) -> None:
    [column] = [column for column in MOST_IMPORTANT_FIRST if column.sort == sort]
    assert titles(26, "w", sort=sort)[-1] == column.title


def test_a_long_name_has_half_of_the_screen_and_is_whole_where_there_is_room() -> None:
    name = "worker-of-a-very-long-name-in-the-rack-17"
    assert name in row_line(rows(name)[0], choose_columns(rows(name), 150, names_process=False)).plain
    widths = choose_columns(rows(name), 60, names_process=False)
    line = row_line(rows(name)[0], widths).plain
    assert widths[NAME] >= 30
    assert line.startswith("● worker-of-a-")
    assert "…" in line
    assert "-rack-17  streaming" in line


@pytest.mark.parametrize("width", [3, 10, 24, 40, 80, 150])
@pytest.mark.parametrize("name", ["w", "字" * 50, "a\u0301" * 60, "x" * 1000, "👩" * 30])
def test_no_line_is_wider_than_the_screen(width: int, name: str) -> None:
    widths = choose_columns(rows(name, offset=2**62), width, names_process=True)
    line = row_line(rows(name, offset=2**62)[0], widths)
    assert cell_len(line.plain) <= width
    assert cell_len(title_line(widths, "trouble").plain) <= width


@given(st.text(max_size=30), st.integers(0, 20))
def test_a_short_text_fits_and_keeps_both_ends(text: str, cells: int) -> None:
    short = shorten(text, cells)
    assert cell_len(short) <= cells or short == text == ""
    if cell_len(text) <= cells:
        assert short == text


def test_a_short_text_has_an_ellipsis_in_its_middle() -> None:
    assert shorten("worker-0123456789", 10) == "worke…6789"
    assert shorten("worker", 1) == "…"
    assert shorten("worker", 0) == ""
    assert shorten("字字字字字", 6) == "字…字"
