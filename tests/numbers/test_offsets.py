"""The door for offsets and counts: any integer, of any type, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from randstream.numbers.offsets import check_offset, check_range

LAST = 2**63 - 1


@pytest.mark.parametrize("value", [5, np.uint8(5), np.int64(5), np.uint64(5), np.array(5), np.array(5, np.uint16)])
def test_any_integer_is_an_int_from_there_on(value):
    assert check_offset(value) == 5
    assert type(check_offset(value)) is int


@pytest.mark.parametrize("value", [0, LAST, np.uint64(LAST)])
def test_both_ends_are_taken(value):
    assert check_offset(value) == value


@pytest.mark.parametrize("value", [-1, 2**63, np.int8(-1), np.uint64(2**63)])
def test_beyond_the_ends_is_refused(value):
    with pytest.raises(ValueError, match=r"^skip is -?[0-9]+; give one from 0"):
        check_offset(value, "skip")


@pytest.mark.parametrize("value", [5.0, "5", None, np.float64(5), np.array([5]), np.array(5.0), b"5"])
def test_what_is_no_integer_is_refused(value):
    with pytest.raises(TypeError, match=r"^offset is .*, which is no integer"):
        check_offset(value)


@pytest.mark.parametrize(("offset", "count"), [(np.uint8(255), np.uint8(255)), (np.int64(LAST - 5), np.int64(5))])
def test_sums_do_not_wrap(offset, count):
    assert check_range(offset, count) == (int(offset), int(count))


def test_a_range_ends_where_the_stream_does():
    with pytest.raises(ValueError, match="a stream has 0 to"):
        check_range(np.int64(LAST - 4), np.int64(5))
