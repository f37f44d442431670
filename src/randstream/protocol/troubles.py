"""Troubles: why a worker's sink takes no numbers, in the word of `why=` and in a sentence for an operator. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Taker(StrEnum):
    """What takes the numbers from a sink: the first half of the word."""

    DISK = "disk"
    COMMAND = "command"
    OUTPUT = "output"
    PROGRAM = "program"


class Ailment(StrEnum):
    """What is wrong with it: the second half."""

    FULL = "full"
    """There is no room on the disk."""
    FAILING = "failing"
    """It reports an error, or has ended."""
    STUCK = "stuck"
    """It reports nothing, and takes nothing."""


_SENTENCES: Final = {
    "disk-full": "the disk of the worker's store is full",
    "disk-failing": "the worker cannot use its store",
    "disk-stuck": "the disk of the worker's store does not answer",
    "command-failing": "the worker's command has ended",
    "command-stuck": "the worker's command does not read its numbers",
    "output-full": "the worker's standard output goes to a full disk",
    "output-failing": "the worker cannot write to its standard output",
    "output-stuck": "nothing reads the worker's standard output",
    "program-failing": "the program around the worker cannot take the numbers",
    "program-stuck": "the program around the worker does not ask for more numbers",
}


def trouble_word(taker: Taker, ailment: Ailment) -> str:
    """The word of `why=`."""
    return f"{taker}-{ailment}"


def sentence_of(word: str | None) -> str:
    """What to tell an operator. `word` may be one that this version does not know; None: the worker gives none."""
    if word is None:
        return "the worker's sink takes no numbers"
    return _SENTENCES.get(word, f"the worker's sink takes no numbers: {word}")
