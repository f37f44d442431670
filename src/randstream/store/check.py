"""Check: one stored stream, segment by segment, beat by beat, up to the first damage. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import SettingsError
from ..numbers.distributions import is_canonical, parse_distribution
from ..numbers.numerals import OddLineError, parse_lines
from ..numbers.stream import NumberStream
from ..protocol import MAX_OFFSET
from ..protocol.frames import Open
from .chain import find_flaw
from .files import File, Files
from .layout import Damage, DamagedStore, Header, StoredStream, find_stranger, list_folder, read_header, segment_path
from .walk import MOST_BYTES, walk_from_start

BLOCK: Final = 2**16
"""Numbers made again at a time: few enough for a core's cache."""


@dataclass(slots=True)
class StreamReport:
    """What `Check` has found of one stream: the numbers from `first_offset` up to `end_offset` are valid."""

    folder: Path
    opened: Open | None = None
    """How the stream was opened; None if its first header is not valid."""
    segments: int = 0
    first_offset: int = 0
    end_offset: int = 0
    unproven_tail_bytes: int = 0
    """After the last beat: of a commit under way, or of one that a crash ended and recovery will cut off: no damage."""
    damage: Damage | None = None
    """The first that was found, or why the stream cannot be read. What follows it was not checked."""
    seed_makes: str | None = None
    """The stream that the seed given makes, if it is not this one: the numbers were checked as without a seed."""
    foreign: tuple[Path, ...] = ()
    """What in the folder is not the store's. It does no harm, and was not checked."""

    @property
    def count(self) -> int:
        return self.end_offset - self.first_offset

    @property
    def outcome(self) -> str:
        """In a word or two: `damaged`, `wrong seed` if that is all that is wrong, or `ok`."""
        if self.damage is not None:
            return "damaged"
        return "ok" if self.seed_makes is None else "wrong seed"


class Check:
    """Checks `stored`, and with `seed` its numbers too; calls `advance` with the bytes that were just checked."""

    def __init__(self, files: Files, stored: StoredStream, seed: str | None, advance: Callable[[int], None]) -> None:
        self._files = files
        self._stored = stored
        self._seed = seed
        self._advance = advance
        self._stream: NumberStream | None = None
        self._dtype = ""
        self._report = StreamReport(stored.folder)

    def run(self) -> StreamReport:
        """Check every segment. Raises nothing, so the other streams are still checked."""
        folder = self._stored.folder
        try:
            if self._stored.only is None:
                self._report.foreign = list_folder(self._files, folder).foreign
            firsts = self._stored.firsts(self._files)
            for first, following in zip_longest(firsts, firsts[1:]):
                self._check_segment(segment_path(folder, first), following)
        except DamagedStore as error:
            self._report.damage = error.damage
        except OSError as error:
            path = Path(error.filename or folder)
            self._report.damage = Damage(path, 0, None, f"cannot be read: {error.strerror or error}")
        except SettingsError as error:  # retention, or a person, has removed all of it
            self._report.damage = Damage(folder, 0, None, str(error))
        return self._report

    def _check_segment(self, path: Path, following: int | None) -> None:
        try:
            file = self._files.open(path)
        except FileNotFoundError:
            return  # retention was faster
        with closing(file):
            header = read_header(file, path)
            self._check_header(path, header)
            self._check_intervals(file, path, header, following)

    def _check_header(self, path: Path, header: Header) -> None:
        report, opened = self._report, header.opened
        if report.opened is None:
            report.opened = opened
            report.first_offset = report.end_offset = header.first
            self._stream = self._make_stream(path, opened)
        elif damage := find_stranger(header, path, report.opened):
            raise DamagedStore(damage)
        report.segments += 1

    def _make_stream(self, path: Path, opened: Open) -> NumberStream | None:
        if not is_canonical(opened.numbers):
            raise DamagedStore(Damage(path, 0, None, f"{opened.numbers} is not a distribution as the wire spells it"))
        self._dtype = parse_distribution(opened.numbers).dtype
        if self._seed is None:
            return None
        stream = NumberStream(self._seed, opened.worker, opened.numbers)
        if stream.id != opened.stream:
            self._report.seed_makes = stream.id
            return None
        return stream

    def _check_intervals(self, file: File, path: Path, header: Header, following: int | None) -> None:
        walk = walk_from_start(file, header)
        self._advance(header.size)
        position = walk.position
        while (lines := walk.next_run()) is not None:
            count = walk.offset - walk.first
            if self._stream is None:
                try:
                    parse_lines(lines, count, self._dtype)
                except OddLineError as error:
                    where = position + error.position, walk.first + error.index
                    raise DamagedStore(Damage(path, *where, str(error))) from error
            elif found := _find_difference(self._stream, lines, walk.first, count):
                index, offset = found
                raise DamagedStore(Damage(path, position + index, offset, "not the number that the seed makes"))
            self._report.end_offset = walk.offset
            self._advance(walk.position - position)
            position = walk.position
        if damage := find_flaw(file, path, walk, following):
            raise DamagedStore(self._pinpoint(damage, file))
        self._report.unproven_tail_bytes = file.size() - position
        self._advance(self._report.unproven_tail_bytes)

    def _pinpoint(self, damage: Damage, file: File) -> Damage:
        """`damage` of an interval, narrowed with the seed to its first wrong byte."""
        if self._stream is None or damage.offset is None:
            return damage
        text = file.read(damage.position, MOST_BYTES)
        count = min(text.count(b"\n") + 1, MAX_OFFSET - damage.offset)
        index, offset = _find_difference(self._stream, text, damage.offset, count) or (0, damage.offset)
        return replace(damage, position=damage.position + index, offset=offset)


def _find_difference(stream: NumberStream, lines: bytes, offset: int, count: int) -> tuple[int, int] | None:
    """Where `lines` first differ from the `count` lines of `stream` from `offset` on: the byte, and the number."""
    position = 0
    end = offset + count
    while offset < end:
        made = stream.lines(offset, min(BLOCK, end - offset))
        if not lines.startswith(made, position):
            index = _count_equal(lines[position : position + len(made)], made)
            return position + index, offset + made.count(b"\n", 0, index)
        position += len(made)
        offset += BLOCK
    return None


def _count_equal(left: bytes, right: bytes) -> int:
    """How many bytes `left` and `right`, which differ, have in common at the start."""
    size = min(len(left), len(right))
    differs = np.frombuffer(left, np.uint8, size) != np.frombuffer(right, np.uint8, size)
    return int(differs.argmax()) if differs.any() else size
