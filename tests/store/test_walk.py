"""Walks: from beat to beat, for as long as offset, count and checksum hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.streams import stored, text

from randstream.protocol.frames import Beat, crc32c, encode
from randstream.store import walk
from randstream.store.files import File, OSFiles
from randstream.store.layout import read_header
from randstream.store.walk import Walk, read_last_beat, walk_from_beat, walk_from_start

FIRST = "00000000000000000000.numbers"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[bytes], File]]:
    """Opens a segment of these bytes."""
    files: list[File] = []

    def open_segment(content: bytes) -> File:
        (tmp_path / FIRST).write_bytes(content)
        files.append(OSFiles().open(tmp_path / FIRST))
        return files[-1]

    yield open_segment
    for file in files:
        file.close()


LF = b"\n"


def from_start(file: File) -> Walk:
    return walk_from_start(file, read_header(file, Path(FIRST)))


def test_each_step_gives_the_lines_of_an_interval_and_stops_after_its_beat(opened: Callable[[bytes], File]) -> None:
    steps = from_start(opened(stored(0, 3, 7)))
    assert (steps.next_run(), steps.first, steps.offset, steps.position) == (text(0, 3), 0, 3, len(stored(0, 3)))
    assert (steps.next_run(), steps.first, steps.offset, steps.position) == (text(3, 7), 3, 7, len(stored(0, 3, 7)))
    assert (steps.next_run(), steps.flaw) == (None, None)


@pytest.mark.parametrize(
    ("run", "beat", "flaw"),
    [
        (b"10\n60\n", Beat(3, crc32c(b"10\n60\n"), "1"), "2 number lines, but the beat after them counts 3"),
        (b"10\n60\n77", Beat(3, crc32c(b"10\n60\n77"), "1"), "a number line that does not end before the beat"),
        (b"10\n60\n77\n", Beat(3, crc32c(b"10\n60\n78\n"), "1"), "number lines with crc "),
        (b"10\n60\n77\n", Beat(4, crc32c(b"10\n60\n77\n"), "1"), "3 number lines, but the beat after them counts 4"),
        (b"7\n" * 600, Beat(599, crc32c(b"7\n" * 600), "1"), "600 number lines, but the beat after them counts 599"),
    ],
    ids=["too few lines", "a line without its end", "another checksum", "another offset", "too many lines"],
)
def test_an_interval_holds_only_if_count_and_checksum_do(
    opened: Callable[[bytes], File], run: bytes, beat: Beat, flaw: str
) -> None:
    steps = from_start(opened(stored(0) + run + encode(beat)))
    assert (steps.next_run(), steps.offset, steps.position) == (None, 0, len(stored(0)))
    assert steps.flaw is not None
    assert steps.flaw.startswith(flaw)


@pytest.mark.parametrize("tail", [b"", b"1", b"1\n2\n", b"1\n#beat offs", b"1\n#be\0\0", b"\0" * 500])
def test_an_unfinished_tail_is_no_flaw(opened: Callable[[bytes], File], tail: bytes) -> None:
    steps = from_start(opened(stored(0, 3) + tail))
    assert steps.next_run() == text(0, 3)
    assert (steps.next_run(), steps.flaw) == (None, None)


def test_a_control_line_that_is_no_beat_is_a_flaw_as_soon_as_it_is_whole_too_long_or_has_no_such_byte(
    opened: Callable[[bytes], File],
) -> None:
    for line in (b"#nonsense\n", b"#beat offset=04 crc=00000000 t=1\n", b"#" + b"x" * 511, b"#beat offset=1 crc=0\v"):
        steps = from_start(opened(stored(0) + b"1\n" + line))
        assert steps.next_run() is None
        assert steps.flaw == f"not a beat: {line.rstrip(LF)[:80]!r}"


def test_an_interval_longer_than_any_is_a_flaw(
    opened: Callable[[bytes], File], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_BYTES", 1_000)
    steps = from_start(opened(stored(0, 10) + text(10, 2_000)))
    assert steps.next_run() == text(0, 10)
    assert (steps.next_run(), steps.flaw) == (None, "no beat in 1000 bytes")


def test_a_walk_looks_again_at_what_did_not_hold(opened: Callable[[bytes], File]) -> None:
    steps = from_start(opened(stored(0, 3) + b"1\n" + encode(Beat(4, 0, "1"))))
    assert steps.next_run() == text(0, 3)
    assert (steps.next_run(), steps.offset, steps.position) == (None, 3, len(stored(0, 3)))
    assert steps.flaw is not None
    opened(stored(0, 3, 4))
    assert (steps.next_run(), steps.first, steps.offset) == (text(3, 4), 3, 4)
    assert (steps.next_run(), steps.flaw) == (None, None)


def test_a_walk_can_begin_at_the_next_beat_after_any_position(opened: Callable[[bytes], File]) -> None:
    file = opened(stored(0, 3, 7, 9))
    ends = [len(stored(0, 3)), len(stored(0, 3, 7)), len(stored(0, 3, 7, 9))]
    for position in range(len(stored(0)) + 1, ends[2]):
        steps = walk_from_beat(file, position)
        beats = [end for end in ends if file.read(0, end).rindex(b"#") >= position]
        assert (steps.position if steps else None) == (beats[0] if beats else None), position


def test_the_last_line_is_read_as_a_beat_or_not_at_all(opened: Callable[[bytes], File]) -> None:
    assert read_last_beat(opened(stored(0, 3, 7))) == 7
    assert read_last_beat(opened(stored(0))) == 0
    for tail in (b"1", b"1\n", b"\n", b"#beat offset=9"):
        assert read_last_beat(opened(stored(0, 3) + tail)) is None
