"""Checks: what a value of each kind may be, and the errors of unusable ones."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.settings.makers import producer, refusal

from randstream.settings import WorkerSettings


@pytest.mark.parametrize(
    ("text", "rate"), [("10", 10), ("0.5", 0.5), ("1e6", 1e6), ("1_000_000", 1e6), ("max", math.inf), (3, 3)]
)
def test_a_rate_is_above_0_or_max(text: Any, rate: float) -> None:
    assert producer(rate=text).rate == rate


@pytest.mark.parametrize(
    "value", [np.uint16(100), np.int64(100), np.float32(100), Decimal(100), Fraction(100), np.longdouble(100)]
)
def test_a_number_may_be_of_any_real_type(value: Any) -> None:
    settings = producer(rate=value, grace_period=value, heartbeat_interval=value / 100)
    assert (settings.rate, settings.grace_period, settings.heartbeat_interval) == (100, 100, 1)
    assert {type(settings.rate), type(settings.grace_period), type(settings.heartbeat_interval)} == {float}


@pytest.mark.parametrize("name", ["rate", "grace_period", "heartbeat_interval"])
@pytest.mark.parametrize(
    "value",
    [True, np.True_, b"10", np.array(10), np.array([10]), np.array([10, 20]), 10 + 0j, np.complex128(10), [10],
     10**400, Decimal("sNaN"), np.datetime64(10, "s")],
    ids=str,
)  # fmt: skip
def test_what_is_no_real_number_is_refused(name: str, value: Any) -> None:
    assert "give" in refusal(producer, **{name: value})


@pytest.mark.parametrize("text", ["0", "-1", "nan", "-inf", "", "fast", None])
def test_unusable_rates_are_refused(text: Any) -> None:
    advice = "give a number above 0 (of numbers a second), such as 0.5, 10 or 1e6; or max"
    assert refusal(producer, rate=text).endswith(f": {advice}")


def test_numbers_are_spelled_canonically() -> None:
    assert producer(numbers="integers:+01:6").numbers == "integers:1:6"


@pytest.mark.parametrize("text", ["dice", "integers:2:1", "normal:0", ""])
def test_unusable_distributions_are_refused(text: str) -> None:
    assert refusal(producer, numbers=text).startswith("--numbers")


def test_a_heartbeat_is_rounded_to_whole_milliseconds() -> None:
    assert producer(heartbeat_interval="0.0504").heartbeat_interval == 0.05


@pytest.mark.parametrize(("text", "seconds"), [("2", 2.0), (".5", 0.5), ("1.5s", 1.5), (" 500 ms ", 0.5), ("1m", 60.0)])
def test_seconds_may_have_a_unit(text: str, seconds: float) -> None:
    made = producer(heartbeat_interval=text, grace_period=text)
    assert (made.heartbeat_interval, made.grace_period) == (seconds, seconds)


@pytest.mark.parametrize("text", ["0.04", "49ms", "61", "2m", "nan", "x"])
def test_unusable_heartbeats_are_refused(text: str) -> None:
    advice = "give 0.05 to 60 seconds, such as 1, 0.5 or 500ms"
    assert refusal(producer, heartbeat_interval=text) == f"--heartbeat {text}: {advice}"


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "soon", "1d", "5 minutes"])
def test_unusable_grace_periods_are_refused(text: str) -> None:
    advice = "give seconds, 0 or more, such as 2, 0.5, 500ms, 3m or 1h"
    assert refusal(producer, grace_period=text) == f"--grace {text}: {advice}"


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a\n", "a" * 129, "ä", 5, b"worker-0", True])
def test_names_that_the_protocol_does_not_allow_are_refused(name: Any) -> None:
    assert refusal(WorkerSettings, name=name).startswith("--name")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("5B", 5), ("2KiB", 2048), ("3 MiB", 3 * 2**20), ("1TiB", 2**40), ("1e6", 10**6),
     ("1_000_000", 10**6)],
)  # fmt: skip
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    settings = WorkerSettings(segment_bytes=text, retain_bytes=text)
    assert (settings.segment_bytes, settings.retain_bytes) == (size, size)


@pytest.mark.parametrize("size", [4096, np.uint16(4096), np.int64(4096), np.array(4096)])
def test_a_size_may_be_an_integer_of_any_type(size: Any) -> None:
    settings = WorkerSettings(segment_bytes=size, retain_bytes=size)
    assert (settings.segment_bytes, type(settings.segment_bytes)) == (4096, int)
    assert (settings.retain_bytes, type(settings.retain_bytes)) == (4096, int)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1GB", "1M", "1.5GiB", "1.5e0", "1e99", "9" * 19, "9999999999TiB",
     True, np.True_, None, 4096.0, Decimal(4096), b"4096",
     np.int8(-1), 0, 2**63, 10**5000, [4096]],
    ids=lambda value: str(value)[:20] if not isinstance(value, int) or value < 2**64 else "huge",
)  # fmt: skip
def test_unusable_sizes_are_refused(text: Any) -> None:
    assert "such as 1GiB" in refusal(WorkerSettings, segment_bytes=text)


@pytest.mark.parametrize("text", ["true", "YES", "on", "1", True, 1, np.True_, np.int8(1)])
def test_a_switch_can_be_on(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is True


@pytest.mark.parametrize("text", ["false", "No", "off", "0", False, 0, np.False_])
def test_a_switch_can_be_off(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is False


@pytest.mark.parametrize("value", [2, np.int8(-1), 1.0, b"true", None, np.array([1])])
def test_a_switch_is_nothing_else(value: Any) -> None:
    assert refusal(WorkerSettings, accept_raw=value).endswith("give true or false")


def test_a_switch_that_is_neither_on_nor_off_is_refused() -> None:
    assert refusal(WorkerSettings, accept_raw="maybe") == "--accept-raw maybe: give true or false"


def test_a_command_as_text_is_split_as_by_a_shell() -> None:
    assert WorkerSettings(command="./simulate 'two words' --fast").command == ("./simulate", "two words", "--fast")
    assert WorkerSettings(command=["./simulate", "two words"]).command == ("./simulate", "two words")


def test_a_command_with_an_open_quote_is_refused() -> None:
    assert "quote it as in a shell" in refusal(WorkerSettings, command="it's")


def test_an_argument_of_a_command_may_be_empty_or_a_path() -> None:
    assert WorkerSettings(command=[Path("/bin/echo"), ""]).command == ("/bin/echo", "")  # type: ignore[list-item] # a path is text enough


@pytest.mark.parametrize("command", [b"cat", ["cat", 5], 5, [b"cat"]])
def test_a_command_is_texts(command: Any) -> None:
    assert refusal(WorkerSettings, command=command).endswith(
        "give a program and its arguments, as text or as a list of texts"
    )


@pytest.mark.parametrize("value", [b"/data", 5, True, "", Path])
def test_a_file_and_a_folder_are_text_or_a_path(value: Any) -> None:
    assert refusal(WorkerSettings, store=value).endswith("give the path of a folder")
    assert refusal(producer, seed_file=value).endswith("give the path of a file")


@pytest.mark.parametrize("names", [b"a.example", 5, ["a.example", 5], True])
def test_names_in_certificates_are_texts(names: Any) -> None:
    assert "give DNS names or URIs" in refusal(WorkerSettings, allow_producer=names)


def test_an_empty_folder_is_refused() -> None:
    assert refusal(WorkerSettings, store="") == "--store '': give the path of a folder"


def test_a_choice_of_words_lists_them() -> None:
    assert refusal(producer, log_level="loud") == "--log-level loud: give debug, info, warning or error"
    assert refusal(producer, loop="select") == "--loop select: give uvloop or asyncio"


def test_names_of_hosts_are_compared_without_case_or_final_dot() -> None:
    assert producer(admin=":1", admin_host="Page.Example., *.svc").admin_host == ("page.example", "*.svc")
    assert producer(admin=":1", admin_host=["a,b", "c_1-d"]).admin_host == ("a", "b", "c_1-d")


@pytest.mark.parametrize(
    "text", ["a,", "*", "*.", "a.*", "a:9001", "http://a", "a/b", "[::1]", "a b", ".a", "a..b", "bücher"]
)
def test_what_is_no_name_of_a_host_is_told(text: str) -> None:
    assert "give names of hosts without a port" in refusal(producer, admin=":1", admin_host=text)
