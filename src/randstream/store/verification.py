"""Verification: every beat of a store checked, and with the seed every number made again and compared. Never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .check import Check, StreamReport
from .files import OSFiles
from .layout import StoredStream, find_streams, segment_path

PROGRESS_BYTES: Final = 2**24
"""How often progress is told: twenty times a second at full speed."""

Progress = Callable[[int, int], None]
"""Called with the bytes checked so far, and the bytes to check in all."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    streams: tuple[StreamReport, ...]
    with_seed: bool
    """Whether every number was made again and compared."""

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return all(stream.damage is None for stream in self.streams)

    @property
    def count(self) -> int:
        """Numbers that hold."""
        return sum(stream.count for stream in self.streams)


def verify(paths: Iterable[Path | str], seed: str | None = None, progress: Progress | None = None) -> Report:
    """Check the streams that `paths` mean: stores, streams' folders, single segments. They may be written meanwhile.

    Checked are every beat's offset and CRC, that each segment begins where the one before it ends, and with `seed`
    every byte of every number.

    Raises:
        SettingsError: a path means no stream, or the seed cannot be one.
        OSError: something cannot be read.
    """
    files = OSFiles()
    streams = [stream for path in paths for stream in find_streams(files, Path(path))]
    meter = _Meter(sum(_size(files, stream) for stream in streams), progress)
    return Report(tuple(Check(files, stream, seed, meter.advance).run() for stream in streams), seed is not None)


def _size(files: OSFiles, stored: StoredStream) -> int:
    return sum(files.size(segment_path(stored.folder, first)) for first in stored.firsts(files))


class _Meter:
    """Adds up progress and tells of it, but not of every interval."""

    def __init__(self, total_bytes: int, progress: Progress | None) -> None:
        self._total_bytes = total_bytes
        self._progress = progress
        self._done_bytes = 0
        self._told_bytes = 0

    def advance(self, size: int) -> None:
        self._done_bytes += size
        is_time = self._done_bytes - self._told_bytes >= PROGRESS_BYTES or self._done_bytes >= self._total_bytes
        if self._progress is not None and is_time:
            self._told_bytes = self._done_bytes
            self._progress(self._done_bytes, max(self._total_bytes, self._done_bytes))
