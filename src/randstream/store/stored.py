"""Stored: the numbers of one stored stream, as arrays or as text. Never writes; the worker may write the store too."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Self, SupportsIndex, overload

import numpy as np

from ..errors import NotStoredError
from ..numbers.distributions import NumberArray, parse_distribution
from ..numbers.offsets import check_integer, check_offset, show_integer
from ..protocol import MAX_OFFSET
from ..protocol.runs import Run
from .files import OSFiles
from .layout import Damage, DamagedStore, choose_stream, find_streams
from .reader import Gap, StoreReader, line_start

BLOCK: Final = 2**16
"""Numbers in a block: 512 KiB, which a core's cache holds."""

Skip = Callable[[Gap], None]


class StoredNumbers:
    """The numbers of one stored stream, by their offsets: made by `open_store`. One thread at a time may use it.

    An index is an offset of the stream, whose first numbers retention may have removed; a negative one counts from the
    end. `store[n]` is a number, `store[start:stop:step]` an array, and iterating gives number after number. What is
    there, `first_offset` up to `end_offset`, is what was there at the last `refresh`. Only what is asked for is read,
    an interval (8 MiB of text at most) at a time, and checked as it is read.

    Raises IndexError for an offset that is not there; NotStoredError (a SettingsError) for a slice or blocks that begin
    with numbers that retention has removed; DamagedStore if what was asked for is damaged; OSError.
    """

    def __init__(self, path: Path | str, stream: str | None = None) -> None:
        self._files = OSFiles()
        self._stream = choose_stream(find_streams(self._files, Path(path)), Path(path), stream)
        with self._open_reader(None, skip=lambda gap: None) as reader:
            opened = reader.opened
        self.worker: str = opened.worker
        self.stream: str = opened.stream
        """16 hex digits: its id."""
        self.numbers: str = opened.numbers
        """The distribution, such as `normal:0.0:1.0`."""
        self.dtype: np.dtype[Any] = np.dtype(parse_distribution(opened.numbers).dtype)
        """Of the arrays: int64, uint64 (bits64) or float64."""
        self.first_offset = self._stream.firsts(self._files)[0]
        """The oldest that is kept."""
        self.end_offset = self.first_offset
        """The offset after the last number that a beat proves."""
        self.damage: Damage | None = None
        """What keeps numbers after `end_offset` from being read; None: they have not come yet."""
        self._tail: StoreReader | None = None
        self._reader: StoreReader | None = None
        self._held: tuple[int, NumberArray] = (0, np.empty(0, self.dtype))
        """What was read last, and its offset."""
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"{self.stream} worker={self.worker} numbers={self.numbers}"
        return f"<StoredNumbers {what} offsets={self.first_offset}:{self.end_offset}>"

    def __len__(self) -> int:
        return self.end_offset - self.first_offset

    @overload
    def __getitem__(self, at: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> NumberArray: ...
    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        if isinstance(at, slice):
            return self._slice(at)
        wanted = check_integer(at, "an offset")
        offset = wanted + self.end_offset if wanted < 0 else wanted
        if not self.first_offset <= offset < self.end_offset:
            raise IndexError(
                f"no offset {show_integer(wanted)}: those from {self.first_offset} to {self.end_offset - 1} are stored"
            )
        return self._read(offset, 1)[0]

    def __iter__(self) -> Iterator[Any]:
        for block in self.iter_blocks():
            yield from block

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        """A copy opens its own files, and sees what is stored then."""
        return type(self), (self._stream.path,)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NumberArray:
        if copy is False:
            raise ValueError("reading a store makes a new array; leave copy=False out")
        return np.asarray(self[:], dtype)

    def iter_blocks(
        self, offset: SupportsIndex | None = None, count: SupportsIndex | None = None, *, block: SupportsIndex = BLOCK
    ) -> Iterator[NumberArray]:
        """The numbers from `offset` (None: the oldest kept) on, `count` at most (None: all there are now), as arrays of
        `block` numbers, the last with what is left. Each is a new array. Raises ValueError or NotStoredError at once if
        there can be none.
        """
        start = self.first_offset if offset is None else check_offset(offset)
        stop = MAX_OFFSET if count is None else start + check_offset(count, "count")
        size = check_offset(block, "block")
        if size == 0:
            raise ValueError("block is 0; give at least 1")
        self._require_kept(start)
        if self.end_offset < start < stop and self.damage is None:
            raise NotStoredError(
                f"{self._stream.folder} holds no offset {start} yet; the next to come is {self.end_offset}"
            )
        return self._iter_blocks(start, stop, size)

    def _iter_blocks(self, start: int, stop: int, size: int) -> Iterator[NumberArray]:
        end = min(stop, self.end_offset)
        for at in range(start, end, size):
            yield self._read(at, min(size, end - at))
        self._require_whole(stop)

    def follow(self, offset: SupportsIndex | None = None, *, poll_interval: float = 0.1) -> Iterator[NumberArray]:
        """Blocks from `offset` on, without end: waits until more is stored, looking every `poll_interval` seconds.

        In a coroutine: `await asyncio.to_thread(next, blocks)`.
        """
        at = self.first_offset if offset is None else check_offset(offset)
        while True:
            for block in self.iter_blocks(at) if at < self.end_offset or self.damage else ():
                at += len(block)
                yield block
            before = self.end_offset
            if self.refresh() == before:
                time.sleep(poll_interval)

    def refresh(self) -> int:
        """Look what has been stored and what retention has removed since the last look; return the new `end_offset`."""
        self.first_offset = self._stream.firsts(self._files)[0]
        try:
            if self._tail is None:
                self._tail = self._open_reader(MAX_OFFSET)
            end, self.damage = self._tail.find_end(), None
        except DamagedStore as error:
            end, self.damage = error.damage.offset or 0, error.damage
        self.end_offset = max(end, self.first_offset)
        return self.end_offset

    def close(self) -> None:
        """Close the files. What is read later opens them again."""
        for reader in (self._tail, self._reader):
            if reader is not None:
                reader.close()

    def _slice(self, wanted: slice) -> NumberArray:
        step = 1 if wanted.step is None else check_integer(wanted.step, "a step")
        if step < 1:
            raise ValueError(f"a step of {show_integer(step)}: give 1 or more, and reverse the array")
        start = self.first_offset if wanted.start is None else check_integer(wanted.start, "an offset")
        stop = MAX_OFFSET if wanted.stop is None else check_integer(wanted.stop, "an offset")
        if start < 0:
            start = max(start + self.end_offset, self.first_offset)
        if stop < 0:
            stop += self.end_offset
        count = max(min(stop, self.end_offset) - start, 0)
        if start < stop:
            self._require_kept(start)
            self._require_whole(stop)
        return self._read(start, count)[::step]

    def _require_kept(self, start: int) -> None:
        if start < self.first_offset:
            folder = self._stream.folder
            raise NotStoredError(f"{folder} keeps no offset {start}, only {self.first_offset} and later")

    def _require_whole(self, stop: int) -> None:
        """Numbers follow the damage, if there is one: what is before it must not be taken for all."""
        if self.damage is not None and stop > self.end_offset:
            raise DamagedStore(self.damage)

    def _read(self, offset: int, count: int) -> NumberArray:
        numbers = np.empty(count, self.dtype)
        done = 0
        while done < count:
            first, held = self._hold(offset + done)
            part = held[offset + done - first :][: count - done]
            numbers[done : done + len(part)] = part
            done += len(part)
        return numbers

    def _hold(self, offset: int) -> tuple[int, NumberArray]:
        """The run that has number `offset`, which is stored, and the offset of its first number."""
        first, numbers = self._held
        if not first <= offset < first + len(numbers):
            if self._reader is None or self._reader.offset != offset:
                if self._reader is not None:
                    self._reader.close()
                self._reader = self._open_reader(offset)
            found = self._reader.next_numbers()
            if found is None:
                raise NotStoredError(f"{self._stream.folder} holds no offset {offset} any more")
            self._held = found
        return self._held

    def _open_reader(self, offset: int | None, skip: Skip | None = None) -> StoreReader:
        return StoreReader(self._stream.path, offset, skip=skip)


def open_store(path: Path | str, *, stream: str | None = None) -> StoredNumbers:
    """The numbers of a stored stream, to be read in parts, even while the worker writes them.

    Args:
        path: a stream's folder, a store, or one segment.
        stream: which, if the store holds several: its id, its worker or its folder's name.

    Raises SettingsError: there is no such stream, or a choice; DamagedStore: no segment begins as one; OSError.
    """
    return StoredNumbers(path, stream)


def read_store(
    path: Path | str,
    *,
    offset: SupportsIndex | None = None,
    count: SupportsIndex | None = None,
    stream: str | None = None,
    skip_damaged: bool = False,
) -> NumberArray:
    """The stored numbers from `offset` on, shape (n,): int64, uint64 (bits64) or float64, as the stream has them.

    Args:
        path: a stream's folder, a store, or one segment.
        offset: of the first number; None: the oldest kept.
        count: the most numbers to read; None: all up to the last valid beat. Fewer may be stored.
        stream: which, if the store holds several: its id, its worker or its folder's name.
        skip_damaged: leave out what is damaged, and warn of each gap (UserWarning) with its offsets.

    Raises:
        SettingsError: there is no such stream, or a choice; NotStoredError, which is one: `offset` is not kept any
            more, or lies past the end.
        DamagedStore: what was to be read is damaged; all before its `damage.offset` is valid.
        OSError: it cannot be read.
    """
    gaps: list[Gap] = []
    with _open_at(path, offset, stream, gaps.append if skip_damaged else None) as reader:
        dtype = parse_distribution(reader.opened.numbers).dtype
        wanted = MAX_OFFSET if count is None else check_offset(count, "count")
        parts: list[NumberArray] = []
        while wanted > 0 and (found := reader.next_numbers()) is not None:
            parts.append(found[1][:wanted])
            wanted -= len(parts[-1])
        if not parts and wanted:
            _require_reached(reader)
    for gap in gaps:
        warnings.warn(str(gap), stacklevel=2)
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def read_runs(
    path: Path | str,
    *,
    offset: SupportsIndex | None = None,
    count: SupportsIndex | None = None,
    stream: str | None = None,
    skip: Skip | None = None,
) -> Iterator[Run]:
    """What `read_store` reads, as text, an interval (8 MiB at most) at a time; `skip` is called with each gap."""
    with _open_at(path, offset, stream, skip) as reader:
        wanted = left = MAX_OFFSET if count is None else check_offset(count, "count")
        while left > 0 and (run := reader.next_run()) is not None:
            if run.count > left:
                run = Run(run.offset, run.lines[: line_start(run.lines, left)], left)
            left -= run.count
            yield run
        if left == wanted > 0:
            _require_reached(reader)


def _open_at(path: Path | str, offset: SupportsIndex | None, stream: str | None, skip: Skip | None) -> StoreReader:
    return StoreReader(path, offset, stream=stream, skip=skip)


def _require_reached(reader: StoreReader) -> None:
    """Raises NotStoredError if nothing was read because the stream ends before what was asked for."""
    end = reader.find_end()
    if end < reader.offset:
        raise NotStoredError(f"{reader.folder} holds no offset {reader.offset} yet; the next to come is {end}")
