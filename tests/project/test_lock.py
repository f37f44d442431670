"""The lock: in step with pyproject.toml, every version with its hashes, and no package index named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MADE = re.compile(
    r"^\t\$\(LOCK\) (pyproject\.toml )?-o (requirements/\S+)(?:.* --group (?:pyproject\.toml:)?(\S+))?", re.MULTILINE
)
"""How `make lock` makes a file: whether with the project's own requirements, and from which group."""
LOCKS = {path: (bool(whole), group) for whole, path, group in MADE.findall((ROOT / "Makefile").read_text())}
PIN = re.compile(
    r"^([a-z0-9-]+)==([^ ;]+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def group(name: str) -> list[str]:
    """The requirements of a dependency group and of those it includes."""
    entries: list[Any] = PYPROJECT["dependency-groups"][name]
    return [word for each in entries for word in ([each] if isinstance(each, str) else group(each["include-group"]))]


def pins(path: str) -> dict[str, list[str]]:
    """The versions of each package in a lock: several where they differ by Python version or platform."""
    found: dict[str, list[str]] = {}
    for name, version, _, _ in PIN.findall((ROOT / path).read_text()):
        found.setdefault(name, []).append(version)
    return found


def test_every_lock_is_made_by_make_lock() -> None:
    assert {f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")} == LOCKS.keys()


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(path: str) -> None:
    is_whole, name = LOCKS[path]
    locked = pins(path)
    for text in (PYPROJECT["project"]["dependencies"] if is_whole else []) + (group(name) if name else []):
        wanted = Requirement(text)
        versions = locked.get(canonicalize_name(wanted.name))
        assert versions, f"{path} lacks {wanted.name}: make lock"
        assert all(wanted.specifier.contains(version) for version in versions), f"{path} has {versions}, not {wanted}"


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_has_hashes_for_all_and_names_no_index(path: str) -> None:
    text = (ROOT / path).read_text()
    assert PIN.sub("", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)) == ""
    assert "://" not in text


def test_locks_that_share_an_environment_agree() -> None:
    everything = pins("requirements/dev.txt")
    for path in LOCKS:
        if path in ("requirements/audit.txt", "requirements/checkov.txt"):  # each has an environment of its own
            continue
        for name, versions in pins(path).items():
            assert everything.get(name, versions) == versions, f"{path}: {name}"
