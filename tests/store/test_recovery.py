"""What recovery keeps, what it cuts off, and what it refuses to touch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.store.disk import Disk, DiskFile
from tests.store.streams import FOLDER, OFFERED, WORKER, interval, make_store, stored

from randstream.errors import OfferError, SinkError
from randstream.protocol import MAX_CONTROL_LINE_BYTES
from randstream.protocol.frames import Open, encode
from randstream.store import DamagedStore, recovery, walk
from randstream.store.files import OSFiles
from randstream.store.recovery import Recovery
from randstream.store.sink import COMMIT_BYTES
from randstream.store.store import Store

STORE = Path("/store")
FIRST = "00000000000000000000.numbers"


def reopened(store: Path, offered: Open = OFFERED) -> Store:
    """The store after a new process has opened it."""
    process = Store(store, WORKER, 2**30, None, OSFiles())
    process.start()
    try:
        process.open(offered)
    finally:
        process.close()
    return process


def offset_of(process: Store) -> int:
    assert process.recovery is not None
    return process.recovery.offset


def lay(store: Path, **segments: bytes) -> Path:
    """A stream's folder with the files given."""
    folder = store / FOLDER
    folder.mkdir(parents=True)
    for name, content in segments.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_store_continues_where_its_last_commit_ended(tmp_path: Path) -> None:
    make_store(tmp_path, 10, 25)
    assert offset_of(reopened(tmp_path)) == 25


def test_a_segment_cut_anywhere_ends_with_the_last_whole_beat(tmp_path: Path) -> None:
    whole = stored(0, 3, 4, 9)
    lay(tmp_path)
    path = tmp_path / FOLDER / FIRST
    for size in range(len(stored(0)), len(whole)):
        path.write_bytes(whole[:size])
        offset = offset_of(reopened(tmp_path))
        kept = max((stored(0), stored(0, 3), stored(0, 3, 4)), key=lambda part: (len(part) <= size, len(part)))
        assert path.read_bytes() == kept
        assert f"#beat offset={offset} " in kept.decode().splitlines()[-1]


def test_whatever_byte_is_wrong_nothing_after_it_is_kept(tmp_path: Path) -> None:
    whole = stored(0, 3, 4, 9)
    lay(tmp_path)
    path = tmp_path / FOLDER / FIRST
    for position in range(len(stored(0)), len(whole)):
        path.write_bytes(whole[:position] + b"\0" + whole[position + 1 :])
        offset = offset_of(reopened(tmp_path))
        assert whole.startswith(path.read_bytes())
        assert len(path.read_bytes()) <= position
        assert offset in (0, 3, 4)


def test_numbers_after_a_bad_interval_are_cut_off_even_if_they_hold(tmp_path: Path) -> None:
    kept = len(stored(0, 3))
    content = bytearray(stored(0, 3, 4, 9))
    content[kept] ^= 1
    folder = lay(tmp_path, **{FIRST: bytes(content)})
    assert reopened(tmp_path).recovery == Recovery(folder / FIRST, 3, kept, len(content) - kept)


def test_recovery_reads_no_more_than_the_end_of_the_last_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_BYTES", 20_000)
    monkeypatch.setattr(walk, "MOST_BYTES", 4_000)
    disk = Disk(Random(0))
    make_store(STORE, *range(1_000, 100_000, 1_000), files=disk)
    assert len(disk.contents(STORE / FOLDER)[FIRST]) > 250_000
    counts = []

    def read(self: DiskFile, position: int, count: int, original: Any = DiskFile.read) -> bytes:
        counts.append(count)
        return original(self, position, count)

    monkeypatch.setattr(DiskFile, "read", read)
    assert Store(STORE, WORKER, 2**30, None, disk).open(OFFERED) == 99_000
    assert sum(counts) < 2 * 20_000


def test_recovery_begins_at_a_beat_that_is_durable_whatever_the_last_commit_wrote() -> None:
    assert COMMIT_BYTES + walk.MOST_BYTES + MAX_CONTROL_LINE_BYTES <= recovery.RECOVERY_BYTES


def test_an_end_of_a_segment_without_any_beat_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_BYTES", 2_000)
    content = stored(0, 10) + b"1\n" * 3_000
    folder = lay(tmp_path, **{FIRST: content})
    with pytest.raises(DamagedStore, match="no beat where one must be"):
        reopened(tmp_path)
    assert (folder / FIRST).read_bytes() == content


def test_what_recovery_cuts_off_stays_cut_off() -> None:
    for seed in range(20):
        disk = Disk(Random(seed))
        make_store(STORE, 10, files=disk)
        file = disk.open(STORE / FOLDER / FIRST, writable=True)
        file.write(file.size(), [b"12\n34\n"])
        assert Store(STORE, WORKER, 2**30, None, disk).open(OFFERED) == 10
        disk.lose_power()
        assert disk.contents(STORE / FOLDER)[FIRST] == stored(0, 10)


def test_what_a_crash_left_of_a_birth_is_removed(tmp_path: Path) -> None:
    folder = lay(tmp_path, **{FIRST: stored(0, 10), "00000000000000000010.tmp": b"#open wor"})
    assert offset_of(reopened(tmp_path)) == 10
    assert [path.name for path in folder.iterdir()] == [FIRST]


OTHER = replace(OFFERED, stream="0123456789abcdef")
DAMAGED = {
    "two segments of the same numbers": (
        {FIRST: stored(0, 9), "00000000000000000007.numbers": stored(7, 15)},
        FIRST,
        r"\(offset 9\): the segment ends here, but the next one begins at 7 already; move away the one that is a copy",
    ),
    "another stream among the segments": (
        {FIRST: stored(0, 9).replace(encode(OFFERED), encode(OTHER)), "00000000000000000009.numbers": stored(9, 15)},
        FIRST,
        "stream 0123456789abcdef .* among segments of 6ae2a63a0ac05109",
    ),
    "a missing segment": (
        {FIRST: stored(0, 9), "00000000000000000012.numbers": stored(12, 15)},
        FIRST,
        r"\(offset 9\): the segment ends here, but the next one begins at 12",
    ),
    "a closed segment that breaks off": (
        {FIRST: stored(0, 9)[:-4], "00000000000000000009.numbers": stored(9, 15)},
        FIRST,
        "no beat ends this segment, but one from 9 on follows",
    ),
    "an empty file": ({FIRST: b""}, FIRST, r"byte 0 \(offset 0\): the header is cut short"),
    "another segment's name": (
        {"00000000000000000007.numbers": stored(9, 15)},
        "00000000000000000007.numbers",
        "the name is not that of the first offset, 9",
    ),
    "another stream": (
        {FIRST: stored(0, 9).replace(encode(OFFERED), encode(OTHER))},
        FIRST,
        "this is stream 0123456789abcdef .* and the producer offers 6ae2a63a0ac05109",
    ),
}


@pytest.mark.parametrize(("segments", "name", "what"), DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_is_named_and_not_touched(tmp_path: Path, segments: dict[str, bytes], name: str, what: str) -> None:
    folder = lay(tmp_path, **segments)
    with pytest.raises(DamagedStore, match=what) as caught:
        reopened(tmp_path)
    assert caught.value.damage.path == folder / name
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == segments


def test_foreign_files_are_named_left_alone_and_stop_nothing(tmp_path: Path) -> None:
    folder = lay(tmp_path, **{FIRST: stored(0, 9), "notes.txt": b"mine", ".DS_Store": b"", "9.numbers": b"1\n"})
    (folder / "00000000000000000009.tmp").mkdir()
    (folder / "lost+found").mkdir()
    (folder / ".nfs0001").touch()
    process = Store(tmp_path, WORKER, 2**30, None, OSFiles())
    process.start()
    before = {path.name for path in folder.iterdir()}
    assert process.open(OFFERED) == 9
    warning = ".DS_Store, 00000000000000000009.tmp, 9.numbers and 1 more; move it away"
    assert process.foreign_problem == f"{folder} holds what is not the store's: {warning}"
    process.commit([interval(9, 15)])
    assert process.foreign_problem is not None
    assert {path.name for path in folder.iterdir()} == before
    for name in ("notes.txt", ".DS_Store", "9.numbers"):
        (folder / name).unlink()
    (folder / "00000000000000000009.tmp").rmdir()
    process.commit([interval(15, 20)])
    assert process.foreign_problem is None
    process.close()


@pytest.mark.parametrize("name", ["an empty file", "a missing segment", "another stream"])
def test_a_refused_store_is_not_kept_open(tmp_path: Path, name: str) -> None:
    lay(tmp_path, **DAMAGED[name][0])
    process = Store(tmp_path, WORKER, 2**30, None, OSFiles())
    process.start()
    before = list(Path("/proc/self/fd").iterdir())
    with pytest.raises(DamagedStore):
        process.open(OFFERED)
    assert list(Path("/proc/self/fd").iterdir()) == before
    process.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == len(before) - 1


def test_numbers_checked_the_same_stream_with_other_numbers_is_an_offer_that_no_store_can_take(tmp_path: Path) -> None:
    make_store(tmp_path, 9)
    before = (tmp_path / FOLDER / FIRST).read_bytes()
    with pytest.raises(OfferError, match="holds stream 6ae2a63a0ac05109 as integers:1:100, not as bits64"):
        reopened(tmp_path, replace(OFFERED, numbers="bits64"))
    assert (tmp_path / FOLDER / FIRST).read_bytes() == before


def test_a_stream_goes_on_for_another_producer_and_another_link(tmp_path: Path) -> None:
    make_store(tmp_path, 10, 25)
    assert offset_of(reopened(tmp_path, replace(OFFERED, producer="producer-1", instance="0" * 16))) == 25


def test_numbers_checked_in_a_folder_of_another_stream_is_damage_whatever_the_numbers(tmp_path: Path) -> None:
    make_store(tmp_path, 9)
    (tmp_path / FOLDER).rename(tmp_path / f"{WORKER}-0123456789abcdef")
    with pytest.raises(DamagedStore, match="give the folder its own name back") as caught:
        reopened(tmp_path, replace(OFFERED, stream="0123456789abcdef", numbers="bits64"))
    assert caught.value.needs_person


def test_a_stream_whose_folder_is_a_file_is_a_problem_to_wait_for(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_bytes(b"")
    process = Store(tmp_path, WORKER, 2**30, None, OSFiles())
    process.start()
    with pytest.raises(SinkError, match="Not a directory"):
        process.open(OFFERED)
    (tmp_path / FOLDER).unlink()
    assert process.open(OFFERED) == 0
    process.close()
