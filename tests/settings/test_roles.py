"""Settings: one definition gives the value, the variable, the help, the error and the documentation."""

from __future__ import annotations

import io
import math
import sys
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
from docs.settings_table import PAGE, page

from randstream.errors import SettingsError
from randstream.settings.checks import Address, Target, read_seed
from randstream.settings.roles import CommonSettings, ProducerSettings, WorkerSettings, settings_of

WORKERS = "worker-0:9000"
SECRET = "hunter2"


def producer(**given: Any) -> ProducerSettings:
    return ProducerSettings(**{"workers": WORKERS, **given})


def refusal(make: Any, **given: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        make(**given)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---- one definition ----


@pytest.mark.parametrize("kind", [ProducerSettings, WorkerSettings])
def test_every_field_is_a_setting_with_its_help_and_default(kind: type[CommonSettings]) -> None:
    settings = settings_of(kind)
    assert {each.name for each in fields(kind) if each.init} == set(settings)
    for known in settings.values():
        assert known.help.endswith(".")
        assert known.default_text


@pytest.mark.parametrize("kind", [ProducerSettings, WorkerSettings])
def test_a_default_that_is_shown_is_the_default(kind: type[CommonSettings]) -> None:
    settings = settings_of(kind)
    for each in fields(kind):
        if each.init and each.default not in (MISSING, None, ()):
            known = settings[each.name]
            assert known.read(known.default_text) == known.read(each.default)


def test_a_variable_is_the_flag_in_capitals() -> None:
    settings = settings_of(WorkerSettings)
    assert settings["segment_bytes"].variable == "RANDSTREAM_SEGMENT_BYTES"
    assert settings["grace_period"].variable == "RANDSTREAM_GRACE"


def test_a_roles_own_settings_come_before_those_of_both() -> None:
    names = list(settings_of(WorkerSettings))
    assert names[0] == "listen"
    assert names[-len(fields(CommonSettings)) :] == [each.name for each in fields(CommonSettings)]


def test_the_page_of_settings_is_true() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_settings_are_made_of_values_as_of_their_text() -> None:
    by_text = WorkerSettings(name="w", listen="[::1]:0", grace_period="2", discard="yes", segment_bytes="64MiB")
    by_value = WorkerSettings(name="w", listen=Address("::1", 0), grace_period=2, discard=True, segment_bytes=2**26)
    assert by_text == by_value


# ---- values ----


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("a:1", Target("stream", "a", 1)),
        ("worker-0.workers.svc", Target("stream", "worker-0.workers.svc", 9000)),
        ("127.0.0.1:65535", Target("stream", "127.0.0.1", 65535)),
        ("[::1]:9000", Target("stream", "::1", 9000)),
        ("raw://localhost:9100", Target("raw", "localhost", 9100)),
    ],
)
def test_a_target_is_host_and_port(text: str, target: Target) -> None:
    assert producer(workers=text).workers == (target,)
    assert producer(workers=str(target)).workers == (target,)
    assert producer(workers=[target]).workers == (target,)


def test_targets_are_separated_by_commas() -> None:
    assert [str(target) for target in producer(workers="a:1, raw://b:2,,[::1]:3,").workers] == [
        "a:1", "raw://b:2", "[::1]:3",
    ]  # fmt: skip


def test_a_file_of_targets_has_one_a_line_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "workers"
    path.write_bytes(b"# all of them\r\na:1 # the first\r\n\r\n  raw://b:2\n")
    assert [str(target) for target in producer(workers=f"@{path}").workers] == ["a:1", "raw://b:2"]


def test_the_worker_name_of_a_raw_target_is_a_name() -> None:
    assert producer(workers="raw://[::1]:9100").workers[0].raw_worker == "raw-__1-9100"


@pytest.mark.parametrize(
    "text", ["", ",", " , ", "a b:1", "a:", "a:x", "http//a:1", "::1:9000", "-a:1", "@/nope/nope", "@"]
)
def test_targets_that_cannot_be_are_refused(text: str) -> None:
    assert refusal(producer, workers=text).startswith("--workers")


def test_targets_of_an_empty_file_are_refused() -> None:
    assert "no worker is named" in refusal(producer, workers="@/dev/null")


@pytest.mark.parametrize("text", ["a:0", "a:65536", "a:" + "9" * 5000])
def test_ports_that_cannot_be_are_refused(text: str) -> None:
    assert "give a port from 1 to 65535" in refusal(producer, workers=text)


def test_an_unknown_scheme_is_refused() -> None:
    assert "raw://host:port" in refusal(producer, workers="tls://a:1")


def test_a_target_named_twice_is_refused_by_its_name() -> None:
    assert "a:9000 is named 2 times" in refusal(producer, workers="b,a,a:9000")


def test_an_error_repeats_only_the_beginning_of_what_is_long() -> None:
    assert len(refusal(producer, workers=",".join(f"worker-{n}:1" for n in range(10_000)) + ",a b")) < 250


@pytest.mark.parametrize(("text", "rate"), [("10", 10), ("0.5", 0.5), ("1e6", 1e6), ("max", math.inf), (3, 3)])
def test_a_rate_is_above_0_or_max(text: Any, rate: float) -> None:
    assert producer(rate=text).rate == rate


@pytest.mark.parametrize("text", ["0", "-1", "nan", "-inf", "", "fast", None])
def test_rates_that_cannot_be_are_refused(text: Any) -> None:
    assert "give a number" in refusal(producer, rate=text)


def test_numbers_are_spelled_canonically() -> None:
    assert producer(numbers="integers:+01:6").numbers == "integers:1:6"


@pytest.mark.parametrize("text", ["dice", "integers:2:1", "normal:0", ""])
def test_distributions_that_cannot_be_are_refused(text: str) -> None:
    assert refusal(producer, numbers=text).startswith("--numbers")


def test_a_heartbeat_is_of_whole_milliseconds() -> None:
    assert producer(heartbeat_interval="0.0504").heartbeat_interval == 0.05


@pytest.mark.parametrize("text", ["0.04", "61", "nan", "x"])
def test_heartbeats_that_cannot_be_are_refused(text: str) -> None:
    assert refusal(producer, heartbeat_interval=text).startswith(f"--heartbeat {text}: give")


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "soon"])
def test_graces_that_cannot_be_are_refused(text: str) -> None:
    assert refusal(producer, grace_period=text).startswith(f"--grace {text}: give")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        (":0", "0.0.0.0:0"),
        ("[::]:1", "[::]:1"),
        ("::1:1", "[::1]:1"),
        ("localhost:80", "localhost:80"),
    ],
)
def test_an_address_is_host_and_port(text: str, address: str) -> None:
    assert str(WorkerSettings(listen=text).listen) == address


@pytest.mark.parametrize("text", ["", "9000", "a b:1", "a:", "a:-1", "a:65536", "a:x", "http://a:1"])
def test_addresses_that_cannot_be_are_refused(text: str) -> None:
    assert refusal(WorkerSettings, listen=text).startswith("--listen")


@pytest.mark.parametrize("value", [None, 5])
def test_a_value_of_the_wrong_type_is_refused(value: Any) -> None:
    for name in ("listen", "command", "store", "name"):
        if (name, value) != ("store", None):
            refusal(WorkerSettings, **{name: value})
    assert refusal(producer, workers=value)


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a\n", "a" * 129, "ä"])
def test_names_that_the_wire_cannot_say_are_refused(name: str) -> None:
    assert refusal(WorkerSettings, name=name).startswith("--name")


def test_what_cannot_be_printed_is_escaped() -> None:
    assert refusal(WorkerSettings, name="\x1b[31m\n").startswith(r"--name '\x1b[31m\n': give")


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("5B", 5), ("2KiB", 2048), ("3 MiB", 3 * 2**20), ("1TiB", 2**40)])
def test_a_size_is_bytes_or_has_a_unit(text: str, size: int) -> None:
    settings = WorkerSettings(segment_bytes=text, retain_bytes=text)
    assert (settings.segment_bytes, settings.retain_bytes) == (size, size)


@pytest.mark.parametrize("text", ["", "0", "-1", "1GB", "1.5GiB", "9" * 19, True, None])
def test_sizes_that_cannot_be_are_refused(text: Any) -> None:
    assert "such as 1GiB" in refusal(WorkerSettings, segment_bytes=text)


@pytest.mark.parametrize("text", ["true", "YES", "on", "1", True])
def test_a_switch_can_be_on(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is True


@pytest.mark.parametrize("text", ["false", "No", "off", "0", False])
def test_a_switch_can_be_off(text: Any) -> None:
    assert WorkerSettings(accept_raw=text).accept_raw is False


def test_a_switch_that_is_neither_is_refused() -> None:
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


# ---- one choice ----


@pytest.mark.parametrize(
    ("given", "both"),
    [
        ({"store": "/data", "discard": True}, "--store and --discard"),
        ({"store": "/data", "command": "cat"}, "--store and -- COMMAND"),
        ({"discard": True, "command": "cat"}, "--discard and -- COMMAND"),
        ({"store": "/data", "accept_raw": True}, "--accept-raw and --store"),
    ],
)
def test_numbers_go_to_one_place(given: dict[str, Any], both: str) -> None:
    assert refusal(WorkerSettings, **given).startswith(f"{both} are both given; give one")


def test_a_switch_that_is_off_is_no_choice() -> None:
    assert WorkerSettings(store="/data", discard="false").store == Path("/data")


# ---- the seed ----


def test_a_seed_is_the_same_by_text_and_by_file(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_bytes(b" 42\r\n")
    assert producer(seed="42").seed == producer(seed=" 42\n").seed == producer(seed_file=str(path)).seed == "42"
    assert not producer(seed="42").seed_was_drawn


def test_changed_settings_keep_the_seed_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text("42\n")
    changed = replace(producer(seed_file=path), rate=5)
    assert (changed.seed, changed.seed_was_drawn, changed.rate) == ("42", False, 5.0)


def test_a_seed_can_come_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("säed\n".encode()), encoding="ascii"))
    assert producer(seed_file="-").seed == "säed"


def test_without_a_seed_each_draws_one_of_its_own() -> None:
    one, other = producer(), producer()
    assert one.seed_was_drawn
    assert len(one.seed) == 32
    assert one.seed != other.seed


def test_a_seed_and_a_seed_file_together_are_refused() -> None:
    assert refusal(producer, seed=SECRET, seed_file="x") == "--seed and --seed-file are both given; give one"


@pytest.mark.parametrize("seed", ["", " \t\n"])
def test_an_empty_seed_is_refused(seed: str, tmp_path: Path) -> None:
    path = tmp_path / "seed"
    path.write_text(seed)
    assert refusal(producer, seed=seed) == "--seed: the seed is empty; give any text, such as 42"
    assert refusal(read_seed, seed=None, seed_file=str(path)).endswith("the seed is empty; give any text, such as 42")


@pytest.mark.parametrize(
    ("path", "why"), [("", "give a file"), ("/nope", "No such file"), ("/", "Is a directory"), ("bad", "not UTF-8")]
)
def test_seed_files_that_cannot_be_read_are_refused(
    path: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad").write_bytes(b"\xff\xfe")
    message = refusal(producer, seed_file=path)
    assert message.startswith("--seed-file")
    assert why in message


def test_a_closed_standard_input_holds_no_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in refusal(producer, seed_file="-")


def test_a_seed_is_in_no_repr_and_no_error() -> None:
    assert SECRET not in repr(producer(seed=SECRET))
    assert SECRET not in refusal(producer, seed=SECRET, rate=0)
    assert SECRET not in refusal(producer, seed=f"{SECRET}\udcff")
