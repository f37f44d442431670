"""The seed: what it may be, and where it comes from."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.settings.makers import SECRET, inputs, producer, refusal

from randstream.settings import Seed


def test_a_seed_is_the_same_by_text_and_by_file(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_bytes(b" 42\r\n")
    assert inputs(seed="42").seed == inputs(seed=" 42\n").seed == inputs(seed_file=path).seed == Seed("42")


def test_without_a_seed_one_is_drawn_from_the_given_source() -> None:
    seed = inputs(Random(1)).seed
    assert (seed.was_drawn, len(seed.text)) == (True, 32)
    assert inputs(Random(1)).seed == seed != inputs(Random(2)).seed


def test_a_seed_and_a_seed_file_together_are_refused() -> None:
    assert refusal(producer, seed=SECRET, seed_file="x") == "--seed and --seed-file are both given; give one"


@pytest.mark.parametrize("seed", ["", " \t\n"])
def test_an_empty_seed_is_refused(seed: str, tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text(seed)
    assert refusal(producer, seed=seed) == "--seed: the seed is empty; give any text, such as 42"
    message = refusal(inputs, seed_file=path)
    assert message.startswith("--seed-file /")
    assert message.endswith(": the seed is empty; give any text, such as 42")


def test_a_seed_is_in_no_repr_and_no_error() -> None:
    assert SECRET not in repr((producer(seed=SECRET), inputs(seed=SECRET)))
    assert SECRET not in refusal(producer, seed=SECRET, rate=0)
    assert SECRET not in refusal(producer, seed=f"{SECRET}\udcff")
