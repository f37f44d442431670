"""The store as a sink, on both loops: what waits for what, and what a cancelled or a failed commit leaves."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.store.disk import Disk
from tests.store.streams import FOLDER, OFFERED, WORKER, stored, text
from tests.support.log import Log
from tests.support.memory import traced
from tests.support.sinks import a_report
from tests.support.waiting import until

from randstream.errors import LocalProtocolError, SettingsError, SinkError
from randstream.protocol.frames import Beat, Open, crc32c
from randstream.store import DurableSink
from randstream.store import sink as sink_module
from randstream.store.files import OSFile, OSFiles
from randstream.store.layout import encode_header


class Gate(OSFiles):
    """The operating system's files, whose `fdatasync` waits while `gate` is closed and fails while `fails`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.fails = False

    def create(self, path: Path) -> OSFile:
        return GateFile(self, os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC))


class GateFile(OSFile):
    __slots__ = ("_files",)

    def __init__(self, files: Gate, descriptor: int) -> None:
        super().__init__(descriptor)
        self._files = files

    def fdatasync(self) -> None:
        self._files.reached.set()
        self._files.gate.wait()
        if self._files.fails:
            raise OSError(5, "Input/output error")
        super().fdatasync()


@pytest.fixture
def files() -> Gate:
    return Gate()


@pytest.fixture
async def sink(tmp_path: Path, files: Gate) -> AsyncIterator[DurableSink]:
    sink = DurableSink(tmp_path, WORKER, files=files)
    await sink.start()
    yield sink
    files.gate.set()
    await sink.close()


def take(sink: DurableSink, first: int, end: int) -> None:
    """Numbers and the beat that proves them."""
    lines = text(first, end)
    sink.append(lines, end - first)
    sink.prove(Beat(end, crc32c(lines), "17"))


async def wait_reached(files: Gate) -> None:
    await asyncio.get_running_loop().run_in_executor(None, files.reached.wait)
    files.reached.clear()


def content(folder: Path) -> bytes:
    return (folder / FOLDER / "00000000000000000000.numbers").read_bytes()


async def test_proven_numbers_are_committed_and_unproven_are_not(sink: DurableSink, tmp_path: Path) -> None:
    assert await sink.open(OFFERED) == 0
    take(sink, 0, 3)
    take(sink, 3, 5)
    sink.append(text(5, 6), 1)
    assert await sink.commit() == 5
    assert content(tmp_path) == stored(0, 3, 5)
    assert (sink.committed_offset, sink.path) == (5, tmp_path / FOLDER)
    assert (sink.problem, sink.warning) == (None, None)


async def test_a_foreign_file_is_warned_of_until_it_is_gone_and_holds_nothing_up(
    sink: DurableSink, tmp_path: Path
) -> None:
    notes = tmp_path / FOLDER / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    assert await sink.open(OFFERED) == 0
    assert sink.warning == f"{notes.parent} holds what is not the store's: notes.txt; move it away"
    take(sink, 0, 3)
    assert await sink.commit() == 3
    assert (sink.problem, notes.read_text()) == (None, "mine")
    notes.unlink()
    take(sink, 3, 5)
    assert await sink.commit() == 5
    assert sink.warning is None


OTHERS = [replace(OFFERED, stream=f"{number:016x}") for number in range(5)]


def keep_stream(store: Path, opened: Open) -> Path:
    """A stream as a store keeps it; its folder."""
    folder = store / f"{opened.worker}-{opened.stream}"
    folder.mkdir()
    (folder / f"{0:020d}.numbers").write_bytes(encode_header(opened, 0))
    return folder


async def test_another_stream_of_the_worker_is_warned_of_until_it_is_gone_and_holds_nothing_up(
    sink: DurableSink, tmp_path: Path
) -> None:
    other = keep_stream(tmp_path, OTHERS[0])
    assert await sink.open(OFFERED) == 0
    assert sink.warning == (
        f"{tmp_path} holds more of {WORKER} than stream {OFFERED.stream}: {other.name}; wrong seed? Give the producer"
        " its old one, or move that away"
    )
    take(sink, 0, 3)
    assert await sink.commit() == 3
    assert (sink.problem, sink.other_streams) == (None, 1)
    shutil.move(other, tmp_path / "away")
    take(sink, 3, 5)
    assert await sink.commit() == 5
    assert (sink.warning, sink.other_streams) == (None, 0)


async def test_a_stream_that_begins_beside_the_last_one_is_warned_of_and_so_is_the_way_back(
    sink: DurableSink, tmp_path: Path
) -> None:
    await sink.open(OFFERED)
    assert sink.warning is None
    for opened, before in ((OTHERS[0], OFFERED), (OFFERED, OTHERS[0])):
        await sink.open(opened)
        assert sink.warning is not None
        assert sink.warning.startswith(f"{tmp_path} holds more of {WORKER} than stream {opened.stream}: ")
        assert f"{WORKER}-{before.stream};" in sink.warning


async def test_of_many_other_streams_some_are_named(sink: DurableSink, tmp_path: Path) -> None:
    names = [keep_stream(tmp_path, each).name for each in OTHERS]
    await sink.open(OFFERED)
    assert sink.warning is not None
    assert f": {', '.join(names[:3])} and 2 more; wrong seed?" in sink.warning
    assert sink.other_streams == len(OTHERS)


async def test_what_is_no_other_stream_of_the_worker_is_not_warned_of(sink: DurableSink, tmp_path: Path) -> None:
    for name in (f"{WORKER}1", f"x{WORKER}", f"{WORKER}-0000000000000000", "other"):
        keep_stream(tmp_path, replace(OTHERS[0], worker=name))
    (tmp_path / f"{WORKER}-{'1' * 16}").mkdir()  # a crash may leave one without a segment
    (tmp_path / f"{WORKER}-{'2' * 16}").touch()
    await sink.open(OFFERED)
    assert sink.warning is None


async def test_other_streams_that_cannot_be_looked_for_hold_nothing_up(tmp_path: Path) -> None:
    disk = Disk(Random(0))
    sink = DurableSink(Path("/store"), WORKER, files=disk)
    await sink.start()
    listings: list[int] = []

    def refuse_the_first_listing(call: int, name: str) -> int | None:
        if name == "names":
            listings.append(call)
        return errno.EACCES if listings == [call] else None

    disk.fault = refuse_the_first_listing
    assert await sink.open(OFFERED) == 0
    assert (sink.problem, sink.warning) == (None, None)
    await sink.close()


async def test_all_that_is_to_be_warned_of_is(sink: DurableSink, tmp_path: Path) -> None:
    keep_stream(tmp_path, OTHERS[0])
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "notes.txt").touch()
    await sink.open(OFFERED)
    assert sink.warning is not None
    assert "notes.txt; move it away; " in sink.warning
    assert "wrong seed?" in sink.warning


async def test_a_beat_that_proves_nothing_is_neither_stored_nor_synced(
    sink: DurableSink, files: Gate, tmp_path: Path
) -> None:
    await sink.open(OFFERED)
    sink.prove(Beat(0, 0, "17"))
    files.gate.clear()
    assert await sink.commit() == 0
    assert content(tmp_path) == stored(0)


async def test_runs_of_any_size_end_up_as_the_same_bytes(sink: DurableSink, tmp_path: Path) -> None:
    await sink.open(OFFERED)
    first = 0
    for count in (1, 1, 3_000, 1, 3_000, 3_000, 1, 1):
        sink.append(text(first, first + count), count)
        first += count
    sink.prove(Beat(first, crc32c(text(0, first)), "17"))
    assert await sink.commit() == first
    assert content(tmp_path) == stored(0, first)


async def test_single_numbers_take_little_more_memory_than_their_bytes(sink: DurableSink) -> None:
    await sink.open(OFFERED)
    lines = [text(number, number + 1) for number in range(9_000)]
    with traced("store/sink.py") as held:
        for line in lines:
            sink.append(line, 1)
        assert held() < 2 * sum(map(len, lines))


async def test_a_beat_that_does_not_count_what_came_is_a_bug(sink: DurableSink) -> None:
    await sink.open(OFFERED)
    sink.append(text(0, 3), 3)
    with pytest.raises(LocalProtocolError):
        sink.prove(Beat(4, 0, "17"))


async def test_a_producer_never_chooses_the_offset(sink: DurableSink) -> None:
    with pytest.raises(LocalProtocolError):
        sink.begin(5)


async def test_there_is_nothing_to_commit_before_a_stream_is_open(sink: DurableSink) -> None:
    with pytest.raises(SinkError, match="no stream is open"):
        await sink.commit()


async def test_a_rewind_drops_what_no_beat_has_proven(sink: DurableSink) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    sink.append(text(3, 5), 2)
    sink.rewind()
    take(sink, 3, 4)
    assert await sink.commit() == 4


async def test_an_open_drops_what_no_commit_has_begun(sink: DurableSink, tmp_path: Path) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    sink.append(text(3, 5), 2)
    assert await sink.open(OFFERED) == 0
    take(sink, 0, 2)
    assert await sink.commit() == 2
    assert content(tmp_path) == stored(0, 2)


async def test_an_open_waits_for_a_commit_whose_caller_was_cancelled(sink: DurableSink, files: Gate) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.gate.clear()
    async with asyncio.TaskGroup() as group:
        commit = group.create_task(sink.commit())
        await wait_reached(files)
        take(sink, 3, 5)
        commit.cancel()
        opened = group.create_task(sink.open(OFFERED))
        await asyncio.wait([commit])
        assert not opened.done()
        files.gate.set()
    assert opened.result() == 3
    assert await sink.commit() == 3


async def test_what_an_older_connection_appends_while_an_open_waits_is_dropped(sink: DurableSink, files: Gate) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.gate.clear()
    async with asyncio.TaskGroup() as group:
        group.create_task(sink.commit())
        await wait_reached(files)
        opened = group.create_task(sink.open(OFFERED))
        await asyncio.sleep(0)
        take(sink, 3, 5)
        late = group.create_task(sink.commit())
        files.gate.set()
    assert opened.result() == 3
    assert late.result() == 3
    take(sink, 3, 4)
    assert await sink.commit() == 4


async def test_a_commit_waits_for_the_one_whose_caller_was_cancelled(
    sink: DurableSink, files: Gate, tmp_path: Path
) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.gate.clear()
    async with asyncio.TaskGroup() as group:
        cancelled = group.create_task(sink.commit())
        await wait_reached(files)
        take(sink, 3, 5)
        cancelled.cancel()
        commit = group.create_task(sink.commit())
        await asyncio.wait([cancelled])
        files.gate.set()
    assert commit.result() == 5
    assert content(tmp_path) == stored(0, 3, 5)


async def test_a_commit_that_fails_after_its_caller_was_cancelled_is_cut_off(
    sink: DurableSink, files: Gate, tmp_path: Path
) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.gate.clear()
    files.fails = True
    async with asyncio.TaskGroup() as group:
        commit = group.create_task(sink.commit())
        await wait_reached(files)
        commit.cancel()
        opened = group.create_task(sink.open(OFFERED))
        await asyncio.wait([commit])
        files.gate.set()
    assert opened.result() == 0
    assert content(tmp_path) == stored(0)
    gc.collect()
    assert not complaints


async def test_a_failed_commit_is_a_problem_until_one_succeeds_with_the_same_numbers_and_more(
    sink: DurableSink, files: Gate, tmp_path: Path
) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.fails = True
    for _ in range(2):
        with pytest.raises(SinkError, match="Input/output error") as failed:
            await sink.commit()
        assert sink.problem == str(failed.value)
        assert content(tmp_path) == stored(0)
    files.fails = False
    take(sink, 3, 5)
    assert await sink.commit() == 5
    assert sink.problem is None
    assert content(tmp_path) == stored(0, 3, 5)


async def test_the_loop_goes_on_while_a_commit_runs(sink: DurableSink, files: Gate) -> None:
    await sink.open(OFFERED)
    take(sink, 0, 3)
    files.gate.clear()
    async with asyncio.TaskGroup() as group:
        commit = group.create_task(sink.commit())
        await wait_reached(files)
        assert not commit.done()
        assert sink.committed_offset == 0
        files.gate.set()
    assert commit.result() == 3


async def test_a_commit_writes_no_more_at_a_time_than_a_recovery_looks_at(
    sink: DurableSink, files: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sink_module, "COMMIT_BYTES", 2_000)
    await sink.open(OFFERED)
    ends = [300, 600, 2_000, 2_001]
    for first, end in zip([0, *ends], ends, strict=False):
        take(sink, first, end)
    files.gate.clear()
    async with asyncio.TaskGroup() as group:
        commit = group.create_task(sink.commit())
        await wait_reached(files)
        assert content(tmp_path) == stored(0, 300)
        files.gate.set()
    assert commit.result() == 2_001
    assert content(tmp_path) == stored(0, *ends)


async def test_a_closed_sink_has_released_its_lock(tmp_path: Path) -> None:
    first, second = DurableSink(tmp_path, WORKER), DurableSink(tmp_path, WORKER)
    await first.start()
    with pytest.raises(SettingsError):
        await second.start()
    await second.close()
    await first.close()
    third = DurableSink(tmp_path, WORKER)
    await third.start()
    await third.close()
    for thread in threading.enumerate():
        if thread.name.startswith("store"):
            thread.join(5)
            assert not thread.is_alive()


async def test_a_store_never_ends_the_worker(sink: DurableSink) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await sink.run(a_report())


# ---- a disk that fails when the sink starts --------------------------------------------------------------------------


@pytest.fixture
async def failing(disk: Disk) -> AsyncIterator[DurableSink]:
    """A sink on a disk that fails every call for now."""
    disk.fault = lambda call, name: errno.EIO
    sink = DurableSink(Path("/store"), WORKER, files=disk)
    yield sink
    disk.fault = lambda call, name: None
    await sink.close()


@pytest.fixture
def disk() -> Disk:
    return Disk(Random(0))


CANNOT_USE = "cannot use /store as a store: Input/output error"


async def test_a_sink_whose_disk_fails_at_the_start_has_started_with_a_problem(failing: DurableSink) -> None:
    await failing.start()
    assert failing.problem == CANNOT_USE
    with pytest.raises(SinkError, match=CANNOT_USE):
        await failing.open(OFFERED)


async def test_a_sink_that_could_not_start_tries_again_and_tells_of_it_once(
    failing: DurableSink, disk: Disk, log: Log, quick: Callable[..., None]
) -> None:
    quick("randstream.store.sink.START_RETRY_SECONDS", 0.011)
    await failing.start()
    report = a_report()
    running = asyncio.ensure_future(failing.run(report))
    attempts = disk.calls
    await until(lambda: disk.calls >= attempts + 3)
    assert report.problem == failing.problem == CANNOT_USE
    (told,) = log.of("sink.failing")
    assert (told["error"], told["retry_in"]) == (CANNOT_USE, 0.011)
    disk.fault = lambda call, name: None
    await log.wait("sink.recovered")
    assert (report.problem, failing.problem) == (None, None)
    assert await failing.open(OFFERED) == 0
    assert len(log.of("sink.failing")) == len(log.of("sink.recovered")) == 1
    assert not running.done()
    running.cancel()


async def test_a_sink_that_could_not_start_is_left_alone_between_attempts(
    failing: DurableSink, disk: Disk, quick: Callable[..., None]
) -> None:
    quick("randstream.store.sink.START_RETRY_SECONDS", 60.0)
    await failing.start()
    report = a_report()
    running = asyncio.ensure_future(failing.run(report))
    await until(lambda: report.problem)
    calls = disk.calls
    for _ in range(5):  # one call each, on the thread where another attempt would have made one too
        with pytest.raises(SinkError):
            await failing.open(OFFERED)
    assert disk.calls == calls + 5
    running.cancel()


async def test_a_users_mistake_is_a_settings_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sink = DurableSink(tmp_path / "file", WORKER)
    with pytest.raises(SettingsError, match=r"cannot use .*/file as a store: "):
        await sink.start()
    await sink.close()
