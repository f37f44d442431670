"""Segments: their birth, their appends, and what a failed one leaves behind."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from tests.store.disk import Disk
from tests.store.streams import OFFERED, STREAM, interval, make_store, stored

from randstream.store.layout import segment_path
from randstream.store.segment import Segment

FOLDER = Path("/stream")


@pytest.fixture(params=range(5), ids="seed {}".format)
def disk(request: pytest.FixtureRequest) -> Disk:
    disk = Disk(Random(request.param))
    disk.make_folder(FOLDER)
    disk.sync_folder(FOLDER.parent)
    return disk


def failing(*names: str) -> Callable[[int, str], int | None]:
    """Lets calls of these names fail."""
    return lambda call, name: errno.EIO if name in names else None


def working(call: int, name: str) -> None:
    """Lets no call fail."""


def content(disk: Disk, first: int = 0) -> bytes:
    return disk.contents(FOLDER)[segment_path(FOLDER, first).name]


def test_a_segment_holds_exactly_the_wire(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 25)
    assert segment_path(folder, 0).read_bytes() == stored(0, 10, 25)
    assert stored(0, 10).startswith(b"#open worker=worker-0 stream=" + STREAM.id.encode())


def test_a_segment_is_born_whole_and_empty(disk: Disk) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 7)
    assert disk.contents(FOLDER) == {segment_path(FOLDER, 7).name: stored(7)}
    assert (segment.committed_offset, segment.committed_bytes, segment.is_empty) == (7, len(stored(7)), True)
    disk.lose_power()
    assert content(disk, 7) == stored(7)


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "sync_folder"])
def test_a_failed_birth_leaves_no_half_made_segment_behind(disk: Disk, call: str) -> None:
    disk.fault = failing(call)
    with pytest.raises(OSError, match="Input/output error"):
        Segment.born(disk, FOLDER, OFFERED, 0)
    disk.fault = working
    assert not [name for name in disk.contents(FOLDER) if name.endswith(".tmp")]
    assert set(disk.contents(FOLDER).values()) <= {stored(0)}
    Segment.born(disk, FOLDER, OFFERED, 0).append([interval(0, 3)])
    assert content(disk) == stored(0, 3)


def test_what_was_appended_survives_a_loss_of_power(disk: Disk) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 0)
    segment.append([interval(0, 3), interval(3, 4_000)])
    disk.lose_power()
    assert content(disk) == stored(0, 3, 4_000)
    assert (segment.committed_offset, segment.committed_bytes) == (4_000, len(stored(0, 3, 4_000)))
    assert not segment.is_empty


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_failed_append_is_cut_off_at_once_and_does_not_count(disk: Disk, call: str) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 0)
    segment.append([interval(0, 3)])
    disk.fault = failing(call)
    with pytest.raises(OSError, match="Input/output error"):
        segment.append([interval(3, 4_000)])
    assert content(disk) == stored(0, 3)
    assert (segment.committed_offset, segment.committed_bytes) == (3, len(stored(0, 3)))


def test_an_append_first_cuts_off_what_a_failed_one_has_left(disk: Disk) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 0)
    disk.fault = failing("fdatasync", "truncate")
    with pytest.raises(OSError, match="Input/output error"):
        segment.append([interval(0, 4_000)])
    assert len(content(disk)) >= len(stored(0))
    calls: list[str] = []
    disk.fault = lambda call, name: calls.append(name)
    segment.append([interval(0, 3)])
    assert calls == ["truncate", "write", "fdatasync"]
    assert content(disk) == stored(0, 3)


def test_an_append_writes_nothing_while_the_cut_fails(disk: Disk) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 0)
    disk.fault = failing("fdatasync", "truncate")
    with pytest.raises(OSError, match="Input/output error"):
        segment.append([interval(0, 4_000)])
    calls: list[str] = []

    def fault(call: int, name: str) -> int | None:
        calls.append(name)
        return errno.EIO if name == "truncate" else None

    disk.fault = fault
    with pytest.raises(OSError, match="Input/output error"):
        segment.append([interval(0, 3)])
    assert calls == ["truncate"]
    assert segment.committed_offset == 0


def test_a_sealed_segment_keeps_its_length_through_a_loss_of_power(disk: Disk) -> None:
    segment = Segment.born(disk, FOLDER, OFFERED, 0)
    segment.append([interval(0, 3)])
    disk.fault = failing("fdatasync")
    with pytest.raises(OSError, match="Input/output error"):
        segment.append([interval(3, 4_000)])
    disk.fault = working
    segment.cut_back()
    segment.seal()
    disk.lose_power()
    assert content(disk) == stored(0, 3)


def test_what_is_committed_leaves_the_page_cache_a_piece_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evicted: list[int] = []
    monkeypatch.setattr("randstream.store.segment.EVICT_BYTES", 1000)
    monkeypatch.setattr("randstream.store.files.OSFile.evict", lambda file, position: evicted.append(position))
    make_store(tmp_path, *range(100, 3001, 100))  # some 300 bytes each
    born = len(stored(0))
    sizes = [len(stored(0, *range(100, end + 1, 100))) for end in range(100, 3001, 100)]
    assert evicted[0] == born
    assert set(evicted[1:]) < set(sizes)
    assert all(1000 <= after - before < 1400 for before, after in pairwise(evicted))
    assert sizes[-1] - evicted[-1] < 2400
