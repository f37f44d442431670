"""`python -m release`: what the targets of the Makefile call. Exit status 1: what does not hold is printed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .check import rebuild_flaws, release_flaws
from .image import describe_image, image_flaws
from .statements import describe
from .tree import changelog_flaws, read_version, tree_flaws
from .wheels import Source, build_all

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Do what the command line says; 1 if there is a flaw."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("what", choices=["tree", "wheels", "image", "check", "check-image", "rebuild"])
    parser.add_argument("--folder", type=Path, default=ROOT / "dist", help="where the release is")
    parser.add_argument("--image", help="the image's name and tag")
    parser.add_argument("--base", help="the image on which it was built")
    given = parser.parse_args()
    try:
        flaws = list(do(given.what, given.folder, given.image, given.base))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        flaws = [str(error)]
    print(*flaws or [f"{given.what}: all is as it should be"], sep="\n")
    return 1 if flaws else 0


def do(what: str, folder: Path, image: str, base: str) -> Iterator[str]:
    """Build or describe, without flaws; or the flaws that are found."""
    match what:
        case "tree":
            yield from tree_flaws(ROOT)
            yield from changelog_flaws((ROOT / "CHANGELOG.md").read_text(), read_version(ROOT))
        case "wheels":
            describe(ROOT, folder, build_all(ROOT, folder))
        case "image":
            describe_image(ROOT, folder, image, base)
        case "check":
            yield from release_flaws(folder, Source.of(ROOT))
        case "check-image":
            yield from image_flaws(folder, image, Source.of(ROOT))
        case "rebuild":
            yield from rebuild_flaws(ROOT, folder)


if __name__ == "__main__":
    sys.exit(main())
