"""Stored: which numbers of a store are written, and what is said where it cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.streams import STREAM, make_store

from randstream.cli.stored import Stored
from randstream.errors import SettingsError, SinkError


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_store(tmp_path, 500, 1500)
    return tmp_path


def lines(source: Stored) -> bytes:
    return b"".join(part.lines() for part in source.parts())


def test_parts_are_the_stored_numbers_as_text_and_as_arrays(store: Path) -> None:
    source = Stored(str(store), None, None)
    assert source.dtype == "int64"
    assert lines(source) == STREAM.lines(0, 1500)
    np.testing.assert_array_equal(
        np.concatenate([part.numbers() for part in source.parts()]), STREAM.read(0, 1500), strict=True
    )
    assert [part.offset for part in source.parts()] == [0, 500]


@pytest.mark.parametrize(("offset", "most", "count"), [(None, None, 1500), (1000, None, 500), (7, 600, 600), (0, 0, 0)])
def test_count_is_that_of_the_numbers_that_follow(
    store: Path, offset: int | None, most: int | None, count: int
) -> None:
    source = Stored(str(store), offset, most)
    assert source.count() == count
    assert lines(source) == STREAM.lines(offset or 0, count)


def test_numbers_that_come_after_they_were_counted_are_not_written(store: Path) -> None:
    source = Stored(str(store), None, None)
    count = source.count()
    make_store(store, 1600)
    assert lines(Stored(str(store), None, None)) == STREAM.lines(0, 1600)
    assert count == 1500
    assert lines(source) == STREAM.lines(0, 1500)


def test_damage_is_told(store: Path) -> None:
    source = Stored(str(store), None, None)
    (segment,) = store.glob("*/*.numbers")
    segment.write_bytes(b"nonsense\n")
    with pytest.raises(SinkError, match=r"the header is cut short.*--skip-damaged"):
        source.count()


def test_a_store_that_cannot_be_read_is_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise PermissionError(13, "Permission denied")
        yield

    source = Stored(str(store), None, None)
    monkeypatch.setattr("randstream.cli.stored.read_runs", fail)
    with pytest.raises(SettingsError, match=f"cannot read {store}: Permission denied"):
        lines(source)


def test_what_holds_behind_damage_is_written_when_asked_for_and_the_gap_told_once(
    store: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (segment,) = store.glob("*/*.numbers")
    content = bytearray(segment.read_bytes())
    content[content.index(b"#beat offset=500") - 5] ^= 1
    segment.write_bytes(content)
    source = Stored(str(store), None, None, skip_damaged=True)
    assert source.count() == 1000
    assert lines(source) == STREAM.lines(500, 1000)
    told = capfd.readouterr().err
    assert told.startswith("randstream: offsets 0 to 499 are left out: ")
    assert told.count("\n") == 1


def test_a_store_is_not_written_over_with_its_own_numbers(
    store: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = Stored(str(store), None, None)
    (segment,) = store.glob("*/*.numbers")
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(segment)
    for path in (segment, segment.with_name("new"), link):
        with pytest.raises(SettingsError, match="only the worker writes to the stream's folder"):
            source.require_apart(str(path))
    for apart in (store / "numbers.txt", link.with_name("new")):
        source.require_apart(str(apart))
