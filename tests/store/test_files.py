"""The file layer on the operating system: what the rest of the store relies on."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from randstream.store.files import OSFile, OSFiles

FILES = OSFiles()


def test_more_chunks_than_one_call_takes_are_written_in_order(tmp_path: Path) -> None:
    chunks = [b"%d\n" % number for number in range(3_000)]
    file = FILES.create(tmp_path / "file")
    file.write(0, [b"0\n"])
    file.write(2, chunks[1:])
    file.close()
    assert (tmp_path / "file").read_bytes() == b"".join(chunks)


def test_the_disk_is_asked_to_start_on_all_but_the_last_piece_of_a_large_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def advise(descriptor: int, position: int, size: int, advice: int) -> None:
        asked.append((position, size))
        raise OSError(errno.EINVAL, "no such advice here")  # which changes nothing

    monkeypatch.setattr(os, "posix_fadvise", advise)
    chunks = [bytes([number]) * 300_000 for number in range(20)]
    file = FILES.create(tmp_path / "file")
    file.write(0, [b"0\n"])
    assert asked == []
    file.write(2, chunks)
    file.close()
    assert (tmp_path / "file").read_bytes() == b"0\n" + b"".join(chunks)
    assert asked == [(2, 2_100_000), (2_100_002, 2_100_000)]


def test_a_write_that_takes_only_a_part_is_an_error(tmp_path: Path) -> None:
    file = FILES.create(tmp_path / "file")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="short write: No space left on device") as failed:
            file.write(0, [b"x" * 150])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        file.close()
    assert failed.value.errno == errno.ENOSPC


def test_a_full_disk_is_an_error() -> None:
    file = FILES.open(Path("/dev/full"), writable=True)
    with pytest.raises(OSError, match="No space left on device"):
        file.write(0, [b"x"])
    file.close()


def test_a_read_is_short_only_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    file = FILES.open(tmp_path / "file")
    assert (file.size(), file.read(1, 2), file.read(3, 9), file.read(5, 9)) == (5, b"23", b"45", b"")
    file.close()


def test_an_evicted_file_reads_as_it_was_synced(tmp_path: Path) -> None:
    file = FILES.create(tmp_path / "file")
    file.write(0, [b"12345"])
    file.fdatasync()
    file.evict(0)
    assert file.read(0, 9) == b"12345"
    file.truncate(2)
    file.fsync()
    assert file.read(0, 9) == b"12"
    file.close()


def test_a_created_file_is_empty_whatever_had_its_name_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    FILES.create(tmp_path / "file").close()
    assert FILES.size(tmp_path / "file") == 0


def test_every_sync_asks_the_operating_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, Path]] = []
    for call in ("fsync", "fdatasync"):
        monkeypatch.setattr(
            os, call, lambda descriptor, call=call: synced.append((call, Path(f"/proc/self/fd/{descriptor}").resolve()))
        )
    file = FILES.create(tmp_path / "file")
    file.fdatasync()
    file.fsync()
    file.close()
    FILES.sync_folder(tmp_path)
    assert synced == [("fdatasync", tmp_path / "file"), ("fsync", tmp_path / "file"), ("fsync", tmp_path)]


def test_a_new_lock_is_its_owners_alone_and_is_inherited_by_nobody(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lock = FILES.lock(tmp_path / "lock")
    finally:
        os.umask(before)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    assert not os.get_inheritable(lock._descriptor)
    lock.close()


@pytest.mark.parametrize("call", [FILES.lock, FILES.create])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_that_is_made_is_never_what_a_link_leads_to(
    tmp_path: Path, call: Callable[[Path], OSFile], is_there: bool
) -> None:
    precious = tmp_path / "precious"
    if is_there:
        precious.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        call(tmp_path / "link")
    assert precious.exists() == is_there
    assert not is_there or precious.read_bytes() == b"precious"


def test_a_lock_is_held_until_it_is_closed(tmp_path: Path) -> None:
    lock = FILES.lock(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        FILES.lock(tmp_path / "lock")
    lock.close()
    FILES.lock(tmp_path / "lock").close()
