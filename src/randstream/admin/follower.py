"""Follower: reads a store while it is written, from any offset on. Files are read on threads only."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Final

from ..observe.tap import Stored
from ..protocol.runs import Run
from ..store.layout import Damage, DamagedStore
from ..store.reader import StoreReader

POLL_SECONDS: Final = 0.1
"""How often to look for more at the end; commits come once a heartbeat, and a look costs nothing."""


class Follower:
    """The stored runs from `first` on, including those stored later. Made by `open`."""

    def __init__(self, store: Stored, path: Path, reader: StoreReader) -> None:
        self.first = reader.offset
        self._store = store
        self._path = path
        self._reader = reader
        self._reading: asyncio.Future[Run | None] | None = None

    @classmethod
    async def open(cls, store: Stored, path: Path, offset: int) -> Follower:
        """Begin at `offset`, or as soon as number `offset` is stored.

        Raises SettingsError: it is no longer kept; DamagedStore, OSError: it cannot be read.
        """
        return cls(store, path, await asyncio.to_thread(StoreReader, path, offset))

    async def next_run(self, patience: float | None = None) -> Run | None:
        """Return the next run, at most an interval, or an empty one if none comes for `patience` seconds.

        None if the worker has gone on to another stream. Errors as in `open`.
        """
        polls = math.inf if patience is None else patience / POLL_SECONDS
        while self._store.path == self._path:
            committed = self._store.committed_offset or 0
            if committed > self._reader.offset:
                self._reading = asyncio.get_running_loop().run_in_executor(None, self._reader.next_run)
                run = await asyncio.shield(self._reading)
                if run is not None:
                    return run
                if self._store.path == self._path:
                    what = f"the store ends here, but numbers up to {committed} were durable"
                    raise DamagedStore(Damage(self._path, 0, self._reader.offset, what))
            if polls < 1:
                return Run(self._reader.offset, b"", 0)
            polls -= 1
            await asyncio.sleep(POLL_SECONDS)
        return None

    def close(self) -> None:
        """Close the file once no thread reads it."""
        if self._reading is None or self._reading.done():
            self._reader.close()
        else:
            self._reading.add_done_callback(self._close_unread)

    def _close_unread(self, reading: asyncio.Future[Run | None]) -> None:
        reading.exception()
        self._reader.close()
