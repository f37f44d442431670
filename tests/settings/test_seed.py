"""Seed: where it comes from. What may be one is in `tests/numbers/test_seed.py`."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.settings.makers import SECRET, inputs, producer, refusal

from randstream.settings import Seed


def test_the_same_seed_can_come_as_text_or_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_bytes(b"\xef\xbb\xbf 42\r\n")
    assert (
        inputs(seed="42").seed
        == inputs(seed=42).seed
        == inputs(seed=np.uint8(42)).seed
        == inputs(seed=" 42\n").seed
        == inputs(seed_file=path).seed
        == Seed("42")
    )


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


@pytest.mark.parametrize("seed", [b"42", 42.0, True])
def test_a_seed_of_another_type_is_refused(seed: Any) -> None:
    message = f"--seed: the seed is of type {type(seed).__name__}; give text or an integer, such as 42"
    assert refusal(producer, seed=seed) == message


@pytest.mark.parametrize(
    ("seed", "wrong"),
    [("42\0", "character 3 of the seed is U+0000"), ("42\n43", "a second line"), ("42\u00a0", "ends with U+00A0")],
)
def test_a_seed_with_what_nobody_sees_is_refused_by_both_doors(seed: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text(seed, encoding="utf-8")
    assert wrong in refusal(producer, seed=seed)
    assert wrong in refusal(inputs, seed_file=path)


def test_a_seed_is_in_no_repr_and_no_error() -> None:
    assert SECRET not in repr((producer(seed=SECRET), inputs(seed=SECRET)))
    assert SECRET not in refusal(producer, seed=SECRET, rate=0)
    for end in ("\udcff", "\0", "\n43", "\u00a0"):
        assert SECRET not in refusal(producer, seed=f"{SECRET}{end}")
    assert SECRET not in refusal(producer, seed=SECRET.encode())
