"""Makers: settings from a few values, and the errors of unusable ones."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from randstream.errors import SettingsError
from randstream.settings import ProducerInputs, ProducerSettings

SECRET = "hunter2"


def producer(**given: Any) -> ProducerSettings:
    return ProducerSettings(**{"workers": "worker-0:9000", **given})


def inputs(random: Random | None = None, **given: Any) -> ProducerInputs:
    return producer(**given).resolve(random or Random(0))


def refusal(make: Any, **given: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        make(**given)
    message = str(caught.value)
    assert "\n" not in message
    return message
