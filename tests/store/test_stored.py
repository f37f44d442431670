"""Stored: any range as arrays or text, without reading the rest, and while the store is being written."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.streams import FOLDER, OFFERED, SEED, STREAM, WORKER, interval, make_store, stored, text

from randstream.errors import NotStoredError, SettingsError
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, crc32c, encode
from randstream.store import DamagedStore, open_store, read_runs, read_store, reader, walk
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
    monkeypatch.setattr(reader, "NEAR_BYTES", 100)


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


def test_at_the_end_there_is_nothing_yet_and_past_it_nothing_to_be_had(folder: Path) -> None:
    numbers = read_store(folder, offset=4_500)
    assert (numbers.shape, numbers.dtype) == ((0,), np.int64)
    assert list(read_runs(folder, offset=4_500)) == []
    for offset in (4_501, 9_999, 2**63 - 1):
        for read in (read_store, lambda *args, **given: list(read_runs(*args, **given))):
            with pytest.raises(NotStoredError, match=f"holds no offset {offset} yet; the next to come is 4500"):
                read(folder, offset=offset)
    assert len(read_store(folder, offset=4_400, count=2**62)) == 100


@pytest.mark.parametrize("given", [{"offset": -1}, {"count": -1}, {"offset": 2**63}])
def test_offsets_and_counts_that_cannot_be_are_errors(folder: Path, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        read_store(folder, **given)
    with pytest.raises(ValueError, match="from 0 to"):
        list(read_runs(folder, **given))


def test_integers_of_numpy_are_offsets_too(folder: Path) -> None:
    assert np.array_equal(read_store(folder, offset=np.uint8(5), count=np.int16(300)), STREAM.read(5, 300))


def test_no_numbers_are_read_when_none_are_asked_for(folder: Path) -> None:
    assert read_store(folder, count=0).shape == (0,)
    assert list(read_runs(folder, count=0)) == []


def test_a_store_of_one_stream_and_a_single_segment_can_be_named(folder: Path) -> None:
    assert len(read_store(str(folder.parent))) == 4_500
    first = read_store(segment_path(folder, 0))
    assert np.array_equal(first, STREAM.read(0, len(first)))


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


def two_streams(tmp_path: Path) -> str:
    """Adds an empty stream of the same worker to a store; its id."""
    store = Store(tmp_path, WORKER, 2**30, None, OSFiles())
    store.start()
    store.open(replace(OFFERED, stream="0123456789abcdef"))
    store.close()
    return "0123456789abcdef"


def test_a_store_of_several_streams_asks_which_and_takes_a_name(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10)
    other = two_streams(tmp_path)
    for read in (read_store, open_store, lambda path: list(read_runs(path))):
        with pytest.raises(SettingsError, match=f"holds 2 streams; choose .* one of worker-0-{other}, {FOLDER}"):
            read(tmp_path)
    for name in (OFFERED.stream, folder.name):
        assert len(read_store(tmp_path, stream=name)) == len(open_store(tmp_path, stream=name)) == 10
        assert [run.count for run in read_runs(tmp_path, stream=name)] == [10]
    assert len(read_store(tmp_path, stream=other)) == 0
    with pytest.raises(SettingsError, match="holds 2 streams called 'worker-0'"):
        read_store(tmp_path, stream=WORKER)


def test_read_store_skips_damage_when_asked_and_warns_of_each_gap(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, 10, 20, 30, 40, 50).replace(b"\n79\n", b"\n97\n", 1))
    with pytest.raises(DamagedStore) as caught:
        read_store(path)
    held = caught.value.damage.offset
    assert held is not None
    assert np.array_equal(read_store(path, count=held), STREAM.read(0, held))
    with pytest.warns(UserWarning, match=f"offsets {held} to {held + 9} are left out: {path}: byte "):
        numbers = read_store(path, skip_damaged=True)
    assert np.array_equal(numbers, np.delete(STREAM.read(0, 50), range(held, held + 10)))


def test_an_open_store_knows_what_it_is_and_how_much_there_is(folder: Path) -> None:
    with open_store(folder.parent) as store:
        assert (store.worker, store.stream, store.numbers) == (WORKER, OFFERED.stream, "integers:1:100")
        assert (len(store), store.first_offset, store.end_offset) == (4_500, 0, 4_500)
        assert (store.dtype, store.damage) == (np.dtype("int64"), None)
        assert repr(store) == "<StoredNumbers 6ae2a63a0ac05109 worker=worker-0 numbers=integers:1:100 offsets=0:4500>"


def test_an_open_store_is_read_by_offset_and_by_slice(folder: Path, short_steps: None) -> None:
    expected = STREAM.read(0, 4_500)
    with open_store(folder) as store:
        for n in (0, 9, 10, 4_499, 24, 25, 1_000, np.uint8(200), -1, -4_500):
            assert store[n] == expected[n]
        for start in (None, 0, 5, 10, 1_000, 4_499, 4_500, 9_000, -1, -500):
            for stop in (None, 0, 7, 1_001, 4_500, 2**63 - 1, -1, -4_499):
                for step in (None, 1, 7):
                    found = store[start:stop:step]
                    assert found.dtype == np.int64
                    assert np.array_equal(found, expected[start:stop:step]), (start, stop, step)
        assert list(store) == expected.tolist()
        assert np.array_equal(np.asarray(store), expected)
        assert 4_500 not in expected
        for n in (4_500, -4_501, 2**63):
            with pytest.raises(IndexError, match=f"no offset {n}: those from 0 to 4499 are stored"):
                store[n]
        for step in (0, -1):
            with pytest.raises(ValueError, match="give 1 or more"):
                store[::step]


@pytest.mark.parametrize("wrong", [True, 5.0, "5", np.bool_(True), np.array([5])])
def test_what_is_no_integer_is_no_offset_of_an_open_store(folder: Path, wrong: Any) -> None:
    with open_store(folder) as store:
        wrongs: list[Any] = [wrong, slice(wrong, None), slice(wrong), slice(0, 9, wrong)]
        for at in wrongs:
            with pytest.raises(TypeError, match=f"is of type {type(wrong).__name__}; give an integer"):
                store[at]


def test_an_integer_that_python_does_not_spell_is_beyond_the_end_too(folder: Path) -> None:
    huge = 10**5_000
    with open_store(folder) as store:
        assert len(store[-huge:huge]) == 4_500
        with pytest.raises(IndexError, match="no offset an integer of 16610 bits: those from 0 to 4499"):
            store[huge]
        with pytest.raises(ValueError, match="a step of an integer of 16610 bits: give 1 or more"):
            store[::-huge]


def test_a_copy_of_an_open_store_has_files_of_its_own(folder: Path) -> None:
    with open_store(folder) as store:
        assert store[7] == STREAM.read(7, 1)[0]
        for copied in (copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
            assert repr(copied) == repr(store)
            assert copied[8] == STREAM.read(8, 1)[0]
            copied.close()
        assert store.refresh() == 4_500
        assert np.array_equal(store[:], STREAM.read(0, 4_500))


def test_an_open_store_is_no_array_without_a_copy(folder: Path) -> None:
    with open_store(folder) as store, pytest.raises(ValueError, match="leave copy=False out"):
        np.asarray(store, copy=False)


def test_slices_are_the_callers_own(folder: Path) -> None:
    with open_store(folder) as store:
        store[:10][:] = 0
        assert np.array_equal(store[:10], STREAM.read(0, 10))


def test_blocks_are_those_of_any_range(folder: Path) -> None:
    with open_store(folder) as store:
        assert [len(block) for block in store.iter_blocks(block=np.int16(1_000))] == [1_000, 1_000, 1_000, 1_000, 500]
        ranges: list[Any] = [(0, None), (7, 2_500), (4_499, None), (4_500, 5), (0, 0), (np.int8(3), np.int8(9))]
        for offset, count in ranges:
            blocks = list(store.iter_blocks(offset, count, block=7))
            expected = STREAM.read(0, 4_500)[offset:][:count]
            assert np.array_equal(np.concatenate([*blocks, expected[:0]]), expected)
        for wrong in ({"offset": -1}, {"count": -1}, {"block": -1}, {"block": 0}):
            with pytest.raises(ValueError, match=r"from 0 to|at least 1"):
                store.iter_blocks(**wrong)
        with pytest.raises(NotStoredError, match="holds no offset 4501 yet; the next to come is 4500"):
            store.iter_blocks(4_501)
        assert [list(store.iter_blocks(*each)) for each in ((4_500,), (4_501, 0))] == [[], []]


def test_what_retention_removed_is_no_part_of_an_open_store(tmp_path: Path) -> None:
    with open_store(make_store(tmp_path, 10, 20, 30, 35, segment_bytes=1, retain_bytes=300)) as store:
        first = store.first_offset
        assert first > 0
        assert len(store) == 35 - first
        assert np.array_equal(store[:], STREAM.read(first, 35 - first))
        assert store[-1] == STREAM.read(34, 1)[0]
        assert np.array_equal(store[-1_000:], store[:])
        with pytest.raises(IndexError, match=f"no offset 0: those from {first} to 34"):
            store[0]
        for read in (lambda: store[0:5], lambda: list(store.iter_blocks(0))):
            with pytest.raises(NotStoredError, match=f"keeps no offset 0, only {first} and later"):
                read()


def test_a_refresh_shows_what_was_stored_and_removed_meanwhile(tmp_path: Path) -> None:
    store = Store(tmp_path, WORKER, 300, 500, OSFiles())
    store.start()
    store.open(OFFERED)
    with open_store(tmp_path) as numbers:
        assert (len(numbers), numbers[:].size, list(numbers.iter_blocks())) == (0, 0, [])
        for first, end in [(0, 5), (5, 300), (300, 600), (600, 610), (610, 900), (900, 1_200)]:
            store.commit([interval(first, end)])
            assert numbers.end_offset == first
            assert numbers.refresh() == numbers.end_offset == end
            assert np.array_equal(numbers[first:], STREAM.read(first, end - first))
        assert numbers.first_offset > 0
        assert numbers[numbers.first_offset] == STREAM.read(numbers.first_offset, 1)[0]
    store.close()


def test_following_gives_what_is_there_and_then_what_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, WORKER, 300, None, OSFiles())
    store.start()
    store.open(OFFERED)
    store.commit([interval(0, 10)])
    ends, slept = iter((300, 320)), list[float]()

    def commit(seconds: float) -> None:
        slept.append(seconds)
        first = store.committed_offset
        assert first is not None
        store.commit([interval(first, next(ends))])

    monkeypatch.setattr("randstream.store.stored.time.sleep", commit)
    with open_store(tmp_path) as numbers:
        blocks = numbers.follow(5, poll_interval=0.5)
        assert [next(blocks).tolist() for _ in range(3)] == [
            STREAM.read(first, end - first).tolist() for first, end in [(5, 10), (10, 300), (300, 320)]
        ]
    assert slept == [0.5, 0.5]
    store.close()


def test_damage_behind_the_end_is_told_to_whoever_wants_it(tmp_path: Path) -> None:
    path = segment_path(tmp_path, 0)
    path.write_bytes(stored(0, 10, 20, 30).replace(b"\n79\n", b"\n97\n", 1))
    with open_store(path) as store:
        assert store.damage is not None
        assert len(store) == store.end_offset == store.damage.offset == 10
        assert np.array_equal(store[:10], STREAM.read(0, 10))
        for read in (lambda: store[:], lambda: store[5:11], lambda: list(store), lambda: list(store.follow())):
            with pytest.raises(DamagedStore, match="number lines with crc"):
                read()
        blocks = store.iter_blocks()
        assert np.array_equal(next(blocks), STREAM.read(0, 10))
        with pytest.raises(DamagedStore):
            next(blocks)
        path.write_bytes(stored(0, 10, 20, 30))
        assert store.refresh() == 30
        assert store.damage is None
        assert np.array_equal(store[:], STREAM.read(0, 30))


def test_damage_in_the_middle_is_told_when_it_is_read(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, 30, segment_bytes=1)
    path = segment_path(folder, 10)
    path.write_bytes(path.read_bytes().replace(b"\n79\n", b"\n97\n"))
    with open_store(folder) as store:
        assert len(store) == 30
        assert np.array_equal(store[20:], STREAM.read(20, 10))
        assert np.array_equal(store[:10], STREAM.read(0, 10))
        for at in (slice(None), slice(9, 11), 15):
            with pytest.raises(DamagedStore):
                store[at]


def test_a_last_segment_whose_header_does_not_hold_is_told(tmp_path: Path) -> None:
    folder = make_store(tmp_path, 10, 20, segment_bytes=1)
    segment_path(folder, 20).write_bytes(b"")
    with open_store(folder) as store:
        assert len(store) == 20
        assert np.array_equal(store[:20], STREAM.read(0, 20))
        with pytest.raises(DamagedStore, match="the header is cut short"):
            store[:]
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(DamagedStore, match="the header is cut short"):
        open_store(folder)


def test_a_closed_store_opens_again_what_it_needs(folder: Path) -> None:
    store = open_store(folder)
    assert store[7] == STREAM.read(7, 1)[0]
    store.close()
    store.close()
    assert store[4_400] == STREAM.read(4_400, 1)[0]
    assert store.refresh() == 4_500
    store.close()


def test_a_slice_of_a_long_store_reads_a_small_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_store(tmp_path, *range(1_000, 150_000, 1_000), segment_bytes=200_000)
    monkeypatch.setattr(reader, "RECOVERY_BYTES", 10_000)
    monkeypatch.setattr(reader, "NEAR_BYTES", 4_000)
    monkeypatch.setattr(walk, "MOST_BYTES", 4_000)
    counts = []

    def read(self: OSFile, position: int, count: int, original: Any = OSFile.read) -> bytes:
        counts.append(count)
        return original(self, position, count)

    monkeypatch.setattr(OSFile, "read", read)
    with open_store(folder) as store:
        assert len(store) == 149_000
        assert np.array_equal(store[77_777:77_782], STREAM.read(77_777, 5))
        assert sum(counts) < 0.3 * sum(path.stat().st_size for path in folder.iterdir())
        counts.clear()
        assert store[77_790] == STREAM.read(77_790, 1)[0]
        assert counts == []
