"""The commands: what flags and variables mean, what is said of bad ones, how a process ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from randstream import __version__
from randstream.cli import commands as cli
from randstream.cli.verify import run_verify
from randstream.errors import RandstreamError
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, Open, encode
from randstream.settings.roles import CommonSettings, ProducerSettings, WorkerSettings, settings_of

SECRET = "hunter2"
FIRST_OF_42 = "10\n60\n77\n74\n14\n5\n64\n49\n"
"""Source: docs/protocol.md, seed 42, worker-0, integers:1:100."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [each for each in os.environ if each.startswith("RANDSTREAM_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process: its exit status, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = cli.run(list(arguments))
        sys.stdout.flush()
        return status, *capfd.readouterr()

    return run


@pytest.fixture
def settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The settings that a role would run with."""
    seen: list[CommonSettings] = []

    def keep(make_role: Callable[[], Any], settings: CommonSettings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr("randstream.service.run_service", keep)
    monkeypatch.setattr("randstream.observe.logs.set_up_logs", lambda level: None)

    def settings(*arguments: str) -> Any:
        status, out, err = run(*arguments)
        assert (status, out, err) == (0, "", "")
        return seen[-1]

    return settings


@pytest.fixture
def refusal(run: Run) -> Callable[..., str]:
    """The one line that a command line is refused with."""

    def refusal(*arguments: str) -> str:
        status, out, err = run(*arguments)
        assert (status, out) == (2, "")
        assert err.startswith("randstream: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err.removeprefix("randstream: ").rstrip("\n")

    return refusal


# ---- flags and variables ----

PRODUCER = {
    "workers": "a:1,raw://b:2",
    "seed": "42",
    "rate": "0.5",
    "numbers": "normal:0:1",
    "heartbeat": "2.5",
    "name": "me",
    "grace": "7",
    "admin": "127.0.0.1:8080",
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
    "log-level": "error",
    "loop": "asyncio",
}


def as_flags(given: dict[str, str]) -> list[str]:
    return [f"--{flag}={value}" for flag, value in given.items()]


def set_variables(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for flag, value in given.items():
        monkeypatch.setenv("RANDSTREAM_" + flag.upper().replace("-", "_"), value)


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
    expected = kind(**{names[flag]: value for flag, value in given.items()})
    assert settings(role, *as_flags(given)) == expected
    set_variables(monkeypatch, {**given, "role": role})
    assert settings(role) == expected
    assert settings() == expected
    others = {"seed-file", "discard", "command", "accept-raw"}  # below
    others |= {"tls-ca", "tls-cert", "tls-key", "allow-producer"}  # with what they secure
    assert set(names) - set(given) <= others, "a setting that no test gives"


def test_switches_and_the_command_are_variables_too(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings("worker", "--discard", "--accept-raw") == WorkerSettings(discard=True, accept_raw=True)
    set_variables(monkeypatch, {"command": "./simulate 'two words'", "accept-raw": "true", "discard": "false"})
    assert settings("worker") == WorkerSettings(command=("./simulate", "two words"), accept_raw=True)


def test_flags_win_over_variables(settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, {"workers": "a", "rate": "nonsense", "seed": SECRET})
    made = settings("producer", "--rate", "5", "--seed", "42")
    assert (made.rate, made.seed, str(made.workers[0])) == (5, "42", "a:9000")


def test_a_flag_sets_aside_the_variable_of_the_other_choice(
    settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "seed"
    path.write_text("42\n")
    set_variables(monkeypatch, {"seed": SECRET, "store": "/data", "workers": "a"})
    assert settings("producer", "--seed-file", str(path)).seed == "42"
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
    assert run("--version") == (0, f"randstream {__version__}\n", "")
    assert "Commands:" in run("--help")[1]


# ---- refusals ----


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no command is given; see: randstream --help (or set RANDSTREAM_ROLE=producer or worker)"),
        (["--bogus"], "No such option '--bogus'; see: randstream --help"),
        (["verfy"], "No such command 'verfy'"),
        (["producer"], "--workers: no worker is named; give host:port"),
        (["producer", "--workers", ""], "--workers '': no worker is named; give host:port"),
        (["producer", "--workers", "@/nope"], "--workers @/nope: cannot read /nope: No such file or directory"),
        (["producer", "--workers", "a", "--rate", "-1"], "--rate -1: give a number above 0"),
        (["producer", "--workers", "a", "--rate"], "'--rate' requires an argument"),
        (["producer", "--workers", "a", "--bogus", "1"], "'--bogus'; see: randstream producer --help"),
        (
            ["producer", "--workers", "a", "--numbers", "dice"],
            "--numbers dice: 'dice' is no distribution; use integers",
        ),
        (["producer", "--workers", "a", "--seed", ""], "--seed: the seed is empty; give any text, such as 42"),
        (["producer", "--workers", "a", "more"], "unexpected extra argument"),
        (["worker", "--listen", "9000"], "--listen 9000: give HOST:PORT"),
        (["worker", "--name", "a\nb"], r"--name 'a\nb': give a name"),
        (["worker", "stray"], "Got unexpected extra argument (stray); see: randstream worker --help"),
        (["worker", "--discard", "--", "cat"], "--discard and -- COMMAND are both given; give one"),
        (["numbers", "--seed", "1"], "Missing option '--worker'; see: randstream numbers --help"),
        (["numbers", "--worker", "w"], "no seed is given; give --seed or --seed-file"),
        (["numbers", "--worker", "w", "--seed", "1", "--seed-file", "x"], "--seed and --seed-file are both given"),
        (["numbers", "--worker", "w", "--seed-file", "/nope"], "--seed-file /nope: cannot read /nope: No such file"),
        (["numbers", "--worker", "-w", "--seed", "1"], "'-w' is no worker's name; use"),
        (["numbers", "--worker", "w", "--seed", "1", "--offset", "-1"], "-1 is not in the range"),
        (["numbers", "--worker", "w", "--seed", "1", "--offset", str(2**63 - 2), "--count", "2"], "goes past its end"),
        (["verify"], "Missing argument 'PATH...'; see: randstream verify --help"),
        (["verify", "/nope"], "/nope is no store; give"),
        (["cat", "/nope"], "/nope is no store; give"),
        (["cat", "/no\npe"], "/no pe is no store; give"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    arguments: list[str], says: str, refusal: Callable[..., str]
) -> None:
    assert says in refusal(*arguments)


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("role", "boss", "RANDSTREAM_ROLE=boss: give producer or worker"),
        ("rate", "fast", "RANDSTREAM_RATE=fast: give a number"),
        ("ratee", "5", "RANDSTREAM_RATEE is no setting; did you mean RANDSTREAM_RATE?"),
        ("zzz", "5", "RANDSTREAM_ZZZ is no setting; unset it; --help tells those there are"),
        ("port", "tcp://10.0.0.1:9000", "Kubernetes makes it of a Service: set enableServiceLinks: false"),
        ("worker-service-host", "10.0.0.1", "set enableServiceLinks: false"),
        ("discard", "maybe", "RANDSTREAM_DISCARD=maybe: give true or false"),
        ("command", "it's", "RANDSTREAM_COMMAND=it's: No closing quotation; quote it as in a shell"),
    ],
)
def test_a_variable_that_cannot_be_used_is_blamed_by_its_name(
    flag: str, value: str, says: str, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, {"role": "producer" if flag == "rate" else "worker", flag: value})
    assert says in refusal()


def test_a_seed_is_in_no_refusal(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANDSTREAM_SEED", f"{SECRET}\udcff")
    assert SECRET not in refusal("producer", "--workers", "a")
    assert SECRET not in refusal("numbers", "--worker", "w", f"--seed={SECRET}", "--numbers=dice")
    assert SECRET not in refusal("producer", f"--seed={SECRET}", "--rate=0")


def test_help_and_completion_do_not_mind_an_unknown_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANDSTREAM_BOGUS", "1")
    status, out, err = run("producer", "--help")
    assert (status, err) == (0, "")
    assert "[RANDSTREAM_HEARTBEAT]" in out
    monkeypatch.setenv("_RANDSTREAM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "randstream producer --hea")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert run() == (0, "plain,--heartbeat\n", "")


def test_help_says_of_every_option_what_it_means_and_its_variable(run: Run) -> None:
    for role, kind in (("producer", ProducerSettings), ("worker", WorkerSettings)):
        _, out, _ = run(role, "--help")
        for known in settings_of(kind).values():
            assert known.variable in out
            assert known.is_argument or f"--{known.flag}" in out
    _, out, _ = run("--help")
    names = list(cli.commands.commands)
    assert [line.split()[0] for line in out.splitlines() if line.split()[:1] and line.split()[0] in names] == names
    assert "..." not in out.partition("Commands:")[2]


def test_arithmetic_that_differs_on_this_machine_is_refused(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ() -> None:
        raise RandstreamError("this machine's int64 text differs")

    monkeypatch.setattr("randstream.numbers.stream.check_known_answers", differ)
    for command in (["worker"], ["producer", "--workers", "a"], ["numbers", "--worker=w", "--seed=1"], ["verify", "/"]):
        assert refusal(*command) == "this machine's int64 text differs"


def test_ctrl_c_is_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("randstream.numbers.stream.check_known_answers", interrupt)
    assert run("numbers", "--worker=w", "--seed=1") == (130, "", "")


def test_a_closed_standard_output_is_refused(
    refusal: Callable[..., str], settings: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        assert cli.run(["numbers", "--worker=w", "--seed=1"]) == 2
        assert cli.run(["worker"]) == 2
        assert cli.run(["worker", "--discard"]) == 0


# ---- numbers ----


def test_numbers_are_exactly_the_workers(run: Run) -> None:
    arguments = ["numbers", "--seed", "42", "--worker", "worker-0"]
    assert run(*arguments, "--count", "8") == (0, FIRST_OF_42, "")
    assert run(*arguments, "--count", "3", "--offset", "5") == (0, FIRST_OF_42[-8:], "")
    assert run(*arguments, "--count", "0") == (0, "", "")


def test_many_numbers_are_printed_whole(run: Run) -> None:
    count = 2 * cli.RUN_NUMBERS + 1
    _, out, _ = run("numbers", "--seed=1", "--worker=w", "--numbers=bits64", f"--count={count}", "--offset=7")
    assert out.encode() == NumberStream("1", "w", "bits64").lines(7, count)


def test_numbers_reads_the_variables_of_the_seed_and_the_distribution(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, {"seed": " 42\n", "numbers": "bits64"})
    expected = NumberStream("42", "w", "bits64").lines(0, 10).decode()
    assert run("numbers", "--worker", "w") == (0, expected, "")


# ---- stores ----


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that holds two streams, of 1000 numbers and none."""
    import google_crc32c

    for worker, count in (("worker-0", 1000), ("worker-1", 0)):
        stream = NumberStream("42", worker, "integers:1:100")
        offered = Open(worker, stream.id, "integers:1:100", "producer", 1.0)
        text = encode(offered) + encode(Beat(0, 0, "0"))
        if count:
            lines = stream.lines(0, count)
            text += lines + encode(Beat(count, google_crc32c.value(lines), "1"))
        folder = tmp_path / f"{worker}-{stream.id}"
        folder.mkdir()
        (folder / f"{0:020d}.numbers").write_bytes(text)
    return tmp_path


def segment_of(store: Path, worker: str) -> Path:
    return next(store.glob(f"{worker}-*/*.numbers"))


def damage(store: Path) -> None:
    path = segment_of(store, "worker-0")
    text = bytearray(path.read_bytes())
    text[-100] ^= 1
    path.write_bytes(text)


def test_verify_of_what_holds_says_so_and_exits_0(store: Path, run: Run) -> None:
    status, out, err = run("verify", str(store), "--seed", "42")
    assert (status, err) == (0, "")
    one, other = (segment_of(store, worker).parent.name for worker in ("worker-0", "worker-1"))
    assert out.splitlines() == [
        f"ok       {one}: 1,000 numbers, offsets 0 to 999, every one as the seed makes it",
        f"ok       {other}: 0 numbers, every one as the seed makes it",
        "2 streams, none damaged",
    ]


def test_verify_without_the_seed_says_what_was_not_checked(store: Path, run: Run) -> None:
    path = segment_of(store, "worker-0")
    with path.open("ab") as file:
        file.write(b"12\n")
    _, out, _ = run("verify", str(path.parent))
    numbers = "1,000 numbers, offsets 0 to 999, every checksum holds; 3 bytes after them await their beat"
    assert out.splitlines() == [
        f"ok       {path.parent.name}: {numbers}",
        "Checked: offsets and checksums. Give --seed-file to have every number made again and compared, too.",
    ]


def test_verify_of_damage_says_where_and_exits_1(store: Path, run: Run) -> None:
    damage(store)
    status, out, err = run("verify", str(store), "--seed", "42")
    lines = out.splitlines()
    assert (status, err) == (1, "")
    assert lines[0].startswith(
        f"DAMAGED  {segment_of(store, 'worker-0').parent.name}: only 0 numbers hold; what follows"
    )
    assert lines[1].strip().startswith(f"{segment_of(store, 'worker-0')}: byte ")
    assert lines[-1] == "2 streams, 1 damaged"


def test_verify_as_json_is_one_object(store: Path, run: Run) -> None:
    status, out, _ = run("verify", str(store), "--json")
    report = json.loads(out)
    assert (status, report["ok"], report["count"], report["with_seed"]) == (0, True, 1000, False)
    assert [stream["end_offset"] for stream in report["streams"]] == [1000, 0]


def test_verify_of_what_cannot_be_read_is_refused(
    store: Path, refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "/data")

    monkeypatch.setattr("randstream.cli.verify.verify", fail)
    assert refusal("verify", str(store)) == "cannot read /data: Permission denied"


def test_verify_shows_colours_and_progress_on_a_terminal_only(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    run_verify([str(store)], "42", as_json=False)
    out, err = capsys.readouterr()
    assert out.startswith("\x1b[32mok\x1b[0m       worker-0")
    assert "\x1b[" in err


def test_cat_prints_what_is_stored(store: Path, run: Run) -> None:
    folder = str(segment_of(store, "worker-0").parent)
    assert run("cat", folder, "--count", "8") == (0, FIRST_OF_42, "")
    assert run("cat", folder, "--offset", "5", "--count", "3") == (0, FIRST_OF_42[-8:], "")
    assert len(run("cat", folder)[1].splitlines()) == 1000


def test_cat_of_damage_exits_1(store: Path, run: Run) -> None:
    folder = segment_of(store, "worker-0").parent
    path = folder / f"{0:020d}.numbers"
    path.write_bytes(b"nonsense\n" * 3)
    status, out, err = run("cat", str(folder))
    assert (status, out) == (1, "")
    assert err.startswith(f"randstream: {path}: byte 0")


def test_cat_of_what_cannot_be_read_is_refused(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Iterator[Any]:
        raise PermissionError(13, "Permission denied")
        yield

    monkeypatch.setattr("randstream.store.read_runs", fail)
    assert refusal("cat", "/data") == "cannot read /data: Permission denied"


# ---- processes ----


_started: list[subprocess.Popen[bytes]] = []


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    yield
    for process in _started:
        with process:  # which closes its pipes
            process.kill()
    _started.clear()


def start(*arguments: str, program: Sequence[str] = ("-m", "randstream"), **given: Any) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, *program, *arguments], **{**pipes, **given})
    _started.append(process)
    return process


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err.decode()


def wait_said(process: subprocess.Popen[bytes], event: str) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        said: dict[str, Any] = json.loads(line)
        if said["event"] == event:
            return said
    raise AssertionError(f"{event} was not said")


def port_of(said: dict[str, Any]) -> int:
    return int(said["address"].rpartition(":")[2])


def test_help_imports_nothing_that_costs() -> None:
    code = (
        "import sys; from randstream.cli import commands as cli\n"
        "for command in ('producer', 'worker', 'numbers', 'verify', 'cat', 'demo'): cli.run([command, '--help'])\n"
        "cli.run(['--help']), cli.run(['--version'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)
    for name in ("numpy", "orjson", "structlog", "rich", "aiohttp", "uvloop", "asyncio", "prometheus_client", "dns"):
        assert f"'{name}'" not in done.stderr


def test_the_console_script_completes() -> None:
    script = Path(sys.executable).with_name("randstream")
    variables = {**os.environ, "_RANDSTREAM_COMPLETE": "bash_source", "RANDSTREAM_BOGUS": "1"}
    done = subprocess.run([script], env=variables, capture_output=True, text=True, check=True, timeout=20)
    assert "complete -o nosort -F _randstream_completion randstream" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_cannot_be_written_is_refused(unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        arguments = ["numbers", "--seed", SECRET, "--worker", "w"] if unbuffered else ["--help"]
        process = start(*arguments, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
        status, _, err = finish(process)
    why = "cannot write to standard output: No space left on device; send it where there is room"
    assert (status, err) == (2, f"randstream: {why}\n")


def test_a_reader_that_goes_is_a_polite_end() -> None:
    process = start("numbers", "--seed", "42", "--worker", "worker-0", "--count", str(10**9))
    assert process.stdout is not None
    assert process.stdout.readline() == b"10\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(20) == 0


def worker(*arguments: str, **given: Any) -> tuple[subprocess.Popen[bytes], int]:
    process = start("worker", "--listen", "127.0.0.1:0", *arguments, **given)
    return process, port_of(wait_said(process, "worker.listening"))


def test_a_workers_reader_that_goes_is_a_polite_end() -> None:
    process, port = worker("--accept-raw")
    assert process.stdout is not None
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"1\n2\n")
        assert process.stdout.readline() == b"1\n"
        process.stdout.close()
        peer.sendall(b"3\n")
        assert process.stderr is not None
        events = [json.loads(line)["event"] for line in process.stderr]
    assert process.wait(20) == 0
    assert events[-1] == "service.stopped"
    process.stderr.close()


def test_a_port_that_is_taken_is_refused_after_the_log_and_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, out, err = finish(start("worker", "--listen", f"127.0.0.1:{port}"))
    *logged, line = err.splitlines()
    assert (status, out) == (2, b"")
    assert [json.loads(each)["event"] for each in logged] == ["service.started"]
    assert line.startswith(f"randstream: cannot listen on 127.0.0.1:{port}: ")
    assert "--listen" in line


def test_sigterm_ends_a_worker_with_0_and_nothing_said_is_lost() -> None:
    process, _ = worker("--loop", "asyncio")
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert status == 0
    assert [json.loads(line)["event"] for line in err.splitlines()] == ["service.stopping", "service.stopped"]


def test_a_second_signal_ends_a_producer_at_once_with_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"127.0.0.1:{server.getsockname()[1]}"
        process = start("producer", "--workers", target, "--heartbeat", "60", "--grace", "600")
        peer, _ = server.accept()
        with peer:  # a worker that never acknowledges anything
            peer.sendall(b"#hello randstream/1 worker=deaf\n")
            assert peer.recv(512).startswith(b"#open ")
            peer.sendall(b"#resume\n")
            wait_said(process, "link.resumed")
            process.send_signal(signal.SIGINT)
            wait_said(process, "service.stopping")
            process.send_signal(signal.SIGTERM)
            status, _, err = finish(process)
    assert status == 1
    assert json.loads(err.splitlines()[-1])["event"] == "service.killed"


def events(err: Sequence[str]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in err)


@pytest.mark.parametrize("given", [True, False])
def test_a_drawn_seed_is_logged_once_and_a_given_one_never(given: bool) -> None:
    arguments = ["--seed-file", "-", "--log-level", "debug"] if given else ["--log-level", "info"]
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        process = start("producer", "--workers", f"raw://127.0.0.1:{port}", *arguments, stdin=subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(f"{SECRET}\n".encode())
        process.stdin.close()
        process.stdin = None
        peer, _ = deaf.accept()
        with peer:
            assert peer.recv(1)
            process.send_signal(signal.SIGTERM)
            status, _, err = finish(process)
    drawn = [event for event in events(err.splitlines()) if "seed" in event]
    assert (status, len(drawn), SECRET in err) == (0, int(not given), False)
    if not given:
        seed = drawn[0]["seed"]
        assert (err.count(seed), len(seed)) == (1, 32)


def test_ctrl_c_leaves_no_process_behind() -> None:
    process, port = worker("--accept-raw", "--", "cat", start_new_session=True)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(b"1\n2\n")
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        process.send_signal(signal.SIGINT)
        status, _, _ = finish(process)
    assert status == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_closed_standard_error_gets_no_logs_into_sockets() -> None:
    closing = (
        "import os, sys; os.close(2); os.execv(sys.executable, [sys.executable, '-m', 'randstream', *sys.argv[1:]])"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"raw://127.0.0.1:{server.getsockname()[1]}"
        process = start("producer", "--workers", target, program=("-c", closing))
        peer, _ = server.accept()
        with peer:
            process.send_signal(signal.SIGTERM)
            received = b"".join(iter(lambda: peer.recv(2**16), b""))
        assert process.wait(20) == 0
    assert all(line.isdigit() for line in received.split())


@pytest.mark.parametrize("fd", [0, 1, 2])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_role_ends_in_order_when_a_standard_descriptor_is_closed(fd: int, loop: str) -> None:
    closing = f"import os, sys; os.close({fd}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    arguments = "-m", "randstream", "worker", "--discard", "--accept-raw", "--loop", loop, "--listen"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start(*arguments, f"127.0.0.1:{port}", program=("-c", closing))
    if fd == 2:
        wait_connected(port)
    else:
        wait_said(process, "worker.listening")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def wait_connected(port: int) -> None:
    with socket.socket() as peer:
        while peer.connect_ex(("127.0.0.1", port)):
            pass


def test_sigterm_ends_process_1_too_before_a_role_minds_it() -> None:
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )  # what the kernel does for process 1, an ignored signal is here
    endless = "-m", "randstream", "numbers", "--seed", "42", "--worker", "w", "--count", str(10**15)
    process = start(*endless, program=("-c", ignoring))
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    status, _, err = finish(process)
    assert (status, err) == (128 + signal.SIGTERM, "")


def test_every_command_has_a_help_of_its_own(run: Run) -> None:
    for name in cli.commands.commands:
        status, out, err = run(name, "--help")
        assert (status, err) == (0, "")
        assert out.startswith(f"Usage: randstream {name} ")
