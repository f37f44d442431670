"""Follower: reads a store while it is written, up to what is committed and no further."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from tests.admin.roles import FakeStore
from tests.store.streams import make_store, stored, text
from tests.support.waiting import until

from randstream.admin import follower
from randstream.admin.follower import Follower
from randstream.errors import SettingsError
from randstream.protocol.runs import Run
from randstream.store import DamagedStore
from randstream.store.layout import segment_path
from randstream.store.reader import StoreReader


class CountingStore:
    """Counts how often its `path` is looked at: once a poll."""

    other_streams = 0

    def __init__(self, path: Path, committed_offset: int) -> None:
        self.committed_offset = committed_offset
        self.looks = 0
        self._path = path

    @property
    def path(self) -> Path:
        self.looks += 1
        return self._path


async def read(source: Follower, end: int) -> bytes:
    """The lines up to the run that ends at offset `end`."""
    lines = b""
    while (run := await source.next_run()) is not None:
        lines += run.lines
        if run.end_offset == end:
            break
    return lines


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "POLL_SECONDS", 0.001)


async def test_numbers_stored_later_follow_without_a_gap(tmp_path: Path) -> None:
    path = make_store(tmp_path, 1000)
    store = FakeStore(path, 1000)
    source = await Follower.open(store, path, 10)
    assert source.first == 10
    assert await read(source, 1000) == text(10, 1000)
    make_store(tmp_path, 3000)
    store.committed_offset = 3000
    assert await read(source, 3000) == text(1000, 3000)
    source.close()


async def test_numbers_in_the_file_but_not_committed_are_not_read(tmp_path: Path) -> None:
    path = make_store(tmp_path, 1000, 2000)
    store = CountingStore(path, 1000)
    source = await Follower.open(store, path, 0)
    assert await read(source, 1000) == text(0, 1000)
    waiting = asyncio.ensure_future(source.next_run())
    looked = store.looks
    await until(lambda: store.looks > looked + 5)
    assert not waiting.done()
    store.committed_offset = 2000
    assert await waiting == Run(1000, text(1000, 2000), 1000)
    source.close()


async def test_there_is_no_next_run_once_the_worker_goes_on_to_another_stream(tmp_path: Path) -> None:
    path = make_store(tmp_path, 1000)
    store = FakeStore(path, 1000)
    source = await Follower.open(store, path, 1000)
    waiting = asyncio.ensure_future(source.next_run())
    await asyncio.sleep(0)
    store.path = tmp_path / "another"
    assert await waiting is None
    source.close()


async def test_an_offset_that_is_not_kept_is_a_settings_error(tmp_path: Path) -> None:
    path = make_store(tmp_path, 1000, 5000, 9000, segment_bytes=4000, retain_bytes=4000)
    with pytest.raises(SettingsError, match="keeps no offset 0"):
        await Follower.open(FakeStore(path, 9000), path, 0)


async def test_what_is_committed_but_does_not_hold_or_is_gone_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    path = make_store(tmp_path, 1000, 2000)
    segment = segment_path(path, 0)
    whole = segment.read_bytes()
    for content in (whole[:-100] + b"7" + whole[-99:], whole[: len(stored(0, 1000))]):
        segment.write_bytes(content)
        source = await Follower.open(FakeStore(path, 2000), path, 0)
        assert await read(source, 1000) == text(0, 1000)
        with pytest.raises(DamagedStore) as caught:
            await source.next_run()
        assert caught.value.damage.offset == 1000
        source.close()


async def test_the_file_is_closed_only_after_a_read_that_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_store(tmp_path, 1000)
    may_read, calls = threading.Event(), list[str]()

    class SlowReader(StoreReader):
        def next_run(self) -> Run | None:
            assert may_read.wait(10)
            run = super().next_run()
            calls.append("read")
            return run

        def close(self) -> None:
            calls.append("closed")
            super().close()

    monkeypatch.setattr(follower, "StoreReader", SlowReader)
    source = await Follower.open(FakeStore(path, 1000), path, 0)
    calls.clear()  # opening looked for the offset
    reading = asyncio.ensure_future(source.next_run())
    await asyncio.sleep(0)
    reading.cancel()  # as when the client goes away
    await asyncio.wait([reading])
    source.close()
    may_read.set()
    await until(lambda: "closed" in calls and "read" in calls)
    assert calls[:2] == ["read", "closed"]
