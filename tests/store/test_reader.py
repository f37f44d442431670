"""Reader: run by run, only what is valid, while the store is being written; damage is reported, or skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.streams import OFFERED, STREAM, WORKER, interval, make_store, stored, text

from randstream.errors import SettingsError
from randstream.protocol.frames import Beat, crc32c, encode
from randstream.protocol.runs import Run
from randstream.store import DamagedStore, Gap, StoreReader, read_store, reader, walk
from randstream.store.files import OSFile, OSFiles
from randstream.store.layout import segment_path
from randstream.store.store import Store

ENDS = (10, 25, 1_000, 1_001, 4_000, 4_500)


@pytest.fixture(params=[2**30, 3_000], ids=["one segment", "several segments"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_store(tmp_path, *ENDS, segment_bytes=request.param)


def test_a_reader_follows_a_store_that_grows_into_new_segments(tmp_path: Path) -> None:
    store = Store(tmp_path, WORKER, 300, None, OSFiles())
    store.start()
    store.open(OFFERED)
    with StoreReader(tmp_path) as following:
        assert following.opened == OFFERED
        assert following.next_run() is None
        for first, end in [(0, 5), (5, 300), (300, 600), (600, 610)]:
            store.commit([interval(first, end)])
            assert [(run.offset, run.lines, run.count) for run in following] == [(first, text(first, end), end - first)]
            assert following.offset == end
            assert following.next_run() is None
    store.close()


def test_numbers_that_came_just_before_their_segment_was_closed_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path, WORKER, 300, None, OSFiles())
    store.start()
    store.open(OFFERED)
    following = StoreReader(tmp_path)

    def names_after_a_commit(self: OSFiles, folder: Path) -> list[str]:
        if store.committed_offset == 0:
            store.commit([interval(0, 300)])
        return [path.name for path in folder.iterdir()]

    monkeypatch.setattr(OSFiles, "names", names_after_a_commit)
    assert [run.lines for run in following] == [text(0, 300)]
    following.close()
    store.close()


def test_a_reader_follows_a_tail_that_is_cut_off_and_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "00000000000000000000.numbers"
    path.write_bytes(stored(0, 10, 20))
    with StoreReader(path) as following:
        assert [run.offset for run in following] == [0, 10]
        path.write_bytes(stored(0, 10, 15, 300))
        assert [(run.offset, run.lines) for run in following] == [(20, text(20, 300))]


def test_a_reader_that_retention_overtook_gets_an_error(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)
    with StoreReader(folder) as following:
        assert following.next_run() is not None
        for first in (0, 10, 20):
            segment_path(folder, first).unlink()
        with pytest.raises(SettingsError, match="keeps no offset 10, only 30 and later"):
            following.next_run()


def test_a_segment_removed_before_it_was_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path, 10)
    following = StoreReader(folder)
    monkeypatch.setattr(OSFiles, "names", lambda files, folder: [segment_path(folder, first).name for first in (0, 10)])
    with pytest.raises(SettingsError, match="is not there"):
        list(following)


def test_a_stream_removed_under_a_reader_is_named(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    with StoreReader(folder) as following:
        assert following.next_run() is not None
        segment_path(folder, 0).unlink()
        with pytest.raises(SettingsError, match="no longer holds a segment"):
            following.next_run()


def test_a_header_that_does_not_hold_is_an_error(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(b"1\n2\n3\n")
    with pytest.raises(DamagedStore, match="is not valid"):
        read_store(path)


def test_a_closed_reader_may_be_closed_again_and_goes_on_when_asked(folder: Path) -> None:
    with StoreReader(folder) as following:
        following.next_run()
        following.close()
        run = following.next_run()
        following.close()
    assert run is not None
    assert run.offset == 10


def test_halving_reads_a_small_part_of_a_long_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path, *range(1_000, 150_000, 1_000))
    monkeypatch.setattr(reader, "RECOVERY_BYTES", 10_000)
    monkeypatch.setattr(reader, "NEAR_BYTES", 4_000)
    monkeypatch.setattr(walk, "MOST_BYTES", 4_000)
    counts = []

    def read(self: OSFile, position: int, count: int, original: Any = OSFile.read) -> bytes:
        counts.append(count)
        return original(self, position, count)

    monkeypatch.setattr(OSFile, "read", read)
    assert np.array_equal(read_store(folder, offset=77_777, count=5), STREAM.read(77_777, 5))
    assert sum(counts) < 0.4 * segment_path(folder, 0).stat().st_size


TAILS = (b"1", b"1\n2\n", b"1\n#beat offs", b"12\n-3.5e+", b"\0" * 5_000, b"1\n2" + b"\0" * 50)
NO_TAILS = (
    b"1\n" + encode(Beat(11, 0, "1")),
    b"#nonsense\n",
    b"hello\n",
    b"1\n2\n\x7f",
    b"1\n#beat offset=11 crc=00000000 t=1\v",
)


def test_an_unproven_tail_is_no_damage(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    for tail in TAILS:
        path.write_bytes(stored(0, 10) + tail)
        with StoreReader(path) as reading:
            assert [run.lines for run in reading] == [text(0, 10)]
            assert reading.find_end() == 10


def flaw_each_way(content: bytes, first: int, end: int) -> Iterator[bytes]:
    """Segments in which one interval, between those bytes, is damaged."""
    middle = (first + end) // 2
    yield content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    yield content[:first] + content[end:]
    yield content[:middle] + content[middle + 1 :]
    yield content[:middle] + b"12\n" + content[middle:]
    yield content[:first] + b"\0" * (end - first) + content[end:]
    yield content[:middle] + b"\n#beat offset=99 crc=00000000 t=0\n" + content[middle:]
    yield content[:middle] + b"#" * 600 + content[middle:]


def test_what_holds_before_damage_is_read_and_then_the_damage_is_told_each_time(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    whole = stored(0, 10, 20, 30, 40)
    for content in flaw_each_way(whole, len(stored(0, 10)), len(stored(0, 10, 20))):
        path.write_bytes(content)
        with StoreReader(path) as reading:
            assert reading.next_run() == Run(0, text(0, 10), 10)
            for _ in range(2):
                with pytest.raises(DamagedStore) as caught:
                    reading.next_run()
                assert (caught.value.damage.path, caught.value.damage.offset) == (path, 10)


def test_whoever_skips_damage_gets_all_that_can_be_proved_and_is_told_what_is_left_out(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    whole = stored(0, 10, 20, 30, 40)
    for content in flaw_each_way(whole, len(stored(0, 10)), len(stored(0, 10, 20))):
        path.write_bytes(content)
        gaps: list[Gap] = []
        with StoreReader(path, skip=gaps.append) as reading:
            runs = list(reading)
            assert reading.next_run() is None
        rest = 30 if runs[1].offset == 30 else 20
        assert [(run.offset, run.lines) for run in runs] == [
            (offset, text(offset, offset + 10)) for offset in (0, *range(rest, 40, 10))
        ]
        assert [(gap.first, gap.end) for gap in gaps] == [(10, rest)]
        assert str(gaps[0]).startswith(f"offsets 10 to {rest - 1} are left out: {path}: byte ")


def test_damage_before_what_is_wanted_is_no_gap_for_whoever_skips(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, 10).replace(b"\n60\n", b"\n61\n") + stored(0, 10, 20, 30)[len(stored(0, 10)) :])
    gaps: list[Gap] = []
    with StoreReader(path, 25, skip=gaps.append) as reading:
        assert [(run.offset, run.lines) for run in reading] == [(25, text(25, 30))]
    assert gaps == []


@pytest.mark.parametrize("offset", [0, 15])
def test_segments_that_are_missing_cut_damaged_or_strange_are_told_or_skipped(tmp_path: Path, offset: int) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)
    path = segment_path(folder, 10)
    content = path.read_bytes()
    strange = content.replace(encode(OFFERED), encode(replace(OFFERED, stream="0" * 16)))
    for damaged, what, is_kept in [
        (content.replace(b"\n79\n", b"\n97\n"), "number lines with crc", False),
        (content[:-3], "no beat ends this segment", False),
        (content[:40], "the header is cut short", False),
        (b"", "the header is cut short", False),
        (content.replace(b"#open", b"#opem"), "the header is not valid", True),
        (strange, "among segments of", False),
        (stored(10, 15), "the segment ends here, but the next one begins at 20", False),
        (content + b"1\n", "no beat ends this segment", True),
        (content + b"garbage\n", "not of number lines", True),
        (None, "the segment ends here, but the next one begins at 20", False),
    ]:
        path.unlink(missing_ok=True)
        if damaged is not None:
            path.write_bytes(damaged)
        with StoreReader(folder, 20) as reading:
            assert [run.offset for run in reading] == [20]
        with pytest.raises(DamagedStore, match=what) as caught, StoreReader(folder, offset) as reading:
            list(reading)
        gaps: list[Gap] = []
        with StoreReader(folder, offset, skip=gaps.append) as reading:
            lines = b"".join(run.lines for run in reading)
        first = 15 if damaged == stored(10, 15) else max(offset, 10)
        kept = text(offset, 30) if is_kept else text(offset, max(first, 10)) + text(20, 30)
        assert lines == kept, what
        if what == "the header is not valid" and offset == 15:
            assert gaps == []  # it is of no concern
            continue
        assert len(gaps) == 1, what
        assert gaps[0].damage == caught.value.damage
        assert (gaps[0].end or 0) - gaps[0].first == (0 if is_kept else 20 - first)


def test_a_header_that_does_not_hold_keeps_no_other_segment_from_being_read(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, segment_bytes=1)
    path = segment_path(folder, 0)
    path.write_bytes(path.read_bytes().replace(b"#open", b"#opem"))
    with pytest.raises(DamagedStore, match="is not valid"):
        StoreReader(folder)
    gaps: list[Gap] = []
    with StoreReader(folder, skip=gaps.append) as reading:
        assert b"".join(run.lines for run in reading) == text(0, 20)
    assert str(gaps[0]).startswith("no number is left out: ")


def test_an_end_that_does_not_hold_is_told_once_and_more_may_come(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    for tail in NO_TAILS:
        path.write_bytes(stored(0, 10) + tail)
        with pytest.raises(DamagedStore), StoreReader(path) as reading:
            list(reading)
        gaps: list[Gap] = []
        with StoreReader(path, skip=gaps.append) as reading:
            assert [run.lines for run in reading] == [text(0, 10)]
            assert reading.next_run() is None
            assert len(gaps) == 1
            assert (gaps[0].first, gaps[0].end) == (10, 11 if tail == NO_TAILS[0] else None)
            path.write_bytes(stored(0, 10, 20))
            assert [run.lines for run in reading] == [text(10, 20)]


def test_a_long_damaged_stretch_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_BYTES", 400)
    path = segment_path(tmp_path, 0)
    whole = stored(0, *range(100, 5_000, 100))
    start, end = len(stored(0, *range(100, 1_100, 100))), len(stored(0, *range(100, 3_100, 100)))
    path.write_bytes(whole[: start + 1] + b"x" * (end - start - 1) + whole[end:])
    gaps: list[Gap] = []
    with StoreReader(path, skip=gaps.append) as reading:
        assert b"".join(run.lines for run in reading) == text(0, 1_000) + text(3_100, 4_900)
    assert [(gap.first, gap.end) for gap in gaps] == [(1_000, 3_100)]


def test_beats_that_lie_of_their_offset_prove_nothing(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    for lie in (b"offset=5 ", b"offset=21 ", b"offset=9223372036854775806 "):
        path.write_bytes(stored(0, 10, 20, 30, 40).replace(b"offset=20 ", lie))
        gaps: list[Gap] = []
        with StoreReader(path, skip=gaps.append) as reading:
            assert b"".join(run.lines for run in reading) == text(0, 10) + text(30, 40)
        assert [(gap.first, gap.end) for gap in gaps] == [(10, 30)]


@pytest.mark.parametrize("line", [b"1-2", b"2.5", b"9223372036854775808", b"--"])
def test_a_number_that_is_none_of_the_streams_type_is_damage_in_its_place(tmp_path: Path, line: bytes) -> None:
    path = segment_path(tmp_path, 0)
    odd = b"1\n" + line + b"\n"
    path.write_bytes(
        stored(0, 10) + odd + encode(Beat(12, crc32c(odd), "1")) + b"3\n" + encode(Beat(13, crc32c(b"3\n"), "1"))
    )
    with StoreReader(path) as reading:
        assert reading.next_run() is not None
        for _ in range(2):
            with pytest.raises(DamagedStore, match="not a number of type int64") as caught:
                reading.next_run()
            damage = caught.value.damage
            assert (damage.path, damage.offset, damage.position) == (path, 11, len(stored(0, 10)) + 2)
    gaps: list[Gap] = []
    with StoreReader(path, skip=gaps.append) as reading:
        assert [run.offset for run in reading] == [0, 12]
    assert [(gap.first, gap.end) for gap in gaps] == [(10, 12)]


def test_numbers_of_an_unknown_distribution_are_read_as_text(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, 10).replace(encode(OFFERED), encode(replace(OFFERED, numbers="cauchy:1"))))
    with StoreReader(path) as reading:
        assert reading.dtype is None
        assert [run.lines for run in reading] == [text(0, 10)]
        with pytest.raises(SettingsError, match="is not a distribution"):
            reading.next_numbers()
