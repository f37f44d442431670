"""Command lines: helpers of the tests of all commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

SECRET = "hunter2"
FIRST_OF_42 = "10\n60\n77\n74\n14\n5\n64\n49\n"
"""Source: docs/protocol.md, seed 42, worker-0, integers:1:100."""

Run = Callable[..., tuple[int, str, str]]
"""Takes arguments; gives the exit status, output and errors."""


def set_variables(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for flag, value in given.items():
        monkeypatch.setenv("RANDSTREAM_" + flag.upper().replace("-", "_"), value)


def segment_of(store: Path, worker: str) -> Path:
    return next(store.glob(f"{worker}-*/*.numbers"))
