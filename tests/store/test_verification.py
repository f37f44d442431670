"""Verification: what holds is counted, what does not is named by offset, segment and byte."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.streams import OFFERED, SEED, WORKER, make_store, stored

from randstream.errors import SettingsError
from randstream.store import Damage, StreamReport, verify
from randstream.store.files import OSFiles
from randstream.store.layout import encode_header, segment_path, stream_folder

ENDS = (10, 25, 1_000, 1_001, 4_000, 4_500)
SEEDS = pytest.mark.parametrize("seed", [None, SEED], ids=["without seed", "with seed"])


@pytest.fixture(params=[2**30, 3_000], ids=["one segment", "several segments"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_store(tmp_path, *ENDS, segment_bytes=request.param)


@SEEDS
def test_a_whole_store_holds(folder: Path, seed: str | None) -> None:
    report = verify([folder], seed)
    assert report.streams == (
        StreamReport(
            folder=folder,
            opened=OFFERED,
            segments=len(list(folder.iterdir())),
            first_offset=0,
            end_offset=4_500,
            unproven_tail_bytes=0,
            damage=None,
        ),
    )
    assert (report.ok, report.count, report.with_seed) == (True, 4_500, seed is not None)


@SEEDS
def test_an_unfinished_tail_is_no_damage(tmp_path: Path, seed: str | None) -> None:
    path = segment_path(tmp_path, 0)
    for tail in (b"1", b"1\n2\n", b"1\n#beat offs", b"\0" * 5_000):
        path.write_bytes(stored(0, 10) + tail)
        report = verify([path], seed)
        assert report.ok
        assert report.streams[0].unproven_tail_bytes == len(tail)


def test_all_streams_of_all_paths_are_checked_even_if_one_is_damaged(tmp_path: Path) -> None:
    first = make_store(tmp_path / "a", 10)
    second = make_store(tmp_path / "b", 20)
    segment_path(first, 0).write_bytes(b"")
    report = verify([tmp_path / "a", second])
    assert [stream.count for stream in report.streams] == [0, 20]
    assert (report.ok, report.count) == (False, 20)


@SEEDS
@pytest.mark.parametrize("numbers", ["poisson:3", "integers:2:1", "integers:01:100", "uniform:-0.0:1.0"])
def test_a_stream_of_numbers_that_cannot_be_is_damage_and_the_others_are_checked(
    tmp_path: Path, numbers: str, seed: str | None
) -> None:
    make_store(tmp_path, 10)
    odd = replace(OFFERED, stream="0" * 16, numbers=numbers)
    path = segment_path(stream_folder(tmp_path, WORKER, odd.stream), 0)
    path.parent.mkdir()
    path.write_bytes(encode_header(odd, 0))
    bad, good = verify([tmp_path], seed).streams
    assert bad.damage == Damage(path, 0, None, f"{numbers} is not a distribution as the wire spells it")
    assert (good.damage, good.count) == (None, 10)


@SEEDS
def test_a_stream_that_cannot_be_read_is_damage_and_the_others_are_checked(
    tmp_path: Path, seed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(tmp_path, 10)
    path = segment_path(stream_folder(tmp_path, WORKER, "0" * 16), 0)
    path.parent.mkdir()
    path.symlink_to(path)
    unreadable = stream_folder(tmp_path, WORKER, "1" * 16)
    unreadable.mkdir()
    names = OSFiles.names

    def names_of_readable(self: OSFiles, folder: Path) -> list[str]:
        if folder == unreadable:
            raise PermissionError(13, "Permission denied", str(folder))
        return list(names(self, folder))

    monkeypatch.setattr(OSFiles, "names", names_of_readable)
    loop, closed, good = verify([tmp_path], seed).streams
    assert loop.damage is not None
    assert loop.damage.what.startswith("cannot be read: Too many ")
    assert closed.damage == Damage(unreadable, 0, None, "cannot be read: Permission denied")
    assert (good.damage, good.count) == (None, 10)


@SEEDS
def test_beats_may_lack_their_t(tmp_path: Path, seed: str | None) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(re.sub(rb" t=\d+", b"", stored(0, 10, 25)))
    (stream,) = verify([path], seed).streams
    assert (stream.damage, stream.count, stream.unproven_tail_bytes) == (None, 25, 0)


def test_a_seed_may_be_an_integer_and_come_with_a_byte_order_mark(folder: Path) -> None:
    for seed in (int(SEED), f"\ufeff{SEED}\r\n"):
        report = verify([folder], seed)
        assert (report.ok, report.with_seed) == (True, True)


def test_a_seed_that_cannot_be_one_is_a_wrong_setting(folder: Path) -> None:
    with pytest.raises(SettingsError, match="of type bytes"):
        verify([folder], SEED.encode())  # type: ignore[arg-type] # bytes are no seed
    with pytest.raises(SettingsError):
        verify([folder], "  ")


def test_a_path_that_is_no_store_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        verify([tmp_path])


def test_progress_ends_with_everything(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    verify([folder], progress=lambda done, total: told.append((done, total)))
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert told[-1] == (size, size)


def test_progress_is_reported_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.store.verification.PROGRESS_BYTES", 4_000)
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, *range(100, 10_000, 100)))
    told: list[int] = []
    verify([path], progress=lambda done, total: told.append(done))
    assert path.stat().st_size > 30_000
    assert 7 <= len(told) <= 10
    assert sorted(told) == told


def test_only_what_is_kept_is_counted(tmp_path: Path) -> None:
    report = verify([make_store(tmp_path, 10, 20, 30, segment_bytes=1, retain_bytes=300)], SEED)
    stream = report.streams[0]
    assert (stream.first_offset, stream.end_offset, report.count) == (20, 30, 10)
