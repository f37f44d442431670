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
_IDENTITY: Final = re.compile(r"[^\s*]+")
_HOST_NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
_SHOWN: Final = 60
"""Characters of a value that an error repeats: ten thousand targets would be no help."""


def check_name(value: Any) -> str:
    """A name that the protocol allows."""
    found = NAME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("give a name of up to 128 letters, digits, '.', '_' and '-', the first a letter or a digit")
    return found[0]


def check_rate(value: Any) -> float:
    """Numbers a second; `max` is infinity."""
    if isinstance(value, str) and value == "max":
        return math.inf
    rate = _number(value)
    if not rate > 0:
        raise ValueError("give a number above 0 (numbers a second, 0.5 is fine), or max")
    return rate


def check_numbers(value: Any) -> str:
    """The canonical spelling of a distribution. Raises SettingsError."""
    from ..numbers.distributions import parse_distribution  # NumPy: not for --help

    return parse_distribution(str(value)).spelling


def check_heartbeat(value: Any) -> float:
    """Seconds, rounded to whole milliseconds."""
    seconds = round(_number(value), 3)
    if not MIN_HEARTBEAT <= seconds <= MAX_HEARTBEAT:
        raise ValueError(f"give {MIN_HEARTBEAT} to {MAX_HEARTBEAT:g} seconds")
    return seconds


def check_seconds(value: Any) -> float:
    """Seconds, 0 or more."""
    seconds = _number(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("give seconds, 0 or more")
    return seconds


def check_size(value: Any) -> int:
    """Bytes: `1GiB`, `64MiB`, `4096`."""
    found = re.fullmatch(r"([0-9]{1,18}) ?([KMGT]iB|B|)", value) if isinstance(value, str) else None
    try:
        size = int(found[1]) * _UNITS[found[2]] if found else check_integer(value, "the size")
    except TypeError:
        size = 0
    if not 0 < size <= MAX_OFFSET:
        raise ValueError("give bytes above 0, such as 1GiB, 64MiB or 1000000")
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
    names = _names(value, _IDENTITY, "DNS names or URIs as they stand in certificates, several separated by commas")
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
    """A number given as text or as any type of real number; not as a bool, nor as bytes or an array."""
    try:
        if isinstance(value, bool) or not isinstance(value, str | Real | Decimal):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("give a number") from None


def _path(value: Any, what: str) -> str:
    path = os.fspath(value) if isinstance(value, str | os.PathLike) else ""
    if not (isinstance(path, str) and path):
        raise ValueError(f"give {what}")
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
