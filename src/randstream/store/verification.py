"""Verification: every beat of a store checked, and with the seed every number made again and compared. Never writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, SupportsIndex

from ..errors import SettingsError
from ..numbers.seed import parse_seed
from .check import Check, StreamReport
from .files import Files, OSFiles
from .layout import StoredStream, find_foreign, find_streams, segment_path

PROGRESS_BYTES: Final = 2**24
"""How often progress is reported: twenty times a second at full speed."""

Progress = Callable[[int, int], None]
"""Called with the bytes checked so far, and the bytes to check in all."""


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found."""

    streams: tuple[StreamReport, ...]
    with_seed: bool
    """Whether every number was made again and compared."""
    foreign: tuple[Path, ...] = ()
    """What is not the store's, besides the streams. It does no harm."""

    @property
    def ok(self) -> bool:
        """Whether all that was checked is as it should be."""
        return all(stream.outcome == "ok" for stream in self.streams)

    @property
    def count(self) -> int:
        return sum(stream.count for stream in self.streams)


def verify(
    paths: Iterable[Path | str], seed: str | SupportsIndex | None = None, progress: Progress | None = None
) -> Report:
    """Check the streams that `paths` mean: stores, streams' folders, single segments. Workers may be writing them.

    Checks every beat's offset and CRC, that each segment begins where the one before it ends, and with `seed` every
    byte of every number; without it, that every line is a number. What keeps a stream from being checked counts as its
    damage, and the others are checked. Raises OSError, and SettingsError: a path means no stream, or the seed is not
    valid.
    """
    text = None if seed is None else parse_seed(seed)
    files, paths = OSFiles(), list(paths)
    streams = [stream for path in paths for stream in find_streams(files, Path(path))]
    total_bytes = sum(_measure(files, stream) for stream in streams)
    done_bytes = told_bytes = 0

    def advance(size: int) -> None:
        nonlocal done_bytes, told_bytes
        done_bytes += size
        is_time = done_bytes - told_bytes >= PROGRESS_BYTES or done_bytes >= total_bytes
        if progress is not None and is_time:
            told_bytes = done_bytes
            progress(done_bytes, max(total_bytes, done_bytes))

    reports = tuple(Check(files, stream, text, advance).run() for stream in streams)
    return Report(reports, text is not None, tuple(each for path in paths for each in find_foreign(files, Path(path))))


def _measure(files: Files, stream: StoredStream) -> int:
    """The bytes of a stream; 0 if it cannot be read, which its check reports."""
    try:
        return sum(files.size(segment_path(stream.folder, first)) for first in stream.firsts(files))
    except (OSError, SettingsError):
        return 0
