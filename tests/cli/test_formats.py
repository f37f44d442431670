"""Formats: the same numbers in each of them, as those who read them do."""

from __future__ import annotations

import csv
from io import BytesIO, StringIO

import numpy as np
import pytest

from randstream.cli.drawn import Drawn
from randstream.cli.formats import FORMATS
from randstream.cli.output import FORMATS as NAMES
from randstream.numbers.stream import NumberStream

DISTRIBUTIONS = ("integers:-5:5", "bits64", "uniform:-1:1", "exponential:1", "normal:0:1e-300")
COUNT = 70_000
"""More than are drawn at a time."""
OFFSET = 99_990
"""Offsets get a digit more on the way."""


def written(distribution: str, name: str, count: int = COUNT) -> tuple[NumberStream, bytes]:
    stream = NumberStream("42", "w", distribution)
    source = Drawn(stream, OFFSET, count)
    return stream, FORMATS[name].head(source.dtype, source.count()) + b"".join(map(FORMATS[name].spell, source.parts()))


def test_the_command_line_knows_every_format() -> None:
    assert tuple(FORMATS) == NAMES


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_text_is_what_a_worker_gets(distribution: str) -> None:
    stream, text = written(distribution, "text")
    assert text == stream.lines(OFFSET, COUNT)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_csv_has_each_number_with_its_offset(distribution: str) -> None:
    stream, text = written(distribution, "csv")
    header, *rows = csv.reader(StringIO(text.decode(), newline=""))
    assert header == ["offset", "number"]
    lines = stream.lines(OFFSET, COUNT).decode().split()
    assert rows == [[str(OFFSET + index), line] for index, line in enumerate(lines)]
    assert b"\r" not in text
    assert text.endswith(b"\n")


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_raw_is_eight_little_endian_bytes_a_number(distribution: str) -> None:
    stream, data = written(distribution, "raw")
    numbers = stream.read(OFFSET, COUNT)
    assert data == numbers.astype(numbers.dtype.newbyteorder("<")).tobytes()
    assert len(data) == 8 * COUNT


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_npy_is_the_file_that_numpy_writes_and_reads(distribution: str) -> None:
    stream, data = written(distribution, "npy")
    own = BytesIO()
    np.save(own, stream.read(OFFSET, COUNT))
    assert data == own.getvalue()
    found = np.load(BytesIO(data))
    assert found.dtype == stream.distribution.dtype
    np.testing.assert_array_equal(found, stream.read(OFFSET, COUNT))


@pytest.mark.parametrize(("name", "nothing"), [("text", b""), ("csv", b"offset,number\n"), ("raw", b"")])
def test_no_numbers_are_a_head_alone(name: str, nothing: bytes) -> None:
    assert written("bits64", name, count=0)[1] == nothing


def test_no_numbers_are_an_empty_array() -> None:
    assert np.load(BytesIO(written("bits64", "npy", count=0)[1])).shape == (0,)
