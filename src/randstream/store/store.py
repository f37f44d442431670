"""Store: one worker's folder, one open stream. Everything here blocks, and one thread at a time may call it.

`DurableSink` gives it that thread. Tests drive it as it is, over files that fail and lose power.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import LocalProtocolError, OfferError, SettingsError, SinkError, is_full, shortage_of
from ..protocol.frames import Open
from .files import File, Files
from .layout import (
    Listing,
    find_other_streams,
    list_folder,
    lock_path,
    may_hold_stream,
    segment_path,
    stream_folder,
)
from .recovery import Recovery, recover
from .segment import PendingInterval, Segment

MOST_NAMED: Final = 3
"""Foreign files, or other streams, that a warning names: there may be thousands."""
PASSING_ERRORS: Final = {
    errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY,
    errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR,
}  # fmt: skip
"""What a disk or a machine recovers from: the worker waits, at its start as later. Any other error at its start is for
the user to fix, and ends the worker."""


class Store:
    """What `worker` stores in `folder`. The arguments are those of `DurableSink`."""

    def __init__(self, folder: Path, worker: str, segment_bytes: int, retain_bytes: int | None, files: Files) -> None:
        self._folder = folder
        self._worker = worker
        self._segment_bytes = segment_bytes
        self._retain_bytes = retain_bytes
        self._files = files
        self._lock: File | None = None
        self._opened: Open | None = None
        self._segment: Segment | None = None
        self.problem: str | None = None
        self.is_full = False
        """Whether the problem is that the disk has no room."""
        """Why the last `start`, `open` or `commit` failed; None if it did not."""
        self.retention_problem: str | None = None
        """Why old segments could not be removed; the stream continues."""
        self.other_streams: tuple[Path, ...] = ()
        """The folders of the same worker's other streams, such as a changed seed leaves behind."""
        self._foreign: tuple[Path, ...] = ()
        self.recovery: Recovery | None = None
        """The last one; None before the first, and for a stream that had no segment yet."""

    @property
    def is_started(self) -> bool:
        """Whether the folder exists, and is locked for this worker."""
        return self._lock is not None

    @property
    def committed_offset(self) -> int | None:
        """All numbers of the open stream below it are durable; None: no stream is open."""
        return None if self._segment is None else self._segment.committed_offset

    @property
    def foreign_problem(self) -> str | None:
        """What in the stream's folder is not the store's; the stream continues beside it."""
        if not self._foreign:
            return None
        return f"{self._foreign[0].parent} holds what is not the store's: {_named(self._foreign)}; move it away"

    @property
    def seed_problem(self) -> str | None:
        """What else is stored for this worker; the stream continues beside it."""
        if not self.other_streams or self._opened is None:
            return None
        what = f"{self._folder} holds more of {self._worker} than stream {self._opened.stream}"
        return f"{what}: {_named(self.other_streams)}; wrong seed? Give the producer its old one, or move that away"

    @property
    def path(self) -> Path | None:
        return None if self._segment is None else self._segment.path.parent

    def start(self) -> None:
        """Take the folder for the first time, which separates what the user has to fix from what passes.

        Raises SettingsError: the folder can never be used as it is; SinkError: not now, call `take_folder` again.
        """
        try:
            self.take_folder()
        except SinkError as error:
            cause = error.__cause__
            if isinstance(cause, OSError) and cause.errno in PASSING_ERRORS:
                raise
            raise SettingsError(str(error)) from cause

    def take_folder(self) -> None:
        """Make the folder if it is missing, and lock it for this worker. Raises SinkError: not now."""
        if self._lock is None:
            path = lock_path(self._folder, self._worker)
            with self._attempt(f"cannot use {self._folder} as a store"):
                self._make_folder(self._folder)
                try:
                    self._lock = self._files.lock(path)
                except BlockingIOError as error:
                    what = f"locked: another process stores for {self._worker} here"
                    raise BlockingIOError(error.errno, what, str(path)) from None
                except OSError as error:
                    if error.errno != errno.ELOOP:
                        raise
                    what = "a link, which a lock never is: remove it"
                    raise OSError(error.errno, what, str(path)) from None

    def open(self, offered: Open) -> int:
        """Prepare for commits of the stream `offered`; return the offset of its next number. All below it is durable.

        Raises SinkError: not now; DamagedStore: not before a person has repaired it; OfferError: never.
        """
        self.take_folder()
        folder = stream_folder(self._folder, self._worker, offered.stream)
        with self._attempt(f"cannot open {folder}"):
            opened = self._opened
            if opened is None or opened.kind != offered.kind:
                self._leave_stream()
            if self._segment is None:
                self._segment = self._find_segment(folder, offered)
            self._opened = offered
            self._segment.cut_back()
            return self._segment.committed_offset

    def commit(self, intervals: Sequence[PendingInterval]) -> int:
        """Make `intervals`, which follow the last commit, durable; return the new committed offset.

        Raises SinkError: none of them counts; call again with the same, and perhaps more.
        """
        segment = self._segment
        if segment is None or intervals[0].first != segment.committed_offset:
            raise LocalProtocolError("a commit that does not follow the last one")
        with self._attempt(f"cannot write {segment.path}"):
            segment = self._segment_with_room(segment)
            segment.append(intervals)
        with suppress(OSError):  # it only warns
            if self._foreign:
                self._note_foreign(list_folder(self._files, segment.path.parent))
            if self.other_streams:
                self._note_other_streams(self.other_streams)
        with suppress(OSError):  # the next commit tries again, and reports it
            self._segment_with_room(segment)
        return segment.committed_offset

    def close(self) -> None:
        """Release the lock. The producer sends what was not committed again."""
        with suppress(OSError):  # all that was promised is synced
            self._leave_stream()
        if self._lock is not None:
            lock, self._lock = self._lock, None
            with suppress(OSError):  # the descriptor is gone all the same
                lock.close()

    def _make_folder(self, folder: Path) -> None:
        if not self._files.is_folder(folder):
            self._make_folder(folder.parent)
            self._files.make_folder(folder)
        with suppress(PermissionError):  # a parent that we may not read is not one that we made
            self._files.sync_folder(folder.parent)

    def _find_segment(self, folder: Path, offered: Open) -> Segment:
        with suppress(FileExistsError):
            self._files.make_folder(folder)
        self._files.sync_folder(self._folder)
        with suppress(OSError):  # it only warns
            self._note_other_streams(find_other_streams(self._files, self._folder, self._worker, offered.stream))
        listing = list_folder(self._files, folder)
        self._note_foreign(listing)
        found = recover(self._files, folder, listing, offered)
        if found is None:
            return Segment.born(self._files, folder, offered, first=0)
        segment, self.recovery = found
        return segment

    def _segment_with_room(self, segment: Segment) -> Segment:
        """`segment`, or if that is full, the next one. Raises OSError: there is none yet, ask again."""
        assert self._opened is not None
        if segment.is_empty or segment.committed_bytes < self._segment_bytes:
            return segment
        segment.seal()
        self._segment = Segment.born(self._files, segment.path.parent, self._opened, segment.committed_offset)
        segment.close()
        self._remove_old_segments(segment.path.parent)
        return self._segment

    def _remove_old_segments(self, folder: Path) -> None:
        """Remove the oldest segments, while what follows them is `retain_bytes` or more."""
        if self._retain_bytes is None:
            return
        try:
            listing = list_folder(self._files, folder)
            self._note_foreign(listing)
            firsts = listing.firsts
            sizes = [self._files.size(segment_path(folder, first)) for first in firsts]
            kept_bytes = sum(sizes)
            for first, size in zip(firsts[:-1], sizes, strict=False):
                kept_bytes -= size
                if kept_bytes < self._retain_bytes:
                    break
                self._files.sync_folder(folder)  # or a power loss might bring an older one back: a gap
                self._files.unlink(segment_path(folder, first))
        except OSError as error:
            self.retention_problem = f"cannot remove old segments: {_explain(error)}"
        else:
            self.retention_problem = None

    def _note_foreign(self, listing: Listing) -> None:
        """A file system makes its own `lost+found`: that needs no warning."""
        self._foreign = tuple(path for path in listing.foreign if path.name != "lost+found")

    def _note_other_streams(self, folders: Iterable[Path]) -> None:
        self.other_streams = tuple(folder for folder in folders if may_hold_stream(self._files, folder))

    def _leave_stream(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    @contextmanager
    def _attempt(self, what: str) -> Iterator[None]:
        try:
            yield
        except OfferError:  # nothing is wrong with the store
            self.problem, self.is_full = None, False
            raise
        except OSError as error:
            self.problem, self.is_full = f"{what}: {_explain(error)}", is_full(error)
            raise SinkError(self.problem) from error
        except SinkError as error:
            self.problem, self.is_full = str(error), False
            raise
        self.problem, self.is_full = None, False


def _named(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:MOST_NAMED])
    return f"{names} and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else names


def _explain(error: OSError) -> str:
    reason = shortage_of(error) or error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"
