"""Options: what flags and variables mean, and the errors of those that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from tests.cli.lines import SECRET, Run, set_variables

from randstream import __version__
from randstream.cli.commands import commands
from randstream.cli.options import Seconds, WholeNumber, read_given
from randstream.settings import CommonSettings, ProducerSettings, WorkerSettings, settings_of

PRODUCER = {
    "workers": "a:1,raw://b:2",
    "seed": "42",
    "rate": "0.5",
    "numbers": "normal:0:1",
    "heartbeat": "2.5",
    "buffer-bytes": "64MiB",
    "name": "me",
    "grace": "7",
    "admin": "127.0.0.1:8080",
    "admin-host": "page.example",
    "log-level": "debug",
    "loop": "asyncio",
}


WORKER = {
    "listen": "0.0.0.0:1",
    "store": "/data",
    "segment-bytes": "64MiB",
    "retain-bytes": "2GiB",
    "name": "me",
    "grace": "7",
    "admin": ":8080",
    "admin-host": "page.example",
    "log-level": "error",
    "loop": "asyncio",
}


def as_flags(given: dict[str, str]) -> list[str]:
    return [f"--{flag}={value}" for flag, value in given.items()]


@pytest.mark.parametrize(
    ("role", "kind", "given"), [("producer", ProducerSettings, PRODUCER), ("worker", WorkerSettings, WORKER)]
)
def test_every_option_is_a_variable_too(
    role: str,
    kind: type[CommonSettings],
    given: dict[str, str],
    settings: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {known.flag: name for name, known in settings_of(kind).items()}
    values: dict[str, Any] = {names[flag]: value for flag, value in given.items()}
    expected = kind(**values)
    assert settings(role, *as_flags(given)) == expected
    set_variables(monkeypatch, {**given, "role": role})
    assert settings(role) == expected
    assert settings() == expected
    others = {"admin-token-file", "seed-file", "discard", "command", "accept-raw"}  # below
    others |= {
        "tls-ca",
        "tls-cert",
        "tls-key",
        "admin-tls-cert",
        "admin-tls-key",
        "allow-producer",
        "allow-worker",
    }  # with what they secure
    assert set(names) - set(given) <= others, "a setting that no test gives"


def test_switches_and_the_command_are_variables_too(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings("worker", "--discard", "--accept-raw") == WorkerSettings(discard=True, accept_raw=True)
    set_variables(monkeypatch, {"command": "./simulate 'two words'", "accept-raw": "true", "discard": "false"})
    assert settings("worker") == WorkerSettings(command=("./simulate", "two words"), accept_raw=True)


def test_the_admin_servers_certificate_is_a_pair_of_variables_too(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, {"admin": ":1", "admin-tls-cert": "a", "admin-tls-key": "b"})
    assert settings("worker").admin_certificate == ("a", "b")


def test_the_demos_processes_get_no_variables(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []

    def run_demo(seconds: float | None) -> int:
        left.extend(name for name in os.environ if name.startswith("RANDSTREAM_"))
        return 0

    monkeypatch.setattr("randstream.cli.demo.run_demo", run_demo)
    set_variables(monkeypatch, {"admin-tls-cert": "a", "log-level": "error", "store": "/data"})
    assert run("demo")[0] == 0
    assert left == []


def test_flags_win_over_variables(settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"workers": "a", "rate": "nonsense", "seed": SECRET})
    made = settings("producer", "--rate", "5", "--seed", "42")
    assert (made.rate, made.seed, str(made.workers[0])) == (5, "42", "a:9000")


def test_a_flag_overrides_the_variables_of_its_whole_choice(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "seed"
    path.write_text("42\n")
    set_variables(monkeypatch, {"seed": SECRET, "store": "/data", "workers": "a"})
    made = settings("producer", "--seed-file", str(path))
    assert (made.seed, made.seed_file) == (None, str(path))
    assert settings("worker", "--discard").store is None
    assert settings("worker", "--", "cat").command == ("cat",)
    set_variables(monkeypatch, {"seed": "", "seed-file": "/nope"})
    assert settings("producer", "--seed", "42").seed == "42"


def test_two_variables_of_one_choice_are_refused(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"seed": SECRET, "seed-file": "x", "workers": "a", "store": "/data", "discard": "1"})
    assert refusal("producer") == "--seed and --seed-file are both given; give one"
    assert refusal("numbers", "--worker", "w") == "--seed and --seed-file are both given; give one"
    assert refusal("worker") == "--store and --discard are both given; give one"


def test_an_empty_variable_is_not_set(settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"admin": "", "role": "", "discard": "", "command": ""})
    assert settings("worker") == WorkerSettings()


def test_an_empty_seed_variable_draws_no_seed(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"seed": ""})
    assert refusal("producer", "--workers", "a") == "RANDSTREAM_SEED: the seed is empty; give any text, such as 42"


def test_what_follows_the_dashes_is_the_command(settings: Callable[..., Any]) -> None:
    assert settings("worker", "--name", "w", "--", "prog", "--name", "x", "--", "-h").command == (
        "prog", "--name", "x", "--", "-h",
    )  # fmt: skip


def test_a_role_takes_the_arguments_that_name_no_command(
    settings: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANDSTREAM_ROLE", "worker")
    assert settings("--name", "w").name == "w"
    assert settings("--", "cat").command == ("cat",)
    assert isinstance(settings("producer", "--workers", "a"), ProducerSettings)
    assert "No such command 'verfy'" in run("verfy", "/data")[2]
    assert run("--version") == run("-V") == (0, f"randstream {__version__}\n", "")
    assert "Commands:" in run("--help")[1]


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("role", "boss", "RANDSTREAM_ROLE=boss: give producer or worker"),
        (
            "rate",
            "abc",
            "RANDSTREAM_RATE=abc: give a number above 0 (of numbers a second), such as 0.5, 10 or 1e6; or max",
        ),
        ("ratee", "5", "RANDSTREAM_RATEE is not a setting; did you mean RANDSTREAM_RATE?"),
        ("zzz", "5", "RANDSTREAM_ZZZ is not a setting; unset it; --help lists them all"),
        ("port", "tcp://10.0.0.1:9000", "Kubernetes sets it for a Service: set enableServiceLinks: false"),
        ("worker-service-host", "10.0.0.1", "set enableServiceLinks: false"),
        ("discard", "maybe", "RANDSTREAM_DISCARD=maybe: give true or false"),
        ("workers", "@/nope", "RANDSTREAM_WORKERS=@/nope: cannot read /nope: No such file or directory"),
        ("seed-file", "/nope", "RANDSTREAM_SEED_FILE=/nope: cannot read /nope: No such file or directory"),
        ("command", "it's", "RANDSTREAM_COMMAND=it's: No closing quotation; quote it as in a shell"),
    ],
)
def test_the_error_of_an_unusable_variable_names_the_variable(
    flag: str, value: str, says: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "producer" if flag in ("rate", "workers", "seed-file") else "worker"
    given = {"workers": "a"} if role == "producer" else {}
    set_variables(monkeypatch, {"role": role, **given, flag: value})
    assert says in refusal()


def test_reading_flags_and_variables_checks_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"rate": "fast", "name": ""})
    flags = dict.fromkeys(settings_of(ProducerSettings)) | {"heartbeat_interval": "never"}
    with read_given(settings_of(ProducerSettings), flags) as given:
        assert given == {"rate": "fast", "heartbeat_interval": "never"}


def test_no_error_message_contains_a_seed(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANDSTREAM_SEED", f"{SECRET}\udcff")
    assert SECRET not in refusal("producer", "--workers", "a")
    assert SECRET not in refusal("numbers", "--worker", "w", f"--seed={SECRET}", "--numbers=dice")
    assert SECRET not in refusal("producer", f"--seed={SECRET}", "--rate=0")
    assert SECRET not in refusal(f"--seed={SECRET}")


def test_help_and_completion_ignore_an_unknown_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANDSTREAM_BOGUS", "1")
    status, out, err = run("producer", "--help")
    assert (status, err) == (0, "")
    assert "[RANDSTREAM_HEARTBEAT]" in out
    monkeypatch.setenv("_RANDSTREAM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "randstream producer --hea")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run() == (0, "plain,--heartbeat\n", "")


def test_help_explains_every_option_and_names_its_variable(run: Run) -> None:
    for role, kind in (("producer", ProducerSettings), ("worker", WorkerSettings)):
        _, out, _ = run(role, "--help")
        for known in settings_of(kind).values():
            assert known.variable in out
            assert known.is_argument or f"--{known.flag}" in out
    _, out, _ = run("--help")
    names = list(commands.commands)
    assert [line.split()[0] for line in out.splitlines() if line.split()[:1] and line.split()[0] in names] == names
    assert "..." not in out.partition("Commands:")[2]


def test_help_is_a_command_too(run: Run, refusal: Callable[..., str]) -> None:
    assert run("help") == run("--help")
    assert run("help", "verify") == run("verify", "--help")
    assert run("help", "conform", "worker") == run("conform", "worker", "--help")
    assert refusal("help", "verfy").startswith("No such command 'verfy'")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("007", 7), ("10_000", 10_000), ("1e6", 10**6), ("1E+6", 10**6), ("1.5e3", 1500), ("0e99", 0),
        (" 5 ", 5), (str(2**63 - 1), 2**63 - 1), ("9.223372036854775807e18", 2**63 - 1),
    ],
)  # fmt: skip
def test_whole_numbers_are_taken_as_people_write_them(text: str, number: int) -> None:
    assert WholeNumber()(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "", "-1", "+1", "1.0", "1.5e0", "1e-3", "1e", "e6", "_1", "1_", "1__0", "0x10", "nan", "1e19", "1e999", "1 000",
        "1,000", "1M", "1k", "٣", "ALL", str(2**63),
    ],
)  # fmt: skip
@pytest.mark.parametrize("or_all", [False, True])
def test_what_is_no_whole_number_of_a_stream_is_refused(text: str, or_all: bool) -> None:
    with pytest.raises(click.BadParameter, match="give a whole number from 0 to 2\\^63 - 1, such as 10000") as refused:
        WholeNumber(or_all=or_all)(text)
    assert str(refused.value).endswith(", or all") == or_all


def test_all_is_a_count_and_no_offset(refusal: Callable[..., str]) -> None:
    assert WholeNumber(or_all=True)("all") is None
    assert "'all': give a whole number" in refusal("cat", "x", "--offset", "all")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("0", 0.0), ("0.5s", 0.5), (".5", 0.5), ("500ms", 0.5), ("3m", 180.0), ("1h", 3600.0), (" 5 ", 5.0)],
)
def test_durations_are_taken_as_people_write_them(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "inf", "5 minutes", "1s2", "s", "1d", "٣"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="give seconds, 0 or more, such as"):
        Seconds().convert(text, None, None)


def test_a_duration_that_is_too_short_is_refused() -> None:
    with pytest.raises(click.UsageError, match="give seconds, 2 or more, such as"):
        Seconds(2).convert("1.9", None, None)


@pytest.mark.parametrize("command", [("worker",), ("check", "--workers", "a")])
def test_dashes_without_a_command_are_refused(refusal: Callable[..., str], command: tuple[str, ...]) -> None:
    assert refusal(*command, "--").startswith("no COMMAND follows --; give one, or leave -- out; see: ")
