"""Lines: those of a pod's log, as kubectl gives them, for people or as JSON."""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime
from typing import Any, NamedTuple

from cluster import Object

COLOURS = {"warning": "33", "error": "31"}
OWN_TIME = re.compile(r'\{"timestamp": ?"([^"]+)"')
COMMON = ("timestamp", "level", "event")

Moment = tuple[int, int]
"""Seconds since 1970, and nanoseconds."""


class Line(NamedTuple):
    """A line of a pod's log."""

    moment: Moment
    """When it happened: by the line's own words if it is an event of ours, else as the node wrote it."""
    pod: str
    text: str
    written: Moment = (0, 0)
    """When the node wrote it. No line of a pod comes before this in its log."""


def parse(pod: str, line: str) -> Line | None:
    """A line as `kubectl logs --timestamps` shows it; None: kubectl's own words."""
    stamp, _, text = line.rstrip("\n").partition(" ")
    own = OWN_TIME.match(text)
    try:
        written = moment_of(stamp)
        return Line(moment_of(own[1]) if own else written, pod, text, written)
    except ValueError:
        return None


def moment_of(stamp: str) -> Moment:
    """A time of day as RFC 3339 writes it, with up to nine digits after the point. Raises ValueError."""
    whole, _, rest = stamp.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    at = datetime.fromisoformat(whole + rest[len(digits) :].replace("Z", "+00:00"))
    return int(at.timestamp()), int(digits.ljust(9, "0"))


class Printer:
    """Prints lines for people, or as JSON."""

    def __init__(self, width: int, *, as_json: bool) -> None:
        self._width = width
        self._as_json = as_json
        is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self._has_colours = sys.stdout.isatty() and not is_plain

    def print(self, line: Line) -> None:
        """Print a line."""
        event = event_of(line.text)
        if self._as_json:
            print(json.dumps({"pod": line.pod, **(event or {"line": line.text})}, ensure_ascii=False), flush=True)
            return
        self._width = max(self._width, len(line.pod))
        clock = datetime.fromtimestamp(line.moment[0]).strftime("%H:%M:%S")
        text = printable(describe(event, line.pod) if event else line.text)
        shown = f"{clock} {line.pod:<{self._width}}  {text}"
        colour = COLOURS.get(str(event.get("level"))) if event and self._has_colours else None
        print(f"\033[{colour}m{shown}\033[0m" if colour else shown, flush=True)


def event_of(text: str) -> Object | None:
    """What a line of ours holds; None: it is another program's, or a traceback's."""
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def describe(event: Object, pod: str) -> str:
    """An event in one line, without what the line says already."""
    level = "" if event.get("level") == "info" else f"{str(event.get('level')).upper()} "
    fields = [f"{name}={short(value)}" for name, value in event.items() if name not in COMMON and value != pod]
    return " ".join([f"{level}{event['event']}", *fields])


def short(value: Any) -> str:
    """A field's value: as it is if that is one word."""
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and value.isprintable() and value and " " not in value:
        return value
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))


def printable(text: str) -> str:
    """A text without what could move a terminal's cursor."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
