"""The file layer: the few calls the store makes of the operating system, and nothing above them.

All that the store does to a disk passes through `Files` and `File`, so a test can record it, fail it, or cut the
power at any moment. Nothing here retries or hides an error: what a failure means is for the store to decide.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from ..protocol.frames import Lines

_MAX_CHUNKS: Final = 1024
"""IOV_MAX of Linux: the most buffers one `pwritev` takes."""
_PIECE_BYTES: Final = 2 * 2**20
"""Pieces of a larger write that the disk is asked to begin while the rest is copied: `fdatasync` waits for less."""


class File(Protocol):
    """An open file. Every method may raise OSError."""

    def size(self) -> int: ...
    def close(self) -> None: ...
    def truncate(self, size: int) -> None: ...

    def read(self, position: int, count: int) -> bytes:
        """Up to `count` bytes from `position` on; fewer only where the file ends."""

    def write(self, position: int, chunks: Sequence[Lines]) -> None:
        """Write `chunks` one after another, from `position` on. A short write is an OSError too."""

    def fdatasync(self) -> None:
        """Make what was written durable. A cut need not be."""

    def fsync(self) -> None:
        """Make what was written and every cut durable."""

    def evict(self, position: int) -> None:
        """Let the page cache forget what is on the disk from `position` on, so the next read asks the disk."""


class Files(Protocol):
    """A file system. Every method may raise OSError."""

    def open(self, path: Path, *, writable: bool = False) -> File: ...
    def size(self, path: Path) -> int: ...
    def names(self, folder: Path) -> list[str]: ...
    def is_folder(self, folder: Path) -> bool: ...
    def unlink(self, path: Path) -> None: ...

    def create(self, path: Path) -> File:
        """Open for reading and writing, new or emptied; never through a link."""

    def lock(self, path: Path) -> File:
        """Open, make if missing, and hold until closed; never through a link.

        BlockingIOError: another process holds it.
        """

    def make_folder(self, folder: Path) -> None:
        """FileExistsError if anything of that name exists."""

    def rename(self, old: Path, new: Path) -> None:
        """Replace whatever had the new name."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in `folder` durable: those made, renamed and removed."""


class OSFile:
    """A file of the operating system."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def read(self, position: int, count: int) -> bytes:
        return os.pread(self._descriptor, count, position)

    def write(self, position: int, chunks: Sequence[Lines]) -> None:
        first = 0
        while first < len(chunks):
            asked, end = 0, first
            while end < len(chunks) and end - first < _MAX_CHUNKS and asked < _PIECE_BYTES:
                asked += len(chunks[end])
                end += 1
            written = os.pwritev(self._descriptor, chunks[first:end], position)
            if written != asked:  # how a disk says that it has just become full
                full = os.strerror(errno.ENOSPC)
                raise OSError(errno.ENOSPC, f"short write, {written} of {asked} bytes: {full}")
            if end < len(chunks):
                with suppress(OSError):  # it is only advice
                    os.posix_fadvise(self._descriptor, position, written, os.POSIX_FADV_DONTNEED)
            position += written
            first = end

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def fdatasync(self) -> None:
        os.fdatasync(self._descriptor)

    def fsync(self) -> None:
        os.fsync(self._descriptor)

    def evict(self, position: int) -> None:
        os.posix_fadvise(self._descriptor, position, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        os.close(self._descriptor)


class OSFiles:
    """The file system of the operating system."""

    def create(self, path: Path) -> OSFile:
        return OSFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644))

    def open(self, path: Path, *, writable: bool = False) -> OSFile:
        return OSFile(os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC))

    def lock(self, path: Path) -> OSFile:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return OSFile(descriptor)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def names(self, folder: Path) -> list[str]:
        return os.listdir(folder)

    def make_folder(self, folder: Path) -> None:
        folder.mkdir()

    def is_folder(self, folder: Path) -> bool:
        return folder.is_dir()

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
