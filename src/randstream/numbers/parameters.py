"""Parameters of distributions: how they are read, spelled and refused. Pure."""

from __future__ import annotations

import math
import re
from typing import Final

import orjson

from ..errors import SettingsError

INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}")
FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def read_integer(text: str) -> int:
    """The whole number that `text` means. Raises SettingsError."""
    if not INTEGER.fullmatch(text):
        raise SettingsError(f"{text!r} is not a whole number; write it like 42 or -42")
    return int(text)


def read_float(text: str) -> float:
    """The finite float64 nearest to what `text` means. Raises SettingsError."""
    if not FLOAT.fullmatch(text):
        raise SettingsError(f"{text!r} is not a number; write it like 2.5, -3 or 1e-9")
    number = float(text)
    if math.isinf(number):
        raise SettingsError(f"{text!r} is beyond the largest float64, about 1.8e308; use a smaller number")
    return number


def spell(kind: str, *parameters: float) -> str:
    """The canonical text of a distribution."""
    return ":".join([kind, *(orjson.dumps(parameter).decode() for parameter in parameters)])


def require(spelling: str, holds: bool, needs: str) -> None:
    """Refuse the distribution with this `spelling` unless its condition `holds`; `needs` is its text.

    Raises SettingsError.
    """
    if not holds:
        raise SettingsError(f"{spelling} is impossible: it needs {needs}")


def settle(distribution: object, **parameters: float) -> None:
    """Make the `parameters` of a frozen distribution Python's own numbers, whose arithmetic does not wrap."""
    for name, value in parameters.items():
        object.__setattr__(distribution, name, value + 0)  # -0.0 becomes 0.0
