"""Lives: a store's process is started, killed and struck by power losses and failing calls, over and over.

`live` is the judge: it raises AssertionError if the promise is broken.
"""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.store.disk import Dead, Disk
from tests.store.streams import COUNT, FOLDER, OFFERED, WORKER, interval, stored

from randstream.errors import SettingsError, SinkError
from randstream.store import DamagedStore
from randstream.store.segment import PendingInterval
from randstream.store.store import Store

STORE = Path("/data/store")
SYNCS = ("fdatasync", "fsync", "sync_folder")
NUMBERS = (errno.EIO, errno.ENOSPC, errno.EROFS)
COUNTS = (1, 7, 300, 1_500, 4_000)
"""Numbers in an interval: 4000 are 12 KB, three pages."""
RECOVERY_BYTES = 60_000
"""In place of 80 MiB: a commit of three intervals, and two more."""


class Lives:
    """What one seed does to a store. `acked_offset` is the promise given so far."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.disk = Disk(self.random)
        self.acked_offset = 0
        self.segment_bytes = self.random.choice([1, 9_000, 30_000, 2**30])
        self.retain_bytes = self.random.choice([None, None, 0, 20_000])

    def live(self) -> None:
        """A few lives, each ended by a kill or a power loss, and a last look."""
        for _ in range(self.random.randrange(2, 9)):
            self._draw_fate()
            with suppress(Dead):
                self._work()
            if self.random.random() < 0.5:
                self.disk.lose_power()
        self.disk.dies_at = 0
        self.disk.fault = lambda call, name: None
        self._start()

    def _draw_fate(self) -> None:
        disk, random = self.disk, self.random
        disk.calls = 0
        disk.dies_at = random.randrange(1, random.choice([20, 40, 120]))
        likelihood = random.choice([0, 0, 0.02, 0.1])
        names = random.choice([SYNCS, None])
        disk.fault = lambda call, name: (
            random.choice(NUMBERS) if (names is None or name in names) and random.random() < likelihood else None
        )

    def _work(self) -> None:
        store = self._start()
        while True:
            pending = self._draw_intervals()
            for _ in range(self.random.randrange(1, 4)):
                try:
                    self.acked_offset = store.commit(pending)
                    break
                except SinkError:
                    assert store.problem is not None
            else:
                self._open(store)

    def _start(self) -> Store:
        while True:
            store = Store(STORE, WORKER, self.segment_bytes, self.retain_bytes, self.disk)
            try:
                store.start()
            except SettingsError:
                continue
            except SinkError:
                assert not store.is_started  # `open` starts it
            self._open(store)
            return store

    def _open(self, store: Store) -> None:
        while True:
            try:
                offset = store.open(OFFERED)
                break
            except DamagedStore as error:
                raise AssertionError(f"a crash was taken for damage: {error}") from error
            except SinkError:
                continue
        assert offset >= self.acked_offset, f"{self.acked_offset} numbers were acked, and {offset} are there"
        self.acked_offset = offset
        assert_prefix(self.disk.contents(STORE / FOLDER), offset)

    def _draw_intervals(self) -> list[PendingInterval]:
        pending = []
        first = self.acked_offset
        for _ in range(self.random.randrange(1, 4)):
            end = first + self.random.choice(COUNTS)
            if end > COUNT:
                raise Dead
            pending.append(interval(first, end))
            first = end
        return pending


def assert_prefix(files: dict[str, bytes], offset: int) -> None:
    """Require that `files` are segments of the stream that follow one another and end, with a beat, at `offset`."""
    following = None
    for name, content in sorted(files.items()):
        if name.endswith(".tmp"):
            continue
        first = int(name.removesuffix(".numbers"))
        assert following in (None, first), f"{name} follows a segment that ends at {following}"
        ends = [int(end) for end in re.findall(rb"#beat offset=(\d+)", content)]
        assert ends, f"{name} has no header"
        assert content == stored(first, *ends[1:]), f"{name} is not the stream's"
        following = ends[-1]
    assert following == offset, f"the segments end at {following}, and the store says {offset}"
