"""docs/reading.md: every line gives the exact numbers, where its program is installed."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.project import console

from randstream.numbers.stream import NumberStream

PATH = Path(__file__).parents[2] / "docs/reading.md"
PAGE = PATH.read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = console.commands(PATH)
PROGRAMS = [(language, block) for language, block in BLOCKS if language != "console"]
INTERPRETERS = {
    "python": [sys.executable, "-c"],
    "r": ["Rscript", "-e"],
    "octave": ["octave-cli", "--eval"],
    "javascript": ["node", "-e"],
}
LARGEST = NumberStream("42", "worker-0", "bits64").read(0, 1000).max()
LARGEST_REAL = f"{NumberStream('42', 'worker-0', 'normal:0:1').read(0, 1000).max():.17g}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the page's first commands write."""
    folder = tmp_path_factory.mktemp("reading")
    for command, shown in COMMANDS:
        if "--output" in command:
            assert (run_command(command, folder), shown) == ("", "")
    return folder


def run_command(command: str, folder: Path) -> str:
    ours = re.sub(r"^randstream ", f"{sys.executable} -m randstream ", command)
    return subprocess.run(ours, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("command", "shown"), [pair for pair in COMMANDS if "--output" not in pair[0]])
def test_a_command_prints_what_is_shown(command: str, shown: str, folder: Path) -> None:
    for program in re.findall(r"(?:^|\| )(\w+)", command):
        if program != "randstream" and not shutil.which(program):
            pytest.skip(f"needs {program}")
    assert run_command(command, folder) == shown


@pytest.mark.parametrize(
    ("language", "program"), PROGRAMS, ids=[f"{language}-{number}" for number, (language, _) in enumerate(PROGRAMS)]
)
def test_a_program_reads_the_numbers_exactly(language: str, program: str, folder: Path) -> None:
    interpreter = INTERPRETERS[language]
    if not shutil.which(interpreter[0]):
        pytest.skip(f"needs {interpreter[0]}")
    for module in re.findall(r"^import (\w+)", program, re.MULTILINE):
        if not importlib.util.find_spec(module):
            pytest.skip(f"needs {module}")
    run = subprocess.run([*interpreter, program], cwd=folder, capture_output=True, text=True, check=False)
    largest = LARGEST_REAL if "normals" in program else LARGEST
    assert (run.returncode, run.stdout.strip()) == (0, str(largest)), run.stderr


def test_the_numbers_on_the_page_are_the_largest_and_no_float_holds_the_integer() -> None:
    assert f"prints {LARGEST}, the largest" in PAGE
    assert f"prints {LARGEST_REAL}, the largest" in PAGE
    assert int(float(LARGEST)) != int(LARGEST)


def test_as_many_are_changed_by_floats_as_the_page_says() -> None:
    numbers = NumberStream("42", "worker-0", "bits64").read(0, 1000).tolist()
    assert sum(int(float(number)) == number for number in numbers) == 4
    assert "all but four" in PAGE
