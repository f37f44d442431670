"""Seed: what may be one, by the same rule everywhere. Pure.

`docs/protocol.md`, **seed-is-text**, is the authority. No error repeats a seed, which may be secret, beyond the one
character that is wrong.
"""

from __future__ import annotations

import string
import unicodedata
from typing import Final, SupportsIndex

from ..errors import SettingsError
from .offsets import check_integer

BYTE_ORDER_MARK: Final = "\ufeff"

_REFUSED: Final = {
    "Cc": "a control character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Cn": "unknown to this version of Unicode",
}
"""Categories of characters that no seed has. By NFC, a later version of Unicode could make the last another seed."""
_INVISIBLE: Final = ("Zs", "Cf")
"""Categories of characters that no seed begins or ends with."""


def parse_seed(seed: str | SupportsIndex) -> str:
    """The text that `seed` means: text stripped of white space, in NFC; for an integer, its decimal digits.

    Raises SettingsError: it is of another type, is empty, has a second line or a control character, or begins or ends
    with white space that is not ASCII.
    """
    given = seed if isinstance(seed, str) else _spell(seed)
    text = unicodedata.normalize("NFC", given.removeprefix(BYTE_ORDER_MARK)).strip(string.whitespace)
    if not text:
        raise SettingsError("the seed is empty; give any text, such as 42")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError("the seed is not UTF-8; give it as text") from None
    if "\n" in text or "\r" in text:
        raise SettingsError("the seed has a second line; give one line of text")
    for position, character in enumerate(text, 1):
        if refused := _REFUSED.get(unicodedata.category(character)):
            raise SettingsError(
                f"character {position} of the seed is U+{ord(character):04X}, {refused}; give one line of plain text"
            )
    for character, where in ((text[0], "begins"), (text[-1], "ends")):
        if unicodedata.category(character) in _INVISIBLE:
            name = unicodedata.name(character, "a format character")
            raise SettingsError(f"the seed {where} with U+{ord(character):04X}, {name}, which is invisible; remove it")
    return text


def _spell(seed: SupportsIndex) -> str:
    try:
        return str(check_integer(seed, "the seed"))
    except TypeError:
        raise SettingsError(f"the seed is of type {type(seed).__name__}; give text or an integer, such as 42") from None
    except ValueError:  # Python spells no integer of more digits than sys.get_int_max_str_digits
        raise SettingsError("the seed is an integer of thousands of digits; give a shorter one, or text") from None
