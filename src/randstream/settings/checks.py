"""Checks: each turns a value or its text into the value of a setting, or raises ValueError with a line of advice.

They do no I/O. None of them knows which setting it checks.
"""

from __future__ import annotations

import math
import os
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, Final

from ..numbers.offsets import check_integer
from ..protocol import MAX_HEARTBEAT, MAX_OFFSET, MIN_HEARTBEAT, NAME

_UNITS: Final = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_COUNT: Final = r"[0-9]+(?:_[0-9]+)*|[0-9]+(?:\.[0-9]+)?[eE]\+?[0-9]{1,2}"
_SIZE: Final = re.compile(rf"({_COUNT}) ?([KMGT]iB|B|)", re.ASCII)
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}) ?(ms|s|m|h|)", re.ASCII)
_SECONDS: Final = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATIONS: Final = "such as 2, 0.5, 500ms, 3m or 1h"
_IDENTITY: Final = re.compile(r"[^\s*]+")
_IDENTITIES: Final = (
    "DNS names or URIs as they stand in certificates, such as worker-0.workers.svc or spiffe://cluster.local/worker,"
    " several separated by commas"
)
_HOST_NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_SHOWN: Final = 60
"""Characters of a value that an error repeats: ten thousand targets would be no help."""


def check_name(value: Any) -> str:
    """A name that the protocol allows."""
    found = NAME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(
            "give a name of up to 128 letters, digits, '.', '_' and '-', the first a letter or a digit, such as node-1"
        )
    return found[0]


def check_rate(value: Any) -> float:
    """Numbers a second; `max` is infinity."""
    if isinstance(value, str) and value == "max":
        return math.inf
    rate = _number(value)
    if not rate > 0:
        raise ValueError("give a number above 0 (of numbers a second), such as 0.5, 10 or 1e6; or max")
    return rate


def check_numbers(value: Any) -> str:
    """The canonical spelling of a distribution. Raises SettingsError."""
    from ..numbers.distributions import parse_distribution  # NumPy: not for --help

    return parse_distribution(str(value)).spelling


def check_heartbeat(value: Any) -> float:
    """Seconds, rounded to whole milliseconds."""
    seconds = round(_seconds(value), 3)
    if not MIN_HEARTBEAT <= seconds <= MAX_HEARTBEAT:
        raise ValueError(f"give {MIN_HEARTBEAT:g} to {MAX_HEARTBEAT:g} seconds, such as 1, 0.5 or 500ms")
    return seconds


def check_seconds(value: Any) -> float:
    """Seconds, 0 or more."""
    seconds = _seconds(value)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"give seconds, 0 or more, {DURATIONS}")
    return seconds


def read_count(text: str) -> int | None:
    """The whole number that `text` means: `1000000`, `1_000_000` or `1e6`; None: it is none."""
    number = Decimal(text) if re.fullmatch(_COUNT, text, re.ASCII) else None
    return None if number is None or number != number.to_integral_value() else int(number)


def check_size(value: Any) -> int:
    """Bytes: `1GiB`, `64MiB`, `4096`."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    try:
        size = (read_count(found[1]) or 0) * _UNITS[found[2]] if found else check_integer(value, "the size")
    except TypeError:
        size = 0
    if not 0 < size <= MAX_OFFSET:
        raise ValueError("give bytes above 0, such as 1GiB, 64MiB, 1000000 or 1e6")
    return size


def check_switch(value: Any) -> bool:
    """True or false, in any of the spellings that are common in environments."""
    text = str(value).lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("give true or false")
    return text in ("1", "true", "yes", "on")


def check_command(value: Any) -> tuple[str, ...]:
    """A program and its arguments; as text, quoted as in a shell."""
    if not isinstance(value, str):
        return tuple(_texts(value, "a program and its arguments, as text or as a list of texts"))
    try:
        return tuple(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"{error}; quote it as in a shell") from None


def check_file(value: Any) -> str:
    """The path of a file, which need not exist yet."""
    return _path(value, "a file")


def check_identities(value: Any) -> tuple[str, ...]:
    """Names in certificates, separated by commas: URIs as they are, DNS names in lower case."""
    names = _names(value, _IDENTITY, _IDENTITIES)
    return tuple(name if "/" in name else name.lower() for name in names)


def check_host_names(value: Any) -> tuple[str, ...]:
    """Names of hosts, separated by commas, in lower case; `*.` before a name stands for all names that end in it."""
    what = "names of hosts without a port, such as page.example.org or *.example.org, several separated by commas"
    return tuple(name.lower().removesuffix(".") for name in _names(value, _HOST_NAME, what))


def check_folder(value: Any) -> Path:
    """The path of a folder, which need not exist yet."""
    return Path(_path(value, "a folder"))


def in_words(choices: Sequence[str]) -> str:
    """`a, b or c`."""
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def one_of(*choices: str) -> Callable[[Any], str]:
    """A check that accepts only `choices`, in any case."""

    def check(value: Any) -> str:
        if (choice := str(value).lower()) not in choices:
            raise ValueError(f"give {in_words(choices)}")
        return choice

    return check


def _number(value: Any) -> float:
    """A number given as text or as any type of real number, but not as a bool, bytes or an array; NaN: it is none."""
    if isinstance(value, bool) or not isinstance(value, str | Real | Decimal):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _seconds(value: Any) -> float:
    """Seconds, as a number or as text with or without a unit; NaN: they are none."""
    if not isinstance(value, str):
        return _number(value)
    found = _DURATION.fullmatch(value.strip())
    return math.nan if found is None else float(found[1]) * _SECONDS[found[2]]


def _path(value: Any, what: str) -> str:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not (isinstance(path, str) and path):
        raise ValueError(f"give the path of {what}")
    return path


def _texts(value: Any, what: str) -> list[str]:
    """The texts and paths of a list; bytes are not one, though Python iterates over them."""
    given = list(value) if isinstance(value, Iterable) else [value]
    if not all(isinstance(each, str | os.PathLike) for each in given):
        raise ValueError(f"give {what}")
    return [os.fspath(each) for each in given]


def _names(value: Any, pattern: re.Pattern[str], what: str) -> list[str]:
    """The names of a text or of a list of texts, separated by commas."""
    given = [value] if isinstance(value, str) else _texts(value, what)
    names = [name.strip() for each in given for name in each.split(",")]
    if not all(pattern.fullmatch(name) for name in names):
        raise ValueError(f"give {what}")
    return names


def shorten(text: str) -> str:
    """The beginning of `text`, escaped where it cannot be printed: what an error repeats of a value."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return shown if shown and shown.isprintable() else repr(shown)
