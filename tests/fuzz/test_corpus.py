"""Every input that fuzzing found, or needed to get this far, still passes. `make fuzz` looks for more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = sorted(CORPUS.glob("*/*"))


def test_every_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_of_the_corpus_breaks_its_target(name: str) -> None:
    for path in (CORPUS / name).iterdir():
        try:
            TARGETS[name](path.read_bytes())
        except AssertionError as error:
            raise AssertionError(f"{path} broke {name}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_the_targets_take_no_bytes_and_one_byte(name: str) -> None:
    for data in (b"", *(bytes([value]) for value in range(256))):
        TARGETS[name](data)
