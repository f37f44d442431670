"""Checks: what a value of each kind may be, and the errors of unusable ones."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.settings.makers import producer, refusal

from randstream.settings import WorkerSettings


@pytest.mark.parametrize(("text", "rate"), [("10", 10), ("0.5", 0.5), ("1e6", 1e6), ("max", math.inf), (3, 3)])
def test_a_rate_is_above_0_or_max(text: Any, rate: float) -> None:
    assert producer(rate=text).rate == rate


@pytest.mark.parametrize("text", ["0", "-1", "nan", "-inf", "", "fast", None])
def test_unusable_rates_are_refused(text: Any) -> None:
    assert "give a number" in refusal(producer, rate=text)


def test_numbers_are_spelled_canonically() -> None:
    assert producer(numbers="integers:+01:6").numbers == "integers:1:6"


@pytest.mark.parametrize("text", ["dice", "integers:2:1", "normal:0", ""])
def test_unusable_distributions_are_refused(text: str) -> None:
    assert refusal(producer, numbers=text).startswith("--numbers")


def test_a_heartbeat_is_rounded_to_whole_milliseconds() -> None:
    assert producer(heartbeat_interval="0.0504").heartbeat_interval == 0.05


@pytest.mark.parametrize("text", ["0.04", "61", "nan", "x"])
def test_unusable_heartbeats_are_refused(text: str) -> None:
    assert refusal(producer, heartbeat_interval=text).startswith(f"--heartbeat {text}: give")


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "soon"])
def test_unusable_grace_periods_are_refused(text: str) -> None:
    assert refusal(producer, grace_period=text).startswith(f"--grace {text}: give")


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a\n", "a" * 129, "ä"])
def test_names_that_the_protocol_does_not_allow_are_refused(name: str) -> None:
    assert refusal(WorkerSettings, name=name).startswith("--name")


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("5B", 5), ("2KiB", 2048), ("3 MiB", 3 * 2**20), ("1TiB", 2**40)])
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    settings = WorkerSettings(segment_bytes=text, retain_bytes=text)
    assert (settings.segment_bytes, settings.retain_bytes) == (size, size)


@pytest.mark.parametrize("text", ["", "0", "-1", "1GB", "1.5GiB", "9" * 19, True, None])
def test_unusable_sizes_are_refused(text: Any) -> None:
    assert "such as 1GiB" in refusal(WorkerSettings, segment_bytes=text)


@pytest.mark.parametrize("text", ["true", "YES", "on", "1", True])
def test_a_switch_can_be_on(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is True


@pytest.mark.parametrize("text", ["false", "No", "off", "0", False])
def test_a_switch_can_be_off(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is False


def test_a_switch_that_is_neither_on_nor_off_is_refused() -> None:
    assert refusal(WorkerSettings, accept_raw="maybe") == "--accept-raw maybe: give true or false"


def test_a_command_as_text_is_split_as_by_a_shell() -> None:
    assert WorkerSettings(command="./simulate 'two words' --fast").command == ("./simulate", "two words", "--fast")
    assert WorkerSettings(command=["./simulate", "two words"]).command == ("./simulate", "two words")


def test_a_command_with_an_open_quote_is_refused() -> None:
    assert "quote it as in a shell" in refusal(WorkerSettings, command="it's")


def test_an_empty_folder_is_refused() -> None:
    assert refusal(WorkerSettings, store="") == "--store '': give a folder"


def test_a_choice_of_words_lists_them() -> None:
    assert refusal(producer, log_level="loud") == "--log-level loud: give debug, info, warning or error"
    assert refusal(producer, loop="select") == "--loop select: give uvloop or asyncio"
