"""Chain: checks that each segment ends with a beat, where the next one begins. Changes nothing."""

from __future__ import annotations

from pathlib import Path

from .files import File
from .layout import Damage
from .walk import Walk, read_last_beat


def find_gap(file: File, path: Path, following: int) -> Damage | None:
    """What is wrong with the last line of segment `path`, if the next one begins at `following`. Raises OSError."""
    end = read_last_beat(file)
    return None if end == following else _gap(path, file.size(), end, following, is_whole=end is not None)


def find_flaw(file: File, path: Path, walk: Walk, following: int | None) -> Damage | None:
    """What is wrong where the `walk` of segment `path` ended, if the next one begins at offset `following`.

    `following` is None for the last segment, the only one that may end without a beat. Raises OSError.
    """
    if walk.flaw is not None:
        return Damage(path, walk.position, walk.offset, walk.flaw)
    if following is None:
        return None
    is_whole = walk.position == file.size()
    if is_whole and walk.offset == following:
        return None
    return _gap(path, walk.position, walk.offset, following, is_whole=is_whole)


def _gap(path: Path, position: int, end: int | None, following: int, *, is_whole: bool) -> Damage:
    if is_whole and end is not None and end > following:
        what = (
            f"the segment ends here, but the next one begins at {following} already; move away the one that is a copy"
        )
    elif is_whole:
        what = f"the segment ends here, but the next one begins at {following}; restore what is missing from a copy"
    else:
        what = f"no beat ends this segment, but one from {following} on follows it; restore it from a copy"
    return Damage(path, position, end, what)
