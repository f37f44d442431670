"""python -m randstream: nothing is run that merely lies in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

TRAP: Final = "import os; os.write(2, b'trapped: ' + __file__.encode()); os._exit(99)"
LAIN_OUT: Final = (
    "orjson", "numpy", "click", "structlog", "rich", "uvloop", "aiohttp", "dns", "typing", "asyncio", "json", "random",
    "dataclasses", "logging", "signal", "socket", "ssl", "tempfile", "concurrent", "subprocess",
)  # fmt: skip
"""Modules that a producer, a worker or the demo imports, now or in time."""


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder in which every module is a trap."""
    for name in LAIN_OUT:
        (tmp_path / f"{name}.py").write_text(TRAP)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "options", [["-m", "randstream"], ["-mrandstream"], ["-P", "-m", "randstream"], ["-Bm", "randstream"]]
)
def test_nothing_in_the_current_folder_is_imported(trapped: Path, options: list[str]) -> None:
    arguments = ("numbers", "--seed", "42", "--worker", "worker-0", "--count", "3")
    assert run(trapped, *options, *arguments) == (0, "10\n60\n77\n", "")


def test_a_role_and_its_admin_server_import_nothing_in_the_current_folder(trapped: Path) -> None:
    status, _, err = run(trapped, "-m", "randstream", "worker", "--listen", "192.0.2.1:1", "--admin", "127.0.0.1:0")
    assert (status, "trapped" in err) == (2, False)
    assert "cannot listen" in err


def test_the_safe_path_shadows_also_what_has_our_own_name(trapped: Path) -> None:
    (trapped / "randstream").mkdir()
    (trapped / "randstream" / "__init__.py").write_text(TRAP)
    assert run(trapped, "-P", "-m", "randstream", "--version")[0] == 0


def test_a_program_of_the_users_own_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import randstream, beside; print(beside.VALUE)")
    (tmp_path / "beside.py").write_text("VALUE = 'mine'")
    for arguments in (["-m", "mine"], ["-m", "mine", "randstream"], ["mine.py"], ["-c", "import mine"]):
        assert run(tmp_path, *arguments) == (0, "mine\n", "")


def test_a_folder_that_is_gone_is_none_to_import_from(tmp_path: Path) -> None:
    script = "import os, sys; os.rmdir(os.getcwd()); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    assert run(tmp_path, "-c", script, "-m", "randstream", "--version")[0] == 0
