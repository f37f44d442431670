"""The limits in SECURITY.md are those of the source."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| [^|]+ \| ([0-9]+)(?: (\w+))? \| `([a-z.]+)\.([A-Z_]+)` \| [^|]+ \|$", PAGE, re.MULTILINE)
UNITS = {"": 1, "s": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20}


def test_every_row_of_the_table_is_read() -> None:
    section = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    assert len(ROWS) == section.count("\n| ") - 1  # but the heading


@pytest.mark.parametrize(("number", "unit", "module", "constant"), ROWS)
def test_a_limit_is_what_the_page_says(number: str, unit: str, module: str, constant: str) -> None:
    assert getattr(import_module(f"randstream.{module}"), constant) == int(number) * UNITS[unit]
