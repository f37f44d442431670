"""The door for offsets and counts: any integer, of any type, and nothing else."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from randstream.numbers.offsets import check_integer, check_offset, check_range

LAST = 2**63 - 1


@pytest.mark.parametrize("value", [5, np.uint8(5), np.int64(5), np.uint64(5), np.array(5), np.array(5, np.uint16)])
def test_any_integer_is_an_int_from_there_on(value: Any) -> None:
    assert check_offset(value) == 5
    assert type(check_offset(value)) is int


@pytest.mark.parametrize("value", [0, LAST, np.uint64(LAST)])
def test_both_ends_are_taken(value: Any) -> None:
    assert check_offset(value) == value


@pytest.mark.parametrize("value", [-1, 2**63, np.int8(-1), np.uint64(2**63)])
def test_beyond_the_ends_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^skip is -?[0-9]+; give one from 0"):
        check_offset(value, "skip")


@pytest.mark.parametrize(
    "value",
    [5.0, "5", None, b"5", Decimal(5), Fraction(5), np.float64(5), np.array([5]), np.array(5.0), np.arange(2000)],
    ids=repr,
)
def test_what_is_no_integer_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^offset is of type {type(value).__name__}; give an integer$"):
        check_offset(value)


@pytest.mark.parametrize("value", [True, False, np.True_, np.array(True)])
def test_a_bool_is_no_integer(value: Any) -> None:
    with pytest.raises(TypeError, match="give an integer"):
        check_integer(value, "count")


def test_an_integer_of_thousands_of_digits_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match=r"^offset is an integer of 16610 bits; give one from 0 to 2\^63 - 1$"):
        check_offset(10**5000)


def test_an_array_of_one_element_is_read_and_left_alone() -> None:
    array = np.array(5)
    offset = check_offset(array)
    array += 1
    assert offset == 5


@pytest.mark.parametrize(("offset", "count"), [(np.uint8(255), np.uint8(255)), (np.int64(LAST - 5), np.int64(5))])
def test_sums_do_not_wrap(offset: Any, count: Any) -> None:
    assert check_range(offset, count) == (int(offset), int(count))


def test_a_range_ends_where_the_stream_does() -> None:
    with pytest.raises(ValueError, match="a stream has 0 to"):
        check_range(np.int64(LAST - 4), np.int64(5))
