"""docs/numbers.md: what it says of edges holds, its examples print what is shown, its table is of what there is."""

from __future__ import annotations

import doctest
import re
from bisect import bisect_left
from pathlib import Path

import pytest
from tests.randomness.batteries import all_trials
from tests.randomness.generators import BROKEN, SOUND
from tests.randomness.verdict import WEAK

from randstream.numbers.distributions import Uniform, parse_distribution

PATH = Path(__file__).parents[2] / "docs/numbers.md"
PAGE = PATH.read_text()
RAW = "randstream numbers --seed 42 --worker worker-0 --numbers bits64 --format raw --count all | "
NOT_RUN = {
    "make statistics": "minutes long: tests/randomness/test_teeth.py runs parts of it",
    "make statistics MINUTES=60": "an hour long: tests/randomness/test_teeth.py runs parts of it",
    'make statistics MINUTES=1 ARGS="--generator counter"': "tests/randomness/test_teeth.py finds that one broken",
    f"{RAW}RNG_test stdin64": "endless, and needs PractRand: tests/cli/test_commands.py reads the same from a pipe",
    f"{RAW}dieharder -a -g 200": "hours long: tests/randomness/test_teeth.py runs one of its tests",
}
"""Commands of the page, and where else they are run."""


def test_examples_print_what_the_page_shows() -> None:
    assert doctest.testfile(str(PATH), module_relative=False) == (0, 3)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("uniform:0:1", 0), ("uniform:0:0.1", 0), ("uniform:0:1e308", 0), ("uniform:-1:1", 0), ("uniform:-5:3", 0),
        ("uniform:0.1:0.3", 0), ("uniform:1:2", 1), ("uniform:10:20", 2), ("uniform:100:101", 64),
        ("uniform:0:2.2250738585072014e-308", 1), ("uniform:0:2.225073858507202e-308", 0),
    ],
)  # fmt: skip
def test_high_occurs_as_often_as_the_page_says_and_nothing_above_it(text: str, count: int) -> None:
    uniform = parse_distribution(text)
    assert isinstance(uniform, Uniform)
    first = bisect_left(range(2**53), uniform.high, key=lambda k: uniform.from_word(k << 11))
    assert 2**53 - first == count
    assert uniform.from_word(2**64 - 1) <= uniform.high
    told = {"never": 0, "for 1": 1, "for 2": 2, "for 64": 64}
    rows = re.findall(r"^\| (`uniform.*?) \| (never|for [0-9]+)", PAGE, re.MULTILINE)
    assert all(told[said] == count for names, said in rows if f"`{text}`" in names)


@pytest.mark.parametrize("text", ["exponential:1", "normal:0:1"])
def test_the_others_reach_as_far_as_the_page_says(text: str) -> None:
    distribution = parse_distribution(text)
    least, most = (distribution.from_word(word) for word in (0, 2**64 - 1))
    assert f"at most {most:.2f} " in PAGE.rpartition("\n\n")[2]
    assert least == (-most if text.startswith("normal") else pytest.approx(0, abs=1e-15))
    assert least != 0


def test_what_was_run_is_what_make_statistics_runs() -> None:
    rows = re.findall(r"^\| (\w+) \| ([^|]+) \| ([^|]+) \| \d+ \| ([0-9.e-]+) \| passed", PAGE, re.MULTILINE)
    known = {(trial.battery, trial.name) for trial in all_trials()}
    assert {(battery, name) for battery, name, _, _ in rows} <= known
    assert {generator for _, _, generator, _ in rows} == set(SOUND)
    assert all(float(worst) >= WEAK for _, _, _, worst in rows)
    assert len(rows) > 20


def test_broken_generators_are_named() -> None:
    assert [name for name in BROKEN if not re.search(rf"`{name}`|--generator {name}\b", PAGE)] == []
