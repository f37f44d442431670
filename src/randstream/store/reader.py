"""Reader: the numbers of a store, checked as they are read. Never writes; the store may be written meanwhile."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..numbers.distributions import parse_distribution
from ..protocol import MAX_OFFSET
from ..protocol.frames import Open
from ..protocol.runs import Run
from .chain import find_flaw
from .files import OSFiles
from .layout import Damage, DamagedStore, find_streams, read_header, segment_path
from .recovery import RECOVERY_BYTES
from .walk import MOST_BYTES, Walk, walk_from_beat, walk_from_start


def read_store(path: Path | str, *, offset: int | None = None, count: int | None = None) -> NDArray[Any]:
    """The stored numbers from `offset` on, shape (n,): int64, uint64 (bits64) or float64, as the stream has them.

    Args:
        path: a stream's folder, a store that holds one stream, or one segment.
        offset: of the first number; None: the oldest kept.
        count: the most numbers to read; None: all up to the last beat that holds. Fewer may be stored.

    Raises:
        SettingsError: there is no stream, or more than one, or `offset` is not kept (any more).
        DamagedStore: what was to be read does not hold.
        OSError: it cannot be read.
    """
    with StoreReader(path, offset) as reader:
        dtype = parse_distribution(reader.opened.numbers).dtype
        parts = [parse_run(run, dtype, reader.folder) for run in _limit(reader, count)]
        return np.concatenate(parts) if parts else np.empty(0, dtype)


def read_runs(path: Path | str, *, offset: int | None = None, count: int | None = None) -> Iterator[Run]:
    """What `read_store` reads, as text, an interval (8 MiB at most) at a time."""
    with StoreReader(path, offset) as reader:
        yield from _limit(reader, count)


class StoreReader:
    """Reads one stream interval by interval, and follows it: `next_run` may be called again after None.

    Arguments and errors are those of `read_store`.
    """

    def __init__(self, path: Path | str, offset: int | None = None) -> None:
        self._files = OSFiles()
        streams = find_streams(self._files, Path(path))
        if len(streams) > 1:
            names = ", ".join(stream.folder.name for stream in streams)
            raise SettingsError(f"{path} holds several streams, name one: {names}")
        self._stream = streams[0]
        self.folder = self._stream.folder
        """The stream's."""
        self._first = self._stream.firsts(self._files)[0]
        """Of the segment that is being read."""
        self._walk: Walk | None = None
        self.offset = self._first if offset is None else offset
        """Of the next number to be read."""
        self.opened: Open
        """How the stream was opened: its worker, its id, its distribution."""
        self._seek()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Run]:
        """Every run up to the last beat that holds now."""
        return iter(self.next_run, None)

    def close(self) -> None:
        if self._walk is not None:
            self._walk.file.close()
            self._walk = None

    def next_run(self) -> Run | None:
        """The numbers up to the next beat; None after the last one that holds, for now.

        Raises SettingsError: retention has removed what comes next; DamagedStore: a closed segment does not hold, or
        one is missing.
        """
        while True:
            walk = self._walk or self._seek()
            lines = walk.next_run()
            if lines is None and (following := self._following()) is not None:
                lines = walk.next_run()  # it may have grown until it was closed just now
                if lines is None:
                    self._turn_to(following, walk)
                    continue
            if lines is None:
                if walk.flaw is not None:
                    self.close()  # a failed commit may be cut off and written anew: look again next time
                return None
            if walk.offset > self.offset:
                start = line_start(lines, self.offset - walk.first)
                run = Run(self.offset, lines[start:], walk.offset - self.offset)
                self.offset = walk.offset
                return run

    def _seek(self) -> Walk:
        firsts = self._stream.firsts(self._files)
        index = bisect_right(firsts, self.offset) - 1
        if index < 0:
            raise SettingsError(f"{self.folder} keeps no offset {self.offset}, only {firsts[0]} and later")
        walk = self._enter(firsts[index])
        is_last = index == len(firsts) - 1
        self._walk = _find_beat(walk, self.offset, walk.file.size() - (RECOVERY_BYTES if is_last else 0))
        return self._walk

    def _following(self) -> int | None:
        return next((first for first in self._stream.firsts(self._files) if first > self._first), None)

    def _turn_to(self, following: int, walk: Walk) -> None:
        damage = find_flaw(walk.file, segment_path(self.folder, self._first), walk, following)
        if damage is None:
            self._enter(following)
        elif self._first in self._stream.firsts(self._files):
            raise DamagedStore(damage)
        else:  # retention was faster than this reader, and took what follows too
            self._seek()

    def _enter(self, first: int) -> Walk:
        self.close()
        path = segment_path(self.folder, first)
        try:
            file = self._files.open(path)
        except FileNotFoundError:
            raise SettingsError(f"{path} is not there (any more)") from None
        try:
            header = read_header(file, path)
        except Exception:
            file.close()
            raise
        self._first = first
        self.opened = header.opened
        self._walk = walk_from_start(file, header)
        return self._walk


def line_start(lines: bytes, index: int) -> int:
    """The position of line `index`; of the end, when there are `index` lines."""
    if index == 0:
        return 0
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    return int(ends[index - 1]) + 1


def _find_beat(walk: Walk, offset: int, end: int) -> Walk:
    """A walk from a beat at or below `offset`, found by halving what lies between `walk` and `end`: all durable."""
    while end - walk.position > 2 * MOST_BYTES:
        middle = (walk.position + end) // 2
        probe = walk_from_beat(walk.file, middle)
        if probe is not None and probe.offset <= offset:
            walk = probe
        else:
            end = middle
    return walk


def parse_run(run: Run, dtype: str, folder: Path) -> NDArray[Any]:
    """The numbers of `run`, shape (run.count,). Raises DamagedStore: one of them, in `folder`, is no `dtype`."""
    try:
        numbers = np.fromstring(run.lines, dtype, sep="\n")
    except ValueError:
        numbers = np.empty(0, dtype)
    if len(numbers) != run.count:
        what = f"here or in the next {run.count} is a number that is no {dtype}"
        raise DamagedStore(Damage(folder, 0, run.offset, what))
    return numbers


def _limit(runs: Iterable[Run], count: int | None) -> Iterator[Run]:
    left = MAX_OFFSET if count is None else count
    if left <= 0:
        return
    for run in runs:
        if run.count >= left:
            yield Run(run.offset, run.lines[: line_start(run.lines, left)], left)
            return
        yield run
        left -= run.count
