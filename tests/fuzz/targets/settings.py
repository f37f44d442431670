"""Settings: any text as any setting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from randstream.errors import SettingsError
from randstream.numbers.distributions import parse_distribution
from randstream.numbers.seed import parse_seed
from randstream.settings.addresses import Target, check_address, check_targets
from randstream.settings.checks import (
    check_command,
    check_heartbeat,
    check_identities,
    check_name,
    check_numbers,
    check_rate,
    check_seconds,
    check_size,
    check_switch,
)

CHECKS: Final[tuple[Callable[[str], object], ...]] = (
    check_targets, check_address, check_name, check_rate, check_numbers, check_heartbeat, check_seconds, check_size,
    check_switch, check_command, parse_seed, check_identities,
)  # fmt: skip


def fuzz_settings(data: bytes) -> None:
    """What any text means as any setting: a value, which means itself again, or an error that says what to give."""
    text = data[1:].decode(errors="surrogateescape")
    if not data:
        return
    check = CHECKS[data[0] % len(CHECKS)]
    with suppress(ValueError, SettingsError):
        value = check(text)
        for again in spellings(value):
            assert check(again) == value
        if check is check_numbers:
            assert parse_distribution(str(value)).spelling == value


def spellings(value: object) -> Iterator[str]:
    """How the value of a setting is written, where that is defined."""
    if isinstance(value, tuple) and value and isinstance(value[0], Target):
        yield ",".join(map(str, value))
    elif not isinstance(value, tuple):
        yield str(value)
