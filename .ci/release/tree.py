"""Tree: what must hold of the tracked files before a release is built from them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

NOT_OURS = r"([p]ypi|[p]ythonhosted)\.org|(^|[ =])--(extra-)?index-url|(^| )--find-links|[f]ile://|/[h]ome/|/[U]sers/"
"""An index's host or option, or a path of somebody's machine. Spelt so that this file does not find itself."""


def read_version(root: Path) -> str:
    """The version that the package has. Raises ValueError: it has none."""
    found = re.search(r'^__version__ = "(.+)"$', (root / "src/randstream/__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError("src/randstream/__init__.py tells no __version__")
    return found[1]


def tree_flaws(root: Path) -> Iterator[str]:
    """What of the tree is not committed, and where tracked files name what is not ours."""
    for line in git(root, "status", "--porcelain"):
        yield f"not committed: {line}"
    for line in git(root, "grep", "-nIE", f"{NOT_OURS}|{re.escape(str(root))}/"):
        yield f"names an index or a machine's path: {line}"


def git(root: Path, *arguments: str) -> list[str]:
    """The lines that git prints; grep that finds nothing fails in silence."""
    return subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
    ).stdout.splitlines()


def changelog_flaws(text: str, version: str) -> Iterator[str]:
    """Why the changelog is not that of `version`."""
    _, unreleased, *released = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    if unreleased.strip() != "## [Unreleased]":
        yield "CHANGELOG.md: [Unreleased] is not the first heading, or something stands below it"
    heading, _, entry = (released or [""])[0].partition("\n")
    if not re.fullmatch(rf"## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", heading):
        yield f"CHANGELOG.md: its newest release is {heading[3:] or 'none'}; give {version} a heading with a date"
    elif not re.search(r"^- .", entry, re.MULTILINE):
        yield f"CHANGELOG.md: nothing is said of {version}"
