"""Scripts: those of deploy/, which are no package, as modules; and what its overlays render."""

from __future__ import annotations

import importlib.util
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
    """A script of deploy/, which the others there can then import, as they do when they are run."""
    spec = importlib.util.spec_from_file_location(name, DEPLOY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def render(overlay: str, kinds: str) -> list[str]:
    """The objects of an overlay whose kind matches the regular expression `kinds`."""
    return [each for each in render_all(overlay) if re.search(rf"^kind: ({kinds})$", each, re.MULTILINE)]


@cache
def render_all(overlay: str) -> list[str]:
    """All objects of an overlay."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    command = ["kubectl", "kustomize", str(DEPLOY / "overlays" / overlay)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n---\n")
