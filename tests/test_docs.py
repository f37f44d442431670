"""The READMEs: their commands work, their links lead somewhere, and the French one says the same."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.fr.md")
NOT_RUN_HERE = {
    "make demo": "tests/test_demo.py runs the command behind it, .ci/run the target",
    "make test": "this is it",
    "make all": "tests/e2e runs it on a cluster",
    "make status": "tests/e2e",
    "make logs": "tests/e2e",
    ".venv/bin/randstream worker --name worker-0": "endless; tests/test_demo.py runs such",
    ".venv/bin/randstream producer --workers 127.0.0.1:9000 --seed 42": "endless; tests/test_demo.py runs such",
}


def console(readme: str) -> list[tuple[str, str]]:
    """Every command of the console blocks with what should be printed."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)
    parts = [part.split("\n", 1) for block in blocks for part in block.split("$ ")[1:]]
    return [(command, printed) for command, printed in parts]


@pytest.mark.parametrize("readme", READMES)
def test_every_command_prints_what_the_readme_shows_or_is_known_not_to_be_run(readme: str) -> None:
    ran = 0
    for command, printed in console(readme):
        if command in NOT_RUN_HERE:
            continue
        words = command.replace(".venv/bin/randstream", f"{sys.executable} -m randstream").split()
        run = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
        assert run.stdout == printed
        ran += 1
    assert ran == 1


def test_french_readme_has_the_same_commands_code_and_links() -> None:
    english, french = ((ROOT / readme).read_text() for readme in READMES)
    assert console("README.fr.md") == console("README.md")
    for pattern in (r"```python\n.*?```", r"\]\([^)]*\)"):
        assert re.findall(pattern, french, re.DOTALL) == re.findall(pattern, english, re.DOTALL)
    code = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
    assert set(code.findall(french)) == set(code.findall(english))


@pytest.mark.parametrize(
    "page",
    [
        *READMES,
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
    ],
)
def test_links_lead_to_files_that_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_python_of_the_readme_is_true() -> None:
    from randstream import NumberStream

    assert NumberStream("42", "worker-0", "integers:1:100").read(0, 5).tolist() == [10, 60, 77, 74, 14]
