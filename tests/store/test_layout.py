"""Layout: what a store's files are called, which of them a user means, how a segment begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.streams import OFFERED, WORKER, make_store, stored

from randstream.errors import SettingsError
from randstream.protocol.frames import Beat, encode
from randstream.store import DamagedStore
from randstream.store.files import OSFiles
from randstream.store.layout import (
    Header,
    StoredStream,
    choose_stream,
    encode_header,
    find_foreign,
    find_streams,
    list_folder,
    lock_path,
    read_header,
    segment_first,
    segment_path,
    stream_folder,
    unborn_path,
)

FILES = OSFiles()
SEGMENT = "00000000000000000007.numbers"


def header_of(path: Path) -> Header:
    file = FILES.open(path)
    try:
        return read_header(file, path)
    finally:
        file.close()


def test_names_are_those_of_the_specification() -> None:
    store = Path("/store")
    folder = stream_folder(store, WORKER, OFFERED.stream)
    assert str(folder) == "/store/worker-0-6ae2a63a0ac05109"
    assert str(lock_path(store, WORKER)) == "/store/worker-0.lock"
    assert segment_path(folder, 7) == folder / SEGMENT
    assert unborn_path(folder, 7) == folder / "00000000000000000007.tmp"
    assert len({len(segment_path(folder, first).name) for first in (0, 7, 2**63 - 2)}) == 1


@pytest.mark.parametrize("name", [SEGMENT[1:], SEGMENT + "x", "0" + SEGMENT, "7.numbers", SEGMENT.replace("7", "a")])
def test_only_twenty_digits_and_the_suffix_name_a_segment(name: str) -> None:
    assert segment_first(Path(SEGMENT)) == 7
    assert segment_first(Path(name)) is None


def test_a_listing_has_segments_in_order_and_tells_births_and_foreign_files_apart(tmp_path: Path) -> None:
    for name in (segment_path(tmp_path, 10).name, SEGMENT, "00000000000000000010.tmp", ".nfs0001"):
        (tmp_path / name).touch()
    foreign = [".DS_Store", "7.numbers", f"{2**63:020d}.numbers", "copy of 7.numbers", "notes.txt"]
    for name in foreign:
        (tmp_path / name).touch()
    folders = ["00000000000000000020.numbers", "00000000000000000020.tmp", "lost+found"]
    for name in folders:
        (tmp_path / name).mkdir()
    listing = list_folder(FILES, tmp_path)
    assert listing.firsts == (7, 10)
    assert listing.unborn == (tmp_path / "00000000000000000010.tmp",)
    assert listing.foreign == tuple(tmp_path / name for name in sorted(foreign + folders))


def test_beside_the_streams_of_a_store_all_but_locks_is_foreign(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    for name in ("lost+found", "worker-0-copy"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").touch()
    assert find_foreign(FILES, tmp_path) == tuple(tmp_path / n for n in ("lost+found", "notes.txt", "worker-0-copy"))
    assert find_foreign(FILES, folder) == find_foreign(FILES, segment_path(folder, 0)) == ()


def test_a_stream_is_chosen_by_its_id_its_worker_or_its_folder(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    other, namesake = tmp_path / "worker-1-0123456789abcdef", tmp_path / "worker-1-fedcba9876543210"
    streams = [StoredStream(each) for each in (folder, other, namesake)]
    for wanted in (WORKER, OFFERED.stream, folder.name):
        assert choose_stream(streams, tmp_path, wanted).folder == folder
    assert choose_stream(streams, tmp_path, "0123456789abcdef").folder == other
    refusals = {
        None: f"holds 3 streams; choose with --stream .* one of {folder.name}, {other.name}, {namesake.name}",
        "worker-1": f"holds 2 streams called 'worker-1'; choose .* one of {other.name}, {namesake.name}",
        "worker-2": f"holds no stream 'worker-2'; give .* one of {folder.name}, ",
    }
    for refused, what in refusals.items():
        with pytest.raises(SettingsError, match=what):
            choose_stream(streams, tmp_path, refused)


def test_a_store_a_streams_folder_and_a_segment_each_name_a_stream(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    assert find_streams(FILES, tmp_path) == [StoredStream(folder)]
    assert find_streams(FILES, folder) == [StoredStream(folder)]
    assert find_streams(FILES, segment_path(folder, 0)) == [StoredStream(folder, 0)]
    assert StoredStream(folder).firsts(FILES) == (0,)


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SettingsError, match=f"{path} (is not a store|holds no stream); give a worker's --store"):
            find_streams(FILES, path)


def test_a_file_with_a_streams_name_is_skipped(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    (tmp_path / "worker-0-0123456789abcdef").write_bytes(b"")
    assert find_streams(FILES, tmp_path) == [StoredStream(folder)]


def test_a_header_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / SEGMENT
    path.write_bytes(encode_header(OFFERED, 7) + b"52\n")
    assert header_of(path) == Header(OFFERED, 7, len(encode_header(OFFERED, 7)))


def test_file_is_the_wire_but_for_the_links_secret_which_a_copy_must_not_tell() -> None:
    offered = replace(OFFERED, instance="5f0c8e2b94d1a637")
    assert b"instance=" in encode(offered)
    assert encode_header(offered, 7) == stored(7)


HEADERS = {
    "an empty file": (b"", "the header is cut short"),
    "a header that is cut short": (stored(7)[:-1], "the header is cut short"),
    "a header with a wrong byte": (stored(7).replace(b"=worker-0", b"=worker-1"), "the header is not valid"),
    "numbers without a header": (b"1\n2\n3\n", "the header is not valid"),
    "a beat before the #open": (b"#beat offset=7 crc=00000000 t=0\n" * 3, "the first line is not an #open"),
    "no first beat": (encode(OFFERED) * 2, "the second line is not a first beat"),
    "a first beat that proves numbers": (encode(OFFERED) + encode(Beat(7, 1, "0")), "is not a first beat"),
    "another segment's name": (stored(9), "the name is not that of the first offset, 9"),
}


@pytest.mark.parametrize(("content", "what"), HEADERS.values(), ids=HEADERS.keys())
def test_a_bad_header_is_damage_and_comes_with_advice(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / SEGMENT
    path.write_bytes(content)
    with pytest.raises(DamagedStore, match=what) as caught:
        header_of(path)
    damage = caught.value.damage
    assert (damage.path, damage.offset) == (path, 7)
    assert damage.position in (0, len(encode(OFFERED)), content.find(b"\n") + 1)
    assert damage.what.endswith("restore the file from a copy, or move the folder away to start over")
