"""Check: of one stream, the first damage is named by segment, byte and offset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.store.streams import OFFERED, SEED, WORKER, make_store, stored, text

from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, crc32c, encode
from randstream.store import Damage, check, verify
from randstream.store.files import OSFile, OSFiles
from randstream.store.layout import encode_header, segment_path

ENDS = (10, 25, 1_000, 1_001, 4_000, 4_500)
SEEDS = pytest.mark.parametrize("seed", [None, SEED], ids=["without seed", "with seed"])


@pytest.fixture(params=[2**30, 3_000], ids=["one segment", "several segments"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_store(tmp_path, *ENDS, segment_bytes=request.param)


def damage_of(path: Path, seed: str | None = None) -> Damage:
    report = verify([path], seed)
    assert not report.ok
    damage = report.streams[0].damage
    assert damage is not None
    return damage


@pytest.mark.parametrize("block", [1, 7, 2**16])
def test_with_the_seed_the_exact_byte_is_named(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "BLOCK", block)
    path = segment_path(tmp_path, 0)
    content = stored(0, 10, 25)
    start = len(stored(0, 10))
    end = len(content) - len(b" t=17\n")
    for position in set(range(start, end)) - {content.rindex(b"#")}:  # without its #, the last beat is no beat
        path.write_bytes(content[:position] + b"x" + content[position + 1 :])
        damage = damage_of(path, SEED)
        in_numbers = min(position, start + len(text(10, 25)))
        assert damage.position == in_numbers
        assert damage.offset == 10 + content[start:in_numbers].count(b"\n")


def test_without_the_seed_the_interval_is_named(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    content = stored(0, 10, 25)
    path.write_bytes(content.replace(b"\n79\n", b"\n97\n").replace(b"\n13\n", b"\n31\n"))
    damage = damage_of(path)
    assert (damage.path, damage.position, damage.offset) == (path, len(stored(0, 10)), 10)
    assert str(damage).startswith(f"{path}: byte {len(stored(0, 10))} (offset 10): number lines with crc ")


def test_numbers_that_hold_but_are_not_the_seeds_are_found_only_with_the_seed(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    lines = text(10, 25).replace(b"\n79\n", b"\n97\n")
    path.write_bytes(stored(0, 10) + lines + encode(Beat(25, crc32c(lines), "1")))
    assert verify([path]).ok
    damage = damage_of(path, SEED)
    assert damage.what == "not the number that the seed makes"
    assert (damage.position, damage.offset) == (len(stored(0, 10)) + lines.index(b"97"), 13)


def test_a_wrong_seed_is_told_apart_from_damage_and_the_rest_is_checked_without(folder: Path) -> None:
    report = verify([folder], "43")
    (stream,) = report.streams
    assert not report.ok
    assert (stream.outcome, stream.damage, stream.count) == ("wrong seed", None, 4_500)
    assert stream.seed_makes == NumberStream("43", WORKER, "integers:1:100").id
    path = max(folder.iterdir())
    path.write_bytes(path.read_bytes().replace(b"\n7", b"\n8"))
    (stream,) = verify([folder], "43").streams
    assert stream.outcome == "damaged"
    assert stream.seed_makes is not None


def test_an_interval_longer_than_any_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.store.walk.MOST_BYTES", 1_000)
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, 10) + text(10, 2_000))
    assert damage_of(path, SEED).what == "no beat in 1000 bytes"


def test_only_the_last_segment_may_end_without_a_beat(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, segment_bytes=1)
    path = segment_path(folder, 10)
    with path.open("ab") as file:
        file.write(b"1\n")
    damage = damage_of(folder, SEED)
    assert (damage.path, damage.position, damage.offset) == (path, len(stored(10, 20)), 20)
    assert "no beat ends this segment" in damage.what
    assert verify([path]).ok


@SEEDS
def test_a_missing_segment_is_named_by_the_one_before(tmp_path: Path, seed: str | None) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)
    segment_path(folder, 10).unlink()
    damage = damage_of(folder, seed)
    assert (damage.path, damage.offset) == (segment_path(folder, 0), 10)
    assert "the next one begins at 20" in damage.what


def test_a_segment_of_another_stream_is_named(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, segment_bytes=1)
    path = segment_path(folder, 10)
    path.write_bytes(path.read_bytes().replace(encode(OFFERED), encode(replace(OFFERED, stream="0" * 16))))
    damage = damage_of(folder)
    assert (damage.path, damage.offset) == (path, 10)
    assert damage.what.startswith(
        f"stream {'0' * 16} (integers:1:100) of worker-0 among segments of {OFFERED.stream}; move"
    )


def test_a_header_that_does_not_hold_is_named(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(b"1\n2\n3\n")
    report = verify([path])
    assert report.streams[0].opened is None
    assert report.streams[0].damage is not None


@SEEDS
def test_what_is_foreign_is_named_and_no_damage(folder: Path, seed: str | None) -> None:
    names = [".DS_Store", "7.numbers", "notes.txt"]
    for name in names:
        (folder / name).write_bytes(b"")
    (folder / "00000000000000009999.numbers").mkdir()
    report = verify([folder.parent], seed)
    assert report.ok
    assert report.streams[0].foreign == tuple(
        folder / name for name in sorted([*names, "00000000000000009999.numbers"])
    )
    assert report.foreign == ()
    (folder.parent / "lost+found").mkdir()
    assert verify([folder.parent, folder], seed).foreign == (folder.parent / "lost+found",)


def test_two_segments_of_the_same_numbers_are_damage(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 30, segment_bytes=1)
    segment_path(folder, 30).unlink()
    segment_path(folder, 20).write_bytes(stored(20, 40))
    damage = damage_of(folder)
    assert (damage.path, damage.offset) == (segment_path(folder, 10), 30)
    assert "the next one begins at 20 already" in damage.what


@SEEDS
def test_an_end_that_no_crash_leaves_is_damage(tmp_path: Path, seed: str | None) -> None:
    path = segment_path(tmp_path, 0)
    for tail in (b"hello", b"1\n2\nx", b"\xff\xfe", b"#nonsense\n", b"1\n2\n<html>\n#beat off"):
        path.write_bytes(stored(0, 10) + tail)
        damage = damage_of(path, seed)
        assert (damage.position, damage.offset) == (len(stored(0, 10)), 10) or seed


def test_a_segment_that_retention_removes_meanwhile_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)

    original = OSFiles.open

    def open_after_retention(self: OSFiles, path: Path) -> OSFile:
        segment_path(folder, 0).unlink(missing_ok=True)
        return original(self, path)

    monkeypatch.setattr(OSFiles, "open", open_after_retention)
    report = verify([folder], SEED)
    assert report.ok
    assert (report.streams[0].first_offset, report.streams[0].end_offset) == (10, 30)


@pytest.mark.parametrize("line", [b"1abc", b"1-2", b"-", b"1.5", b"1e", b"1.5.2"])
def test_verify_without_the_seed_finds_what_is_no_number(tmp_path: Path, line: bytes) -> None:
    lines = b"52\n78\n" + line + b"\n"
    path = segment_path(tmp_path, 0)
    path.write_bytes(encode_header(OFFERED, 0) + lines + encode(Beat(3, crc32c(lines), "1")))
    (stream,) = verify([path]).streams
    assert stream.damage is not None
    assert stream.damage.path == path
    assert "number" in stream.damage.what
