"""Snapshot: an admin server's answer, read as untrusted input. Pure.

The result has the shape that `docs/operations.md` gives to /api/links, as far as `top` shows it: every field is there
and of its type, no figure is too large to be shown, and no text can move the cursor.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from ..words import plain
from .rows import ORDER

LONGEST_TEXT: Final = 1000
"""Characters of a text: names have 128, errors a few hundred."""


class WrongShape(ValueError):
    """It is not a snapshot. The message names the first wrong field, and quotes nothing from it."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number from 0 to `most`; a whole one, or any."""

    is_whole: bool
    most: float = 2.0**70


@dataclass(frozen=True, slots=True)
class _Choice:
    """One of these texts."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OrNull:
    shape: Any


@dataclass(frozen=True, slots=True)
class _Optional:
    """May be missing, as from a version that does not know it yet, and is then null."""

    shape: Any


_TEXT: Final = str
_COUNT: Final = _Figure(is_whole=True)
_SECONDS: Final = _Figure(is_whole=False)
_TIME: Final = _Figure(is_whole=False, most=4e9)
"""Seconds since 1970 that every platform has a calendar for."""
_LINK: Final = {
    "worker": _OrNull(_TEXT),
    "peer": _OrNull(_TEXT),
    "state": _Choice(ORDER),
    "offset": _COUNT,
    "acked_offset": _COUNT,
    "rate": _SECONDS,
    "round_trip": _OrNull(_SECONDS),
    "silence": _OrNull(_SECONDS),
    "error": _OrNull(_TEXT),
    "reason": _Optional(_TEXT),
    "since": _Optional(_TIME),
    "served_by": _OrNull(_TEXT),
    "standbys": [{"producer": _TEXT}],
    "interruptions": {
        "count": _COUNT,
        "longest": _SECONDS,
        "current": _OrNull({"seconds": _SECONDS, "cause": _TEXT}),
    },
}
_SNAPSHOT: Final = {
    "role": _Choice(("producer", "worker")),
    "name": _TEXT,
    "time": _TIME,
    "uptime": _SECONDS,
    "problem": _OrNull(_TEXT),
    "warning": _OrNull(_TEXT),
    "numbers": _OrNull(_TEXT),
    "totals": {"states": dict, "rate": _SECONDS, "numbers": _COUNT, "reconnects": _COUNT},
    "links": [_LINK],
    "left_out": _COUNT,
    "events": [{"time": _TIME, "event": _TEXT, "link": _OrNull(_TEXT), "detail": _OrNull(_TEXT)}],
}


def read_snapshot(body: bytes) -> dict[str, Any]:
    """The snapshot in `body`, without unknown fields. Raises WrongShape."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongShape("it is not JSON") from None
    snapshot: dict[str, Any] = _read(given, _SNAPSHOT, "")
    return snapshot


def _read(given: Any, shape: Any, where: str) -> Any:
    match shape:
        case dict() if isinstance(given, dict):
            return {key: _read(given.get(key, ...), each, f"{where}.{key}".lstrip(".")) for key, each in shape.items()}
        case [each] if isinstance(given, list):
            return [_read(one, each, f"{where}[{i}]") for i, one in enumerate(given)]
        case _Optional() if given is ...:
            return None
        case _OrNull() | _Optional() if given is None:
            return None
        case _OrNull(each) | _Optional(each):
            return _read(given, each, where)
        case _Choice(texts) if given in texts:
            return given
        case _Figure(is_whole, most) if _is_figure(given, is_whole) and 0 <= given <= most:
            return given
        case _ if shape is str and isinstance(given, str):
            return plain(given[:LONGEST_TEXT])
        case _ if shape is dict and isinstance(given, dict):  # of figures by state
            return {state: _read(given[state], _COUNT, f"{where}.{state}") for state in ORDER if state in given}
    name = where or "the whole"
    raise WrongShape(f"{name} is missing" if given is ... else f"{name} has the wrong shape")


def _is_figure(given: Any, is_whole: bool) -> bool:
    return isinstance(given, int if is_whole else int | float) and not isinstance(given, bool)
