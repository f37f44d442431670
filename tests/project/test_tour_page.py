"""docs/tour.md: every line prints what the page shows."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import console
from tests.store.streams import make_store

PAGE = Path(__file__).parents[2] / "docs/tour.md"
COMMANDS = console.commands(PAGE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store that the page reads, and the files that its commands write."""
    folder = tmp_path_factory.mktemp("tour")
    make_store(folder / "store", 100)
    for command, shown in COMMANDS:
        if "--output" in command:
            assert (run_command(command, folder), shown) == ("", "")
    return folder


def run_command(command: str, folder: Path) -> str:
    ours = command.replace(".venv/bin/randstream ", f"{sys.executable} -m randstream ")
    return subprocess.run(ours, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("command", "shown"), [pair for pair in COMMANDS if "--output" not in pair[0]])
def test_a_command_prints_what_the_page_shows(command: str, shown: str, folder: Path) -> None:
    assert run_command(command, folder) == shown


def test_every_line_of_python_prints_what_the_page_shows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert (failed, tried) == (0, PAGE.read_text().count("\n>>> "))
