"""docs/tour.md: every line prints what the page shows. Its shell commands are run by test_docs.py."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from tests.store.streams import make_store

PAGE = Path(__file__).parents[2] / "docs/tour.md"


def test_every_line_prints_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "store", 100)
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried) == (0, PAGE.read_text().count("\n>>> "))
