"""docs/architecture.md draws the house as it is: every module, where it stands, and what it may import."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
DRAWN = re.search(r"```\n( *┌.*?┘)\n```", PAGE, re.DOTALL)
MODULES = {path.stem for path in (ROOT / "src/randstream").iterdir() if path.suffix == ".py" or path.is_dir()} - {
    "__init__",
    "__pycache__",
}
GRAPH = grimp.build_graph("randstream", exclude_type_checking_imports=True, cache_dir=None)


def drawn_lines() -> list[list[list[str]]]:
    """The drawing from top to bottom: each line's cells from left to right, each cell's modules."""
    assert DRAWN is not None
    joined = re.sub(r"·\s*│\n\s+│", "·", DRAWN[1])  # a line that goes on in the next
    rows = [re.findall(r"(?<=│)([^│]+)(?=│)", line) for line in joined.splitlines()]
    return [[re.findall(r"\w+", cell) for cell in row] for row in rows if row]


def imports() -> set[tuple[str, str]]:
    """Which module imports which, whole packages counting as one; the package's own names are nobody's."""
    pairs = {
        (module.split(".")[1], imported.split(".")[1])
        for module in GRAPH.modules
        for imported in GRAPH.find_modules_directly_imported_by(module)
        if module.count(".") and imported.count(".")
    }
    return {(module, imported) for module, imported in pairs if module != imported}


def test_every_module_is_drawn_once_and_no_other() -> None:
    drawn = [module for line in drawn_lines() for cell in line for module in cell]
    assert sorted(drawn) == sorted(MODULES)


def test_every_import_points_down_or_to_a_neighbour_behind_a_dot() -> None:
    place = {
        module: (height, column)
        for height, line in enumerate(drawn_lines())
        for column, cell in enumerate(line)
        for module in cell
    }
    wrong = {pair for pair in imports() if place[pair[0]] != place[pair[1]] and place[pair[0]][0] >= place[pair[1]][0]}
    assert wrong == set()
    assert len(imports()) > 50


def test_the_two_roles_never_import_each_other() -> None:
    lines = drawn_lines()
    roles = [line for line in lines if line[0][0] in ("producer", "stream_link", "link", "pump")]
    left = {module for line in roles for cell in line[:-1] for module in cell}
    right = {module for line in roles for module in line[-1]}
    assert (left, right) == ({"producer", "stream_link", "raw_link", "link", "pump"}, {"worker", "session", "intake"})
    assert {pair for pair in imports() if pair[0] in left and pair[1] in right} == set()
    assert {pair for pair in imports() if pair[0] in right and pair[1] in left} == set()


def test_the_drawing_is_the_contract_that_lint_checks() -> None:
    (contract,) = [
        each
        for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if each["type"] == "layers"
    ]
    layers = [{frozenset(cell.split(" : ")) for cell in layer.split(" | ")} for layer in contract["layers"]]
    assert [{frozenset(cell) for cell in line if cell} for line in drawn_lines()] == layers


def test_the_table_of_rooms_has_every_file_and_folder_and_no_other() -> None:
    table = PAGE.split("\n## Rooms\n")[1].split("\n## ")[0]
    rooms = [room for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE) for room in re.findall(r"`([^`]+)`", row)]
    there = [*(f"{each}/" if (ROOT / "src/randstream" / each).is_dir() else f"{each}.py" for each in MODULES)]
    assert sorted(room for room in rooms if room != "src/randstream/") == sorted(["__init__.py", *there])
