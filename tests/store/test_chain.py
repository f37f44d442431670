"""Chains: a segment ends, with a beat, where the next one begins; only the last one may end otherwise."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from tests.store.streams import stored

from randstream.store import Damage
from randstream.store.chain import find_flaw, find_gap
from randstream.store.files import OSFiles
from randstream.store.layout import read_header
from randstream.store.walk import walk_from_start

FIRST = "00000000000000000000.numbers"
WHOLE = stored(0, 3, 9)


def gap(path: Path, content: bytes, following: int) -> Damage | None:
    path.write_bytes(content)
    with closing(OSFiles().open(path)) as file:
        return find_gap(file, path, following)


def flaw(path: Path, content: bytes, following: int | None) -> Damage | None:
    path.write_bytes(content)
    with closing(OSFiles().open(path)) as file:
        walk = walk_from_start(file, read_header(file, path))
        while walk.next_run() is not None:
            pass
        return find_flaw(file, path, walk, following)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FIRST


def test_segments_that_follow_on_each_other_have_no_gap(path: Path) -> None:
    assert gap(path, WHOLE, 9) is None
    assert flaw(path, WHOLE, 9) is None


@pytest.mark.parametrize("following", [8, 10])
def test_a_segment_that_ends_elsewhere_than_the_next_begins_is_a_gap(path: Path, following: int) -> None:
    advice = " already; move away the one that is a copy" if following < 9 else "; restore what is missing from a copy"
    what = f"the segment ends here, but the next one begins at {following}{advice}"
    assert gap(path, WHOLE, following) == flaw(path, WHOLE, following) == Damage(path, len(WHOLE), 9, what)


@pytest.mark.parametrize("tail", [b"1", b"1\n", b"#beat offset=10"])
def test_only_the_last_segment_may_end_without_a_beat(path: Path, tail: bytes) -> None:
    what = "no beat ends this segment, but one from 9 on follows it; restore it from a copy"
    assert gap(path, WHOLE + tail, 9) == Damage(path, len(WHOLE + tail), None, what)
    assert flaw(path, WHOLE + tail, 9) == Damage(path, len(WHOLE), 9, what)
    assert flaw(path, WHOLE + tail, None) is None


def test_what_does_not_hold_is_a_flaw_of_any_segment(path: Path) -> None:
    damaged = stored(0, 3) + WHOLE[len(stored(0, 3)) :].replace(b"#beat offset=9", b"#beat offset=8")
    for following in (9, None):
        found = flaw(path, damaged, following)
        assert found is not None
        assert (found.position, found.offset) == (len(stored(0, 3)), 3)
        assert found.what == "6 number lines, but the beat after them counts 5"
