"""Seed: one rule for what may be one, which every door keeps. The doors have tests of their own."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from randstream.errors import SettingsError
from randstream.numbers.seed import parse_seed


class Named(StrEnum):
    SEED = "42"


class Mixed(str, Enum):  # noqa: UP042 - its str() is not its text
    SEED = "42"


class Numbered(IntEnum):
    SEED = 42


def refusal(seed: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        parse_seed(seed)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(("the seed ", "character "))
    return message


@pytest.mark.parametrize(
    "seed", ["42", "42\n", " \t42\r\n", "\v\f42", "\ufeff42\n", "\ufeff 42", Named.SEED, Mixed.SEED, np.str_("42")]
)
def test_white_space_and_a_byte_order_mark_around_a_seed_mean_nothing(seed: str) -> None:
    assert parse_seed(seed) == "42"


@pytest.mark.parametrize("seed", [42, np.uint8(42), np.int64(42), np.array(42), Numbered.SEED])
def test_an_integer_is_its_decimal_text(seed: Any) -> None:
    assert parse_seed(seed) == "42"
    assert (parse_seed(-7), parse_seed(10**30)) == ("-7", "1" + 30 * "0")


@pytest.mark.parametrize(
    "seed",
    [
        b"42",
        bytearray(b"42"),
        None,
        42.0,
        np.float64(42),
        Decimal(42),
        Fraction(42),
        True,
        np.True_,
        ["42"],
        np.arange(1),
    ],
    ids=repr,
)
def test_another_type_is_refused_and_named(seed: Any) -> None:
    assert refusal(seed) == f"the seed is of type {type(seed).__name__}; give text or an integer, such as 42"


def test_an_integer_that_python_does_not_spell_is_refused() -> None:
    assert refusal(10**5000).startswith("the seed is an integer of thousands of digits; give")


@pytest.mark.parametrize("seed", ["", " \n", "\ufeff", "\ufeff\r\n"])
def test_an_empty_seed_is_refused(seed: str) -> None:
    assert refusal(seed) == "the seed is empty; give any text, such as 42"


@pytest.mark.parametrize("seed", ["\udcff", "4\ud8002"])
def test_half_a_character_is_refused(seed: str) -> None:
    assert refusal(seed) == "the seed is not UTF-8; give it as text"


@pytest.mark.parametrize("seed", ["hunter2\nhunter3", "hunter2\r\nhunter3\r\n", "hunter2\rhunter3"])
def test_a_second_line_is_refused(seed: str) -> None:
    assert refusal(seed) == "the seed has a second line; give one line of text"


@pytest.mark.parametrize(
    ("seed", "wrong"),
    [
        ("hunter\0two", "character 7 of the seed is U+0000, a control character"),
        ("hunter2\0", "character 8 of the seed is U+0000, a control character"),
        ("hunter\ttwo", "character 7 of the seed is U+0009, a control character"),
        ("\x1bhunter2", "character 1 of the seed is U+001B, a control character"),
        ("hunter2\x1c\n", "character 8 of the seed is U+001C, a control character"),
        ("hunter\x7ftwo", "character 7 of the seed is U+007F, a control character"),
        ("hunter\x85two", "character 7 of the seed is U+0085, a control character"),
        ("hunter\u2028two", "character 7 of the seed is U+2028, a line separator"),
        ("hunter\u2029two", "character 7 of the seed is U+2029, a paragraph separator"),
        ("hunter\uffff", "character 7 of the seed is U+FFFF, unknown to this version of Unicode"),
        ("hunter2\u00a0", "the seed ends with U+00A0, NO-BREAK SPACE, which is invisible"),
        ("hunter2\u00a0\n", "the seed ends with U+00A0, NO-BREAK SPACE, which is invisible"),
        ("\u3000hunter2", "the seed begins with U+3000, IDEOGRAPHIC SPACE, which is invisible"),
        ("\u2000hunter2", "the seed begins with U+2002, EN SPACE, which is invisible"),
        ("hunter2\u200b", "the seed ends with U+200B, ZERO WIDTH SPACE, which is invisible"),
        ("hunter2\ufeff", "the seed ends with U+FEFF, ZERO WIDTH NO-BREAK SPACE, which is invisible"),
        ("\ufeff\ufeffhunter2", "the seed begins with U+FEFF, ZERO WIDTH NO-BREAK SPACE, which is invisible"),
        (" \ufeffhunter2", "the seed begins with U+FEFF, ZERO WIDTH NO-BREAK SPACE, which is invisible"),
        ("\u2066hunter2", "the seed begins with U+2066, LEFT-TO-RIGHT ISOLATE, which is invisible"),
    ],
)  # fmt: skip
def test_a_character_that_nobody_means_is_shown_and_the_seed_is_not(seed: str, wrong: str) -> None:
    message = refusal(seed)
    assert message.startswith(f"{wrong}; ")
    assert "hunter" not in message


@pytest.mark.parametrize(
    "seed", ["four two", "four\u00a0two", "\u03c0 and more", "42\u0661", "\U0001f600\ufe0f", "# 42"]
)
def test_other_text_is_kept_as_it_is(seed: str) -> None:
    assert parse_seed(seed) == seed


def test_one_text_is_one_seed_however_its_letters_are_composed() -> None:
    assert parse_seed("Zu\u0308rich") == parse_seed("Z\u00fcrich") == "Z\u00fcrich"
    assert parse_seed("\u212b") == parse_seed("A\u030a") == "\u00c5"
    assert parse_seed("\ufb01n") == "\ufb01n", "compatibility characters stay: it is NFC, not NFKC"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1).filter(str.strip))
def test_printable_ascii_is_the_seed_that_it_always_was(text: str) -> None:
    assert parse_seed(text) == text.strip(" ")


@given(st.text(min_size=1))
def test_what_is_a_seed_means_itself_again(text: str) -> None:
    with suppress(SettingsError):
        seed = parse_seed(text)
        assert parse_seed(seed) == seed
