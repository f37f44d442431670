"""Each call fails in turn: what was acked stays, and once the calls work again the stream goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from tests.store.disk import Disk
from tests.store.lives import STORE, assert_prefix
from tests.store.streams import FOLDER, OFFERED, WORKER, interval

from randstream.errors import SettingsError, SinkError
from randstream.store.store import Store

ENDS = [[700, 4_000], [9_000], [9_001], [12_000, 16_000, 20_000]]
"""Three segments of 12 KB and more, so that there is one to remove."""


def started(disk: Disk) -> Store:
    """A process, restarted until it came up."""
    while True:
        store = Store(STORE, WORKER, 12_000, 12_000, disk)
        with suppress(SettingsError, SinkError):
            store.start()
            return store


def opened(store: Store) -> int:
    while True:
        with suppress(SinkError):
            return store.open(OFFERED)


def committed(store: Store, offset: int, ends: list[int]) -> int:
    firsts = [offset, *ends]
    pending = [interval(first, end) for first, end in zip(firsts, ends, strict=False)]
    while True:
        with suppress(SinkError):
            return store.commit(pending)


def work(disk: Disk) -> None:
    """Two processes, and a power loss after each ack."""
    for half in (ENDS[:2], ENDS[2:]):
        store = started(disk)
        offset = opened(store)
        for ends in half:
            offset = committed(store, offset, ends)
            assert offset == ends[-1]
            assert store.problem is None
    disk.fault = lambda call, name: None
    disk.lose_power()
    assert opened(started(disk)) == ENDS[-1][-1]
    assert_prefix(disk.contents(STORE / FOLDER), ENDS[-1][-1])


def failing_calls(calls: range, number: int) -> Callable[[int, str], int | None]:
    return lambda call, name: number if call in calls else None


def calls_of_work() -> int:
    disk = Disk(Random(0))
    work(disk)
    return disk.calls


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize("length", [1, 2, 9])
def test_calls_that_fail_for_a_while_lose_nothing(number: int, length: int) -> None:
    for first in range(1, calls_of_work() + 1):
        disk = Disk(Random(first))
        disk.fault = failing_calls(range(first, first + length), number)
        work(disk)


def test_a_full_disk_names_the_file_and_the_reason() -> None:
    disk = Disk(Random(0))
    store = started(disk)
    store.open(OFFERED)
    disk.fault = lambda call, name: errno.ENOSPC if name == "write" else None
    with pytest.raises(SinkError, match=r"cannot write /data/store/.*\.numbers: No space left on device") as failed:
        store.commit([interval(0, 10)])
    assert store.problem == str(failed.value)
    disk.fault = lambda call, name: None
    assert store.commit([interval(0, 10)]) == 10
    assert store.problem is None


def test_a_failed_cut_back_stalls_until_it_succeeds() -> None:
    disk = Disk(Random(0))
    store = started(disk)
    store.open(OFFERED)
    store.commit([interval(0, 10)])
    disk.fault = lambda call, name: errno.EIO if name in ("fdatasync", "truncate") else None
    for _ in range(3):
        with pytest.raises(SinkError):
            store.commit([interval(10, 20)])
        with pytest.raises(SinkError):
            store.open(OFFERED)
    disk.fault = lambda call, name: None
    assert store.open(OFFERED) == 10
    assert_prefix(disk.contents(STORE / FOLDER), 10)


def test_a_segment_that_cannot_be_removed_does_not_stall_the_stream() -> None:
    disk = Disk(Random(0))
    store = Store(STORE, WORKER, 1, 0, disk)
    store.start()
    store.open(OFFERED)
    disk.fault = lambda call, name: errno.EIO if name == "unlink" else None
    store.commit([interval(0, 10)])
    store.commit([interval(10, 20)])
    assert store.problem is None
    assert store.retention_problem == "cannot remove old segments: Input/output error"
    disk.fault = lambda call, name: None
    store.commit([interval(20, 30)])
    assert store.retention_problem is None
    assert list(disk.contents(STORE / FOLDER)) == ["00000000000000000030.numbers"]


def test_a_segment_that_cannot_be_created_stalls_the_stream_but_not_the_ack_before_it() -> None:
    disk = Disk(Random(0))
    store = Store(STORE, WORKER, 1, None, disk)
    store.start()
    store.open(OFFERED)
    disk.fault = lambda call, name: errno.ENOSPC if name == "create" else None
    assert store.commit([interval(0, 10)]) == 10
    with pytest.raises(SinkError):
        store.commit([interval(10, 20)])
    disk.fault = lambda call, name: None
    assert store.commit([interval(10, 20)]) == 20
    assert_prefix(disk.contents(STORE / FOLDER), 20)
