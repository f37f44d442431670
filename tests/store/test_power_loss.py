"""The promise, under power losses, kills and failing calls; and proof that the judge notices a broken promise."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.store.disk import Disk, DiskFile
from tests.store.lives import RECOVERY_BYTES, Lives

from randstream.protocol.frames import encode
from randstream.store import recovery, segment
from randstream.store.files import File
from randstream.store.layout import Header
from randstream.store.segment import PendingInterval, Segment
from randstream.store.walk import Walk

pytestmark = pytest.mark.usefixtures("unmeasured")

SEEDS = 2_000
BLOCK = 200
SEEDS_TO_NOTICE = 1_000
FIRST_SEEDS = {"seal": 2_800}
"""Where to begin for what is seldom noticed: once in 500 lives."""


@pytest.fixture(autouse=True)
def short_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there is something that recovery does not look at."""
    monkeypatch.setattr(recovery, "RECOVERY_BYTES", RECOVERY_BYTES)
    monkeypatch.setattr(segment, "EVICT_BYTES", 64)


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_no_crash_and_no_failing_call_breaks_the_promise(first: int) -> None:
    for seed in range(first, first + BLOCK):
        try:
            Lives(seed).live()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def assert_noticed(first: int = 0) -> None:
    """The judge finds a broken promise in one of the lives."""
    with pytest.raises(AssertionError):
        live_on(first)


def live_on(first: int) -> None:
    for seed in range(first, first + SEEDS_TO_NOTICE):
        Lives(seed).live()


@pytest.mark.parametrize(
    ("caller", "call"),
    [
        pytest.param("append", "fdatasync", id="ack-before-the-sync"),
        pytest.param("cut_back", "truncate", id="no-cut-back"),
        pytest.param("_recover_segment", "fdatasync", id="no-sync-in-recovery"),
        pytest.param("_recover_segment", "evict", id="recovery-believes-the-page-cache"),
        pytest.param("_recover_segment", "truncate", id="recovery-cuts-nothing-off"),
        pytest.param("recover", "sync_folder", id="no-folder-sync-in-recovery"),
        pytest.param("born", "fsync", id="segment-named-before-it-is-whole"),
        pytest.param("born", "sync_folder", id="segment-used-before-its-name-is-durable"),
        pytest.param("seal", "fsync", id="segment-left-before-its-length-is-durable"),
        pytest.param("_find_segment", "sync_folder", id="stream-folder-not-durable"),
        pytest.param("_make_folder", "sync_folder", id="store-folder-not-durable"),
        pytest.param("_remove_old_segments", "sync_folder", id="segments-removed-in-any-order"),
    ],
)
def test_a_call_left_out_is_noticed(caller: str, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (Disk, DiskFile):
        if call in vars(kind):
            monkeypatch.setattr(kind, call, left_out(getattr(kind, call), caller))
    assert_noticed(FIRST_SEEDS.get(caller, 0))


def left_out(method: Callable[..., Any], caller: str) -> Callable[..., Any]:
    """`method`, which does nothing when `caller` calls it."""

    def call(self: object, *arguments: Any) -> Any:
        return None if sys._getframe(1).f_code.co_name == caller else method(self, *arguments)

    return call


def test_a_failed_sync_that_is_only_repeated_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(self: Segment, intervals: Sequence[PendingInterval]) -> int:
        chunks = [chunk for interval in intervals for chunk in (*interval.runs, encode(interval.beat))]
        size = sum(map(len, chunks))
        if self._file.size() != self.committed_bytes + size:
            self._is_torn = True
            self.cut_back()
            self._file.write(self.committed_bytes, chunks)
        self._file.fdatasync()
        self.committed_bytes += size
        self.committed_offset = intervals[-1].beat.offset
        return size

    monkeypatch.setattr(Segment, "append", append)
    assert_noticed()


def test_a_recovery_that_checks_only_the_last_interval_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def walk_from_last_but_one(file: File, header: Header) -> Walk:
        beats = list(re.finditer(rb"#beat offset=(\d+).*\n", file.read(0, file.size())))
        beat = beats[-2:][0]
        return Walk(file, beat.end(), int(beat[1]))

    monkeypatch.setattr(recovery, "walk_from_start", walk_from_last_but_one)
    assert_noticed()
