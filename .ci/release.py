"""What must hold before a release, beside lint and tests. `make release-check` runs it; exit 1 says what does not hold.

release.py            the tree is clean, version and changelog agree, no file names a package index or a machine's path
release.py DIST...    wheel and sdist carry that version, and metadata that an index would take
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from packaging.metadata import Metadata

from randstream import __version__

ROOT = Path(__file__).parents[1]
NOT_OURS = r"([p]ypi|[p]ythonhosted)\.org|(^|[ =])--(extra-)?index-url|(^| )--find-links|[f]ile://|/[h]ome/|/[U]sers/"
"""An index's host or option, or a path of somebody's machine. Spelt so that this file does not find itself."""


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


def dist_flaws(path: Path, version: str) -> Iterator[str]:
    """Why the wheel or sdist at `path` could not be published."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            text = wheel.read(f"randstream-{version}.dist-info/METADATA")
    else:
        with tarfile.open(path) as sdist:
            member = sdist.extractfile(f"randstream-{version}/PKG-INFO")
            assert member is not None
            text = member.read()
    metadata = Metadata.from_email(text, validate=True)  # raises, and names each field that does not hold
    if str(metadata.version) != version:
        yield f"{path.name}: its metadata tells version {metadata.version}"


def main(paths: list[str]) -> int:
    """Print every flaw; 1 if there is one."""
    if paths:
        flaws = [flaw for path in paths for flaw in dist_flaws(Path(path), __version__)]
    else:
        flaws = [*tree_flaws(ROOT), *changelog_flaws((ROOT / "CHANGELOG.md").read_text(), __version__)]
    print(*flaws, sep="\n", end="\n" if flaws else "")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
