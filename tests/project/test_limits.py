"""The limits in SECURITY.md are those of the source."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from randstream.protocol import WINDOW_BYTES
from randstream.settings.roles import BUFFER_BYTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| [^|]+ \| ([0-9]+)(?: (\w+))? \| `([a-z_.]+)\.([A-Z_]+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
UNITS = {"": 1, "s": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20}


def test_every_row_of_the_table_is_read() -> None:
    section = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    assert len(ROWS) == section.count("\n| ") - 1  # but the heading


@pytest.mark.parametrize(("number", "unit", "module", "constant"), ROWS)
def test_a_limit_is_what_the_page_says(number: str, unit: str, module: str, constant: str) -> None:
    assert getattr(import_module(f"randstream.{module}"), constant) == int(number) * UNITS[unit]


TESTS = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]


@pytest.mark.parametrize("constant", sorted({constant for *_, constant in ROWS}))
def test_a_limit_is_tried_by_a_test(constant: str) -> None:
    assert any(re.search(rf"\b{constant}\b", text) for text in TESTS)


def memory_limit(role: str) -> int:
    """What the manifest of `role` allows, in bytes."""
    manifest = (ROOT / f"deploy/base/{role}.yaml").read_text(encoding="utf-8")
    (mebibytes,) = re.findall(r"limits:(?:\n +#.*|\n +cpu:.*)*\n +memory: ([0-9]+)Mi$", manifest, re.MULTILINE)
    return int(mebibytes) * 2**20


def test_the_manifests_hold_what_the_operations_page_says_that_a_role_needs() -> None:
    base = 65 * 10**6
    kernel = BUFFER_BYTES
    assert base + 10_000 * 10_000 + BUFFER_BYTES + kernel <= memory_limit("producer")
    clients_of_numbers = 4 * 16 * 2**20
    assert base + 2 * WINDOW_BYTES + clients_of_numbers <= memory_limit("worker")
