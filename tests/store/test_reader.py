"""Reading: any range of a store, only what holds, and while the store is being written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.streams import FOLDER, OFFERED, SEED, STREAM, WORKER, interval, make_store, stored, text

from randstream.errors import SettingsError
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, crc32c, encode
from randstream.store import DamagedStore, StoreReader, read_runs, read_store, reader, walk
from randstream.store.files import OSFile, OSFiles
from randstream.store.layout import segment_path
from randstream.store.store import Store

ENDS = (10, 25, 1_000, 1_001, 4_000, 4_500)


@pytest.fixture(params=[2**30, 3_000], ids=["one segment", "several segments"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_store(tmp_path, *ENDS, segment_bytes=request.param)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that halving takes several steps in a small store."""
    monkeypatch.setattr(reader, "RECOVERY_BYTES", 2_000)
    monkeypatch.setattr(reader, "MOST_BYTES", 100)


def test_a_store_reads_as_the_numbers_that_were_sent(folder: Path) -> None:
    numbers = read_store(folder)
    assert numbers.dtype == np.int64
    assert np.array_equal(numbers, STREAM.read(0, 4_500))


def test_any_range_can_be_read(folder: Path, short_steps: None) -> None:
    for offset in (0, 1, 9, 10, 11, 24, 999, 1_000, 1_001, 2_000, 4_499):
        for count in (1, 2, 990, None):
            expected = text(offset, min(offset + (count or 4_500), 4_500))
            runs = list(read_runs(folder, offset=offset, count=count))
            assert b"".join(run.lines for run in runs) == expected
            assert [run.offset for run in runs] == [offset, *np.cumsum([run.count for run in runs])[:-1] + offset]


def test_past_the_end_there_is_nothing_yet(folder: Path) -> None:
    for offset in (4_500, 9_999):
        numbers = read_store(folder, offset=offset)
        assert numbers.shape == (0,)
        assert numbers.dtype == np.int64


def test_no_numbers_are_read_when_none_are_asked_for(folder: Path) -> None:
    assert read_store(folder, count=0).shape == (0,)
    assert list(read_runs(folder, count=0)) == []


def test_a_store_of_one_stream_and_a_single_segment_can_be_named(folder: Path) -> None:
    assert len(read_store(str(folder.parent))) == 4_500
    first = read_store(segment_path(folder, 0))
    assert np.array_equal(first, STREAM.read(0, len(first)))


def test_a_store_of_several_streams_asks_which(folder: Path) -> None:
    store = Store(folder.parent, WORKER, 2**30, None, OSFiles())
    store.start()
    store.open(replace(OFFERED, stream="0123456789abcdef"))
    store.close()
    with pytest.raises(SettingsError, match=f"several streams, name one: worker-0-0123456789abcdef, {FOLDER}"):
        read_store(folder.parent)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no stream"):
        read_store(tmp_path)
    with pytest.raises(SettingsError, match="is not there"):
        read_store(segment_path(tmp_path, 0))


def test_an_offset_that_retention_removed_is_named(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, segment_bytes=1, retain_bytes=0)
    assert len(read_store(folder)) == 0
    with pytest.raises(SettingsError, match="keeps no offset 10, only 20 and later"):
        read_store(folder, offset=10)


def spell(distribution: str) -> tuple[NumberStream, Open]:
    stream = NumberStream(SEED, WORKER, distribution)
    return stream, Open(WORKER, stream.id, distribution, "producer-0", 1.0)


@pytest.mark.parametrize(
    ("distribution", "dtype"),
    [
        ("integers:-5:5", np.int64),
        ("integers:-9223372036854775808:9223372036854775807", np.int64),
        ("bits64", np.uint64),
        ("bernoulli:0.5", np.int64),
        ("poisson:30.0", np.int64),
        ("uniform:0.0:1.0", np.float64),
        ("exponential:1e-9", np.float64),
        ("normal:0.0:1.0", np.float64),
    ],
)
def test_numbers_come_back_exactly_by_read_store_and_by_loadtxt(tmp_path: Path, distribution: str, dtype: type) -> None:
    stream, offered = spell(distribution)
    lines = stream.lines(0, 1_000)
    path = tmp_path / "00000000000000000000.numbers"
    path.write_bytes(encode(offered) + encode(Beat(0, 0, "0")) + lines + encode(Beat(1_000, crc32c(lines), "1")))
    numbers = read_store(path)
    assert numbers.dtype == dtype
    assert np.array_equal(numbers, stream.read(0, 1_000))
    assert np.array_equal(numbers, np.loadtxt(path, dtype=dtype))


def test_nothing_past_the_last_beat_that_holds_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "00000000000000000000.numbers"
    for tail in (b"1", b"1\n2\n", b"1\n#beat offs", b"1\n" + encode(Beat(11, 0, "1")), b"\0" * 5_000, b"#nonsense\n"):
        path.write_bytes(stored(0, 10) + tail)
        assert len(read_store(path)) == 10


def test_nothing_past_a_bad_interval_is_shown_even_if_it_holds(tmp_path: Path, short_steps: None) -> None:
    path = tmp_path / "00000000000000000000.numbers"
    content = bytearray(stored(0, *range(100, 2_000, 100)))
    content[len(stored(0, *range(100, 1_600, 100)))] ^= 1
    path.write_bytes(content)
    assert len(read_store(path)) == 1_500
    assert len(read_store(path, offset=1_800)) == 0


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
        assert following.next_run() is None
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
        with pytest.raises(SettingsError, match="holds no segment any more"):
            following.next_run()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # NumPy before 2.4 only warns
def test_numbers_of_another_kind_than_the_header_says_are_damage(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0) + b"1\n2.5\n" + encode(Beat(2, crc32c(b"1\n2.5\n"), "1")))
    with pytest.raises(DamagedStore, match="a number that is no int64"):
        read_store(path)


def test_a_header_that_does_not_hold_is_an_error(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(b"1\n2\n3\n")
    with pytest.raises(DamagedStore, match="does not hold"):
        read_store(path)


def test_a_closed_reader_may_be_closed_again_and_goes_on_when_asked(folder: Path) -> None:
    with StoreReader(folder) as following:
        following.next_run()
        following.close()
        run = following.next_run()
        following.close()
    assert run is not None
    assert run.offset == 10


def test_damage_in_a_closed_segment_is_an_error_where_it_is(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)
    path = segment_path(folder, 10)
    content = path.read_bytes()
    for damaged, what in [
        (content.replace(b"\n79\n", b"\n97\n"), "number lines with crc"),
        (content[:-3], "no beat ends this segment"),
        (stored(10, 15), "the segment ends here, but the next one begins at 20"),
    ]:
        path.write_bytes(damaged)
        assert len(read_store(folder, count=10)) == 10
        assert len(read_store(folder, offset=20)) == 10
        with pytest.raises(DamagedStore, match=what):
            read_store(folder)


def test_halving_reads_a_small_part_of_a_long_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path, *range(1_000, 150_000, 1_000))
    monkeypatch.setattr(reader, "RECOVERY_BYTES", 10_000)
    for module in (reader, walk):
        monkeypatch.setattr(module, "MOST_BYTES", 4_000)
    counts = []

    def read(self: OSFile, position: int, count: int, original: Any = OSFile.read) -> bytes:
        counts.append(count)
        return original(self, position, count)

    monkeypatch.setattr(OSFile, "read", read)
    assert np.array_equal(read_store(folder, offset=77_777, count=5), STREAM.read(77_777, 5))
    assert sum(counts) < 0.2 * segment_path(folder, 0).stat().st_size
