"""Reader: one stored stream run by run, checked as it is read. Never writes; the worker may write the store too."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, SupportsIndex

import numpy as np

from ..errors import NotStoredError, SettingsError
from ..numbers.distributions import NumberArray, parse_distribution
from ..numbers.numerals import OddLineError, parse_lines
from ..numbers.offsets import check_offset
from ..protocol import MAX_OFFSET
from ..protocol.frames import Open
from ..protocol.runs import Run
from .chain import find_flaw
from .files import File, OSFiles
from .layout import Damage, DamagedStore, choose_stream, find_stranger, find_streams, read_header, segment_path
from .recovery import RECOVERY_BYTES
from .walk import Walk, read_last_beat, walk_from_beat, walk_from_start, walk_past_flaw

NEAR_BYTES: Final = 2**17
"""This near to what is wanted, walking is quicker than halving."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers `first` up to `end`, left out because of `damage`; `end` is None if it is not known."""

    first: int
    end: int | None
    damage: Damage

    def __str__(self) -> str:
        match self.end:
            case None:
                what = f"offset {self.first} and all after it are left out"
            case self.first:
                what = "no number is left out"
            case end:
                what = f"offsets {self.first} to {end - 1} are left out"
        return f"{what}: {self.damage}"


class StoreReader:
    """Reads one stream run by run, and follows it: `next_run` may be called again after None.

    Args:
        path: a stream's folder, a store, or one segment.
        offset: of the first number, which may be stored later; None: the oldest kept.
        stream: which, if the store holds several: its id, its worker or its folder's name.
        skip: called with each gap instead of raising DamagedStore; what can be proved after the gap is then read.

    Raises:
        SettingsError: there is no such stream, or a choice; NotStoredError: `offset` is not kept (any more).
        DamagedStore: the segment does not begin as one.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        path: Path | str,
        offset: SupportsIndex | None = None,
        *,
        stream: str | None = None,
        skip: Callable[[Gap], None] | None = None,
    ) -> None:
        wanted = None if offset is None else check_offset(offset)
        self._files = OSFiles()
        self._stream = choose_stream(find_streams(self._files, Path(path)), Path(path), stream)
        self._skip = skip
        self._skipped: Damage | None = None
        self.folder = self._stream.folder
        """The stream's folder."""
        firsts = self._stream.firsts(self._files)
        self._first = firsts[0]
        """The first offset of the segment that is being read."""
        self._bad_header: Damage | None = None
        self._walk: Walk | None = None
        self.offset = self._first if wanted is None else wanted
        """Offset of the next number to be read."""
        self.opened = self._find_opened(firsts)
        """How the stream was opened: its worker, its id, its distribution."""
        self.dtype = _find_dtype(self.opened)
        """Of its numbers; None: this version does not know the distribution, and checks only bytes."""
        self._seek()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Run]:
        """Every run up to the last beat that is valid now."""
        return iter(self.next_run, None)

    def close(self) -> None:
        """May be called again; the next read opens what it needs."""
        if self._walk is not None:
            self._walk.file.close()
            self._walk = None

    def next_run(self) -> Run | None:
        """The numbers up to the next beat; None after the last valid one, for now.

        Raises NotStoredError: retention has removed what comes next; DamagedStore: it is damaged or missing.
        """
        found = self._next()
        return None if found is None else found[0]

    def next_numbers(self) -> tuple[int, NumberArray] | None:
        """The same as an array, shape (n,), of the stream's dtype, and the offset of its first number."""
        if self.dtype is None:
            parse_distribution(self.opened.numbers)  # raises
        found = self._next()
        return None if found is None or found[1] is None else (found[0].offset, found[1])

    def find_end(self) -> int:
        """The offset after the last number that a beat proves now, with `offset` there or beyond. Errors as above."""
        while self._step() is not None:
            pass
        assert self._walk is not None
        return self._walk.offset

    def _next(self) -> tuple[Run, NumberArray | None] | None:
        while (found := self._step()) is not None:
            run, position = found
            try:
                return run, parse_lines(run.lines, run.count, self.dtype) if self.dtype else None
            except OddLineError as error:
                path = segment_path(self.folder, self._first)
                damage = Damage(path, position + error.position, run.offset + error.index, str(error))
            if self._skip is None:
                self.close()
                self.offset = run.offset
                raise DamagedStore(damage)
            self._skip(Gap(run.offset, run.end_offset, damage))
        return None

    def _step(self) -> tuple[Run, int] | None:
        """The next run, and the byte of its segment where it begins."""
        is_second_look = False
        while True:
            walk = self._walk or self._seek()
            position = walk.position
            lines = walk.next_run()
            following = None
            if lines is None and (following := self._following()) is not None:
                lines = walk.next_run()  # it may have grown before it was closed just now
            if lines is not None:
                if walk.offset > self.offset:
                    start = line_start(lines, self.offset - walk.first)
                    run = Run(self.offset, lines[start:], walk.offset - self.offset)
                    self.offset = walk.offset
                    return run, position + start
                continue
            path = segment_path(self.folder, self._first)
            damage = self._bad_header or find_flaw(walk.file, path, walk, following)
            if damage is None:
                if following is None:
                    return None
                self._enter(following)
            elif self._first not in self._stream.firsts(self._files):
                self._seek()  # retention was faster than this reader, and removed what follows too
            elif following is None and not is_second_look:
                is_second_look = True
                self.close()  # a failed commit may have been cut off and written again
            elif not self._pass_over(damage, walk, following):
                return None

    def _pass_over(self, damage: Damage, walk: Walk, following: int | None) -> bool:
        """Continue after `damage`, where the `walk` ended; False: nothing there can be proved, for now."""
        if self._skip is None:
            self.close()
            raise DamagedStore(damage)
        ahead = walk_past_flaw(walk.file, walk.position, walk.offset, MAX_OFFSET if following is None else following)
        end = following if ahead is None else ahead.offset
        if ahead is not None:
            self._bad_header, self._walk = None, ahead
        elif following is not None:
            self._enter(following)
        else:
            last = read_last_beat(walk.file)
            end = last if last is not None and last > self.offset else None
        if damage != self._skipped and (end is None or end > self.offset or walk.offset >= self.offset):
            self._skip(Gap(self.offset, max(end, self.offset) if end is not None else None, damage))
            self._skipped = damage
        if ahead is None and following is None:
            return False
        self.offset = max(self.offset, end or 0)
        return True

    def _seek(self) -> Walk:
        firsts = self._stream.firsts(self._files)
        index = bisect_right(firsts, self.offset) - 1
        if index < 0:
            raise NotStoredError(f"{self.folder} keeps no offset {self.offset}, only {firsts[0]} and later")
        walk = self._enter(firsts[index])
        is_last = index == len(firsts) - 1
        found = _find_beat(walk, self.offset, walk.file.size() - (RECOVERY_BYTES if is_last else 0))
        if found is not walk:
            self._bad_header, self._walk = None, found
        return found

    def _following(self) -> int | None:
        return next((first for first in self._stream.firsts(self._files) if first > self._first), None)

    def _enter(self, first: int) -> Walk:
        self.close()
        path = segment_path(self.folder, first)
        try:
            file = self._files.open(path)
        except FileNotFoundError:
            raise NotStoredError(f"{path} is not there (any more)") from None
        self._first = first
        try:
            self._walk = self._begin(file, path, first)
        except Exception:
            file.close()
            raise
        return self._walk

    def _begin(self, file: File, path: Path, first: int) -> Walk:
        """A walk of segment `path`; if its header is not what it must be, one that has no numbers yet."""
        try:
            header = read_header(file, path)
        except DamagedStore as error:
            self._bad_header, walk = error.damage, Walk(file, 0, first)
        else:
            self._bad_header = find_stranger(header, path, self.opened)
            walk = walk_from_start(file, header) if self._bad_header is None else Walk(file, file.size(), first)
        if self._bad_header is not None and self._skip is None:
            raise DamagedStore(self._bad_header)
        return walk

    def _find_opened(self, firsts: tuple[int, ...]) -> Open:
        """What the oldest segment's header says; if it is not valid, the next one's."""
        error: Exception | None = None
        for first in firsts:
            path = segment_path(self.folder, first)
            try:
                file = self._files.open(path)
            except FileNotFoundError:
                error = error or NotStoredError(f"{path} is not there (any more)")
                continue
            try:
                return read_header(file, path).opened
            except DamagedStore as damaged:
                error = error or damaged
            finally:
                file.close()
        assert error is not None
        raise error


def line_start(lines: bytes, index: int) -> int:
    """The position of line `index`; of the end, when there are `index` lines."""
    if index == 0:
        return 0
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n"))
    return int(ends[index - 1]) + 1


def _find_beat(walk: Walk, offset: int, end: int) -> Walk:
    """A walk from a beat at or below `offset`, found by halving what lies between `walk` and `end`: all durable."""
    while end - walk.position > NEAR_BYTES:
        middle = (walk.position + end) // 2
        probe = walk_from_beat(walk.file, middle)
        if probe is not None and probe.offset <= offset and probe.position <= end:
            walk = probe
        else:
            end = middle
    return walk


def _find_dtype(opened: Open) -> str | None:
    try:
        return parse_distribution(opened.numbers).dtype
    except SettingsError:
        return None
