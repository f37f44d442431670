"""Words: figures and peers' texts as a terminal shows them."""

from __future__ import annotations

from typing import Final

_NEAREST: Final = str.maketrans("●■◇○·–×µ…", "*#o@.-xu~")
"""The closest in ASCII."""


def plain(text: str) -> str:
    """`text` without control characters: a peer's text must not move the cursor."""
    return "".join(each if each.isprintable() else " " for each in text)


def in_seconds(seconds: float | None) -> str:
    """`12.3 ms`, `4.0 s`, `5 min`; a dash for None."""
    if seconds is None:
        return "–"
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * factor:.1f} {unit}" if unit in ("ms", "s") else f"{seconds * factor:.0f} {unit}"
    return f"{seconds / 3600:.0f} h"


def counted(count: int, noun: str) -> str:
    """`1 link`, `1,000 links`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def approximate(error: UnicodeError) -> tuple[str, int]:
    """An error handler for encodings that lack what we print: the nearest in ASCII, or `?`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    nearest = error.object[error.start : error.end].translate(_NEAREST)
    return nearest.encode("ascii", "replace").decode(), error.end
