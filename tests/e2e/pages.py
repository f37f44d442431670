"""Pages: the commands of the documentation that these tests run as they are written."""

from __future__ import annotations

import os
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Final

from tests.e2e.cluster import Done, log

ROOT: Final = Path(__file__).parents[2]

RUN: Final = {
    "docs/operations.md": (
        "The proof in the pod", "The page and the JSON from outside", "Another seed", "Fewer workers", "Recipes",
    ),
    "docs/kubernetes.md": ("An overlay of your own", "The seed", "Mutual TLS", "Upgrade, roll back, remove"),
    "docs/tutorial.md": (
        "Deploy", "Kill a pod", "Prove it in the pod", "Nobody at the other end", "Break the network", "More producers",
        "Clean up",
    ),
}  # fmt: skip
"""The sections whose commands are all run: test_pages.py, test_mtls.py, test_tutorial.py."""

KUBECTL: Final = """
kubectl() {
  case " $* " in
    *" delete pod "*) timeout 60 kubectl "$@" || [ $? -eq 124 ] ;;
    *) command kubectl "$@" ;;
  esac
}
"""
"""On a busy machine kubectl may wait for ever for pods that have long gone and been replaced."""


def blocks(page: str, heading: str) -> list[str]:
    """The shell's blocks of a section, in order."""
    lines = iter((ROOT / page).read_text(encoding="utf-8").splitlines(keepends=True))
    found, is_here = [], False
    for line in lines:
        if line.startswith("```"):  # in a block a comment may look like a heading
            block = "".join(takewhile(lambda each: each != "```\n", lines))
            if is_here and line == "```sh\n":
                found.append(block)
        elif line.startswith("#"):
            is_here = line.lstrip("#").strip() == heading
    assert found, f"{page} has no commands under {heading}"
    return found


def commands() -> list[str]:
    """Every command of the sections that are run."""
    return [
        line
        for page, headings in RUN.items()
        for heading in headings
        for block in blocks(page, heading)
        for line in block.splitlines()
    ]


def shell(block: str, folder: Path = ROOT, *, check: bool = True, **variables: str) -> Done:
    """Run a block as it is written, in a shell that stops at the first failure."""
    log.info("%s", "\n  " + block.rstrip().replace("\n", "\n  "))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", KUBECTL + block], cwd=folder, env={**os.environ, **variables},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done
