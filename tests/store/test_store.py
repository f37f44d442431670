"""One worker's folder: commits, segments, retention, the lock."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.store.disk import Disk
from tests.store.streams import FOLDER, OFFERED, WORKER, interval, make_store, stored

from randstream.errors import LocalProtocolError, SettingsError, SinkError
from randstream.store.files import OSFiles
from randstream.store.layout import segment_path
from randstream.store.store import Store


def new_store(folder: Path, segment_bytes: int = 2**30, retain_bytes: int | None = None) -> Store:
    return Store(folder, WORKER, segment_bytes, retain_bytes, OSFiles())


def started(folder: Path) -> Store:
    store = new_store(folder)
    store.start()
    return store


def firsts(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.iterdir())


def test_a_missing_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    store = started(tmp_path / "a" / "b")
    assert store.open(OFFERED) == 0
    assert (tmp_path / "a" / "b" / FOLDER).is_dir()
    store.close()


def test_a_file_in_place_of_the_folder_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsError, match=r"cannot use .*file.* as a store: "):
            new_store(folder).start()


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    store = started(tmp_path)
    with pytest.raises(
        SettingsError, match=rf"{tmp_path}/worker-0\.lock: locked: another process stores for worker-0 here"
    ):
        new_store(tmp_path).start()
    store.close()
    started(tmp_path).close()


def test_a_link_in_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worker-0.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match=rf"{tmp_path}/worker-0\.lock: a link, which a lock never is: remove it"):
        new_store(tmp_path).start()
    assert not (tmp_path / "elsewhere").exists()


PASSING = [
    errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EMFILE, errno.ENFILE,
    errno.ENOMEM, errno.EINTR,
]  # fmt: skip


@pytest.mark.parametrize("number", PASSING, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["make_folder", "sync_folder", "lock"])
def test_a_passing_error_is_no_wrong_setting_when_the_store_starts(number: int, call: str) -> None:
    disk = Disk(Random(0))
    disk.fault = lambda _, name: number if name == call else None
    store = Store(Path("/store"), WORKER, 2**30, None, disk)
    with pytest.raises(SinkError, match=r"^cannot use /store as a store: ") as failed:
        store.start()
    assert store.problem == str(failed.value)
    assert not store.is_started
    disk.fault = lambda _, name: None
    store.take_folder()
    assert store.problem is None
    assert store.is_started


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR], ids=errno.errorcode.get)
def test_an_error_that_only_the_user_can_mend_is_a_wrong_setting_when_the_store_starts(number: int) -> None:
    disk = Disk(Random(0))
    disk.fault = lambda _, name: number if name == "lock" else None
    with pytest.raises(SettingsError, match=r"^cannot use /store as a store: "):
        Store(Path("/store"), WORKER, 2**30, None, disk).start()


def test_workers_share_a_folder(tmp_path: Path) -> None:
    store = started(tmp_path)
    other = Store(tmp_path, "worker-1", 2**30, None, OSFiles())
    other.start()
    other.close()
    store.close()


def test_intervals_are_stored_as_they_came_each_with_its_beat(tmp_path: Path) -> None:
    store = started(tmp_path)
    store.open(OFFERED)
    assert store.commit([interval(0, 3), interval(3, 7)]) == 7
    assert store.commit([interval(7, 8)]) == 8
    assert store.path is not None
    assert segment_path(store.path, 0).read_bytes() == stored(0, 3, 7, 8)
    store.close()


def test_a_commit_that_does_not_follow_the_last_one_is_a_bug(tmp_path: Path) -> None:
    store = started(tmp_path)
    with pytest.raises(LocalProtocolError):
        store.commit([interval(0, 3)])
    store.open(OFFERED)
    with pytest.raises(LocalProtocolError):
        store.commit([interval(3, 7)])
    store.close()


def test_a_store_that_is_open_is_not_recovered_again() -> None:
    disk = Disk(Random(0))
    store = Store(Path("/store"), WORKER, 2**30, None, disk)
    store.start()
    store.open(OFFERED)
    store.commit([interval(0, 3)])
    calls = disk.calls
    assert store.open(replace(OFFERED, producer="producer-1")) == 3
    assert disk.calls == calls


def test_each_stream_has_its_own_folder_and_offset(tmp_path: Path) -> None:
    other = replace(OFFERED, stream="0123456789abcdef")
    store = started(tmp_path)
    assert store.path is None
    assert store.committed_offset is None
    store.open(OFFERED)
    store.commit([interval(0, 3)])
    assert store.open(other) == 0
    assert store.path == tmp_path / "worker-0-0123456789abcdef"
    assert store.open(OFFERED) == 3
    store.close()


def test_a_full_segment_is_followed_by_the_next_right_after_the_commit(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 100, 3_000, 3_001, segment_bytes=5_000)
    assert firsts(folder) == [0, 3_000]
    assert segment_path(folder, 0).read_bytes() == stored(0, 100, 3_000)
    assert segment_path(folder, 3_000).read_bytes() == stored(3_000, 3_001)


def test_a_segment_without_numbers_is_never_full(tmp_path: Path) -> None:
    folder = make_store(tmp_path, segment_bytes=1)
    assert firsts(make_store(tmp_path, segment_bytes=1)) == [0]
    assert segment_path(folder, 0).read_bytes() == stored(0)


def test_a_segment_left_full_by_a_crash_takes_no_more(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 3_000)
    make_store(tmp_path, 3_001, segment_bytes=5_000)
    assert firsts(folder) == [0, 3_000]


def test_the_next_segment_names_the_producer_connected_by_then(tmp_path: Path) -> None:
    store = new_store(tmp_path, segment_bytes=1)
    store.start()
    store.open(OFFERED)
    store.open(replace(OFFERED, producer="producer-1"))
    store.commit([interval(0, 3)])
    store.close()
    assert b"producer=producer-1" in segment_path(tmp_path / FOLDER, 3).read_bytes()


AFTER_FIRST = len(stored(1_000, 2_000)) + len(stored(2_000, 3_000)) + len(stored(3_000))


@pytest.mark.parametrize(
    ("retain_bytes", "kept"),
    [
        (None, [0, 1_000, 2_000, 3_000]),
        (AFTER_FIRST + 1, [0, 1_000, 2_000, 3_000]),
        (AFTER_FIRST, [1_000, 2_000, 3_000]),
        (0, [3_000]),
    ],
)
def test_old_segments_go_once_those_after_them_hold_enough(
    tmp_path: Path, retain_bytes: int | None, kept: list[int]
) -> None:
    folder = make_store(tmp_path, 1_000, 2_000, 3_000, segment_bytes=1_000, retain_bytes=retain_bytes)
    assert firsts(folder) == kept
