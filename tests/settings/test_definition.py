"""Definition: from a setting follow its variable, its error, and that only one of a choice may be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.settings.makers import SECRET, producer, refusal

from randstream.settings import ProducerSettings, WorkerSettings, settings_of
from randstream.settings.definition import UnusableSetting, check_values


def test_a_variable_is_the_flag_in_capitals() -> None:
    settings = settings_of(WorkerSettings)
    assert settings["segment_bytes"].variable == "RANDSTREAM_SEGMENT_BYTES"
    assert settings["grace_period"].variable == "RANDSTREAM_GRACE"


def test_an_error_repeats_only_the_beginning_of_what_is_long() -> None:
    assert len(refusal(producer, workers=",".join(f"worker-{n}:1" for n in range(10_000)) + ",a b")) < 250


@pytest.mark.parametrize("value", [None, 5])
def test_a_value_of_the_wrong_type_is_refused(value: Any) -> None:
    for name in ("listen", "command", "store", "name"):
        if (name, value) != ("store", None):
            refusal(WorkerSettings, **{name: value})
    assert refusal(producer, workers=value)


def test_the_error_of_a_value_names_the_flag_and_knows_the_variable() -> None:
    with pytest.raises(UnusableSetting, match=r"^--rate fast: give a number above 0 ") as caught:
        check_values(settings_of(ProducerSettings), {"rate": "fast"})
    assert caught.value.variable == "RANDSTREAM_RATE"
    assert caught.value.variable_message.startswith("RANDSTREAM_RATE=fast: give a number above 0 ")


def test_a_secret_value_is_not_in_its_error() -> None:
    with pytest.raises(UnusableSetting) as caught:
        check_values(settings_of(ProducerSettings), {"seed": f"{SECRET}\udcff"})
    assert SECRET not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


def test_unprintable_characters_are_escaped() -> None:
    assert refusal(WorkerSettings, name="\x1b[31m\n").startswith(r"--name '\x1b[31m\n': give")


def test_a_switch_that_is_off_does_not_count_as_a_choice() -> None:
    off: Any
    for off in (False, "false"):
        assert WorkerSettings(store="/data", discard=off).store == Path("/data")
