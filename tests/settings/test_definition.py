"""Definition: one setting gives the variable, the error, and the rule that of one choice only one is given."""

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


def test_the_error_of_a_value_blames_the_flag_and_knows_the_variable() -> None:
    with pytest.raises(UnusableSetting, match=r"^--rate fast: give a number$") as caught:
        check_values(settings_of(ProducerSettings), {"rate": "fast"})
    assert caught.value.variable == "RANDSTREAM_RATE"
    assert caught.value.variable_message == "RANDSTREAM_RATE=fast: give a number"


def test_a_secret_value_is_not_in_its_error() -> None:
    with pytest.raises(UnusableSetting) as caught:
        check_values(settings_of(ProducerSettings), {"seed": f"{SECRET}\udcff"})
    assert SECRET not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


def test_what_cannot_be_printed_is_escaped() -> None:
    assert refusal(WorkerSettings, name="\x1b[31m\n").startswith(r"--name '\x1b[31m\n': give")


def test_a_switch_that_is_off_is_no_choice() -> None:
    off: Any
    for off in (False, "false"):
        assert WorkerSettings(store="/data", discard=off).store == Path("/data")
