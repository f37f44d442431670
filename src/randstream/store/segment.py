"""Segment: the file that a stream's commits go to. Its birth, its appends, its cut-back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..protocol.frames import Beat, Lines, Open, encode
from .files import File, Files
from .layout import encode_header, segment_first, segment_path, unborn_path

EVICT_BYTES: Final = 4 * 2**20
"""What is committed leaves the page cache in pieces of this size: it is not read soon, a container's limit counts it,
and new pages cost more than those that were just given back."""


@dataclass(frozen=True, slots=True)
class PendingInterval:
    """Number lines, in runs as they came, and the beat that proved them; not yet stored."""

    first: int
    """Offset of its first number."""
    runs: Sequence[Lines]
    beat: Beat
    size: int
    """Bytes of the number lines."""


class Segment:
    """The last segment of a stream. `committed_bytes` and `committed_offset` are where its last commit ends."""

    def __init__(self, path: Path, file: File, committed_bytes: int, committed_offset: int) -> None:
        self.path = path
        self.committed_bytes = committed_bytes
        self.committed_offset = committed_offset
        self._file = file
        self._is_torn = False
        self._evicted_bytes = committed_bytes

    @classmethod
    def born(cls, files: Files, folder: Path, opened: Open, first: int) -> Segment:
        """Make a new segment, whole: no crash leaves its name without its header.

        Raises OSError: call again, and append nothing to the segment before it, because the name may already exist.
        """
        unborn, path = unborn_path(folder, first), segment_path(folder, first)
        header = encode_header(opened, first)
        file = files.create(unborn)
        try:
            file.write(0, [header])
            file.fsync()
            files.rename(unborn, path)
            files.sync_folder(folder)
        except OSError:
            file.close()
            with suppress(OSError):
                files.unlink(unborn)
            raise
        return cls(path, file, len(header), first)

    @property
    def is_empty(self) -> bool:
        """Whether it holds no number yet. Another segment after it would have its name."""
        return self.committed_offset == segment_first(self.path)

    def append(self, intervals: Sequence[PendingInterval]) -> None:
        """Write `intervals`, each with its beat, and make them durable.

        Raises OSError: none of them counts. They are cut off now, or else by the next append, which has to write
        them again: a second fdatasync alone would prove nothing, because Linux reports a lost page once.
        """
        self.cut_back()
        chunks = [chunk for interval in intervals for chunk in (*interval.runs, encode(interval.beat))]
        self._is_torn = True
        try:
            self._file.write(self.committed_bytes, chunks)
            self._file.fdatasync()
        except OSError:
            with suppress(OSError):
                self.cut_back()
            raise
        self._is_torn = False
        self.committed_bytes += sum(map(len, chunks))
        self.committed_offset = intervals[-1].beat.offset
        self._evict_committed()

    def _evict_committed(self) -> None:
        if self.committed_bytes - self._evicted_bytes >= EVICT_BYTES:
            with suppress(OSError):  # it is only advice
                self._file.evict(self._evicted_bytes)
            self._evicted_bytes = self.committed_bytes

    def cut_back(self) -> None:
        """Take back what a failed append may have left. Raises OSError: it is still there."""
        if self._is_torn:
            self._file.truncate(self.committed_bytes)
            self._is_torn = False

    def seal(self) -> None:
        """Make its length durable, which fdatasync may not, before another segment follows. Raises OSError."""
        self._file.fsync()

    def close(self) -> None:
        self._file.close()
