"""docs/architecture.md is up to date: every package, its layer, and what it may import."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/randstream"
PAGE = (ROOT / "docs/architecture.md").read_text()
DRAWN = re.search(r"```\n( *┌.*?┘)\n```", PAGE, re.DOTALL)
GRAPH = grimp.build_graph("randstream", exclude_type_checking_imports=True, cache_dir=None)


def modules_of(folder: Path) -> set[str]:
    """The modules and packages in `folder`."""
    return {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {
        "__init__"
    }


def drawn_lines() -> list[list[str]]:
    """The drawing from top to bottom, and the names of each line from left to right."""
    assert DRAWN is not None
    return [found for line in DRAWN[1].splitlines() if (found := re.findall(r"│ +(\w+)(?= )", line))]


def imports() -> set[tuple[str, str]]:
    """Which package or top-level module imports which. `randstream` itself is left out."""
    pairs = {
        (module.split(".")[1], imported.split(".")[1])
        for module in GRAPH.modules
        for imported in GRAPH.find_modules_directly_imported_by(module)
        if module.count(".") and imported.count(".")
    }
    return {(module, imported) for module, imported in pairs if module != imported}


def test_every_module_is_drawn_once_and_no_other() -> None:
    assert sorted(name for line in drawn_lines() for name in line) == sorted(modules_of(SOURCE))


def test_every_import_points_down() -> None:
    height = {name: number for number, line in enumerate(drawn_lines()) for name in line}
    assert {pair for pair in imports() if height[pair[0]] >= height[pair[1]]} == set()
    assert len(imports()) > 30


def test_the_drawing_is_the_contract_that_lint_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [each for each in contracts if each.get("containers") == ["randstream"]]
    assert drawn_lines() == [layer.split(" | ") for layer in contract["layers"]]


def test_every_package_has_a_contract_of_its_own() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {container for each in contracts for container in each.get("containers", ()) if each["exhaustive"]}
    packages = {path.parent for path in SOURCE.glob("*/__init__.py")}
    assert {f"randstream.{package.name}" for package in packages if modules_of(package)} <= held


def test_the_table_of_rooms_has_every_module_and_no_other() -> None:
    table = PAGE.split("\n## Rooms\n")[1].split("\n## ")[0]
    told: dict[str, list[str]] = {}
    for names, modules in re.findall(r"^\| (`[^|]+) \|([^|]*)\|", table, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            told[name] = sorted(each.rstrip("/") for each in re.findall(r"`([^`]+)`", modules))
    files: dict[str, list[str]] = {path.name: [] for path in SOURCE.glob("*.py")}
    packages = {f"{path.parent.name}/": sorted(modules_of(path.parent)) for path in SOURCE.glob("*/__init__.py")}
    assert told == files | packages


@pytest.mark.parametrize("package", ["numbers", "protocol", "producer"])
def test_a_package_loads_nothing_of_the_store(package: str) -> None:
    code = f"import sys, randstream.{package}; print(*(name for name in sys.modules if 'randstream.s' in name))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("randstream.store", "randstream.sinks"))]


def test_every_module_has_a_test_of_its_name() -> None:
    """Except those of TOGETHER, whose tests are named after what they do together."""
    missing = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if not path.stem.startswith("__")
        and not (ROOT / "tests" / path.relative_to(SOURCE).parent / f"test_{path.name}").exists()
    }
    assert missing <= TOGETHER, missing - TOGETHER
    assert missing == TOGETHER, TOGETHER - missing


TOGETHER: set[str] = {
    # Cases: tests/conform/test_suites.py plays them all, test_wrong_peers.py has them find planted faults.
    *(f"conform/{name}.py" for name in ("opening", "serving", "raw", "queueing", "greeting", "flowing", "dialling")),
    "conform/as_producer.py",  # what they speak with
    "conform/as_worker.py",
    "protocol/events.py",  # dataclasses alone: what each means is tested where it is emitted, in test_sender and others
    "producer/context.py",  # a dataclass alone
}
