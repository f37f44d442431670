"""Scripts: those of deploy/, which are no package, as modules; and what its overlays render."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DEPLOY: Final = ROOT / "deploy"


def load(name: str) -> ModuleType:
    """A script of deploy/, which finds the others there, as it does when it is run."""
    sys.path.insert(0, str(DEPLOY))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DEPLOY))


def render(overlay: str, kinds: str) -> list[str]:
    """The objects of an overlay whose kind matches the regular expression `kinds`."""
    return [each for each in render_all(overlay) if re.search(rf"^kind: ({kinds})$", each, re.MULTILINE)]


@cache
def render_all(overlay: str) -> list[str]:
    """All objects of an overlay."""
    return kustomize(DEPLOY / "overlays" / overlay)


def kustomize(folder: Path) -> list[str]:
    """All objects of the overlay in `folder`."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n---\n")


def by_name(objects: list[str]) -> dict[str, str]:
    """Objects by their names."""
    return {re.findall(r"^metadata:\n(?:  .*\n)*?  name: (\S+)$", each, re.MULTILINE)[0]: each for each in objects}
