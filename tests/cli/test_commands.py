"""Commands: what they print, what they refuse, how a process ends."""

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
from tests.cli.lines import FIRST_OF_42, SECRET, Run, segment_of, set_variables
from tests.cli.running import finish, port_of, start, wait_said

from randstream.cli.commands import commands
from randstream.cli.drawn import RUN_NUMBERS
from randstream.errors import RandstreamError
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, crc32c, encode


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no command is given; see: randstream --help (or set RANDSTREAM_ROLE=producer or worker)"),
        (["--bogus"], "No such option '--bogus'; see: randstream --help"),
        (["--admin=9001"], "no command is given before --admin; see: randstream --help"),
        (["verfy"], "No such command 'verfy'"),
        (["producer"], "--workers: no worker is named; give host:port"),
        (["producer", "--workers", ""], "--workers '': no worker is named; give host:port"),
        (["producer", "--workers", "@/nope"], "--workers @/nope: cannot read /nope: No such file or directory"),
        (["producer", "--workers", "a", "--rate", "-1"], "--rate -1: give a number above 0"),
        (["producer", "--workers", "a", "--rate"], "'--rate' requires an argument"),
        (["producer", "--workers", "a", "--bogus", "1"], "'--bogus'; see: randstream producer --help"),
        (
            ["producer", "--workers", "a", "--numbers", "dice"],
            "--numbers dice: 'dice' is not a distribution; use integers",
        ),
        (["producer", "--workers", "a", "--seed", ""], "--seed: the seed is empty; give any text, such as 42"),
        (["producer", "--workers", "a", "more"], "unexpected extra argument"),
        (["worker", "--listen", "localhost"], "--listen localhost: give HOST:PORT"),
        (["worker", "--name", "a\nb"], r"--name 'a\nb': give a name"),
        (["worker", "stray"], "Got unexpected extra argument (stray); see: randstream worker --help"),
        (["worker", "--discard", "--", "cat"], "--discard and -- COMMAND are both given; give one"),
        (["numbers", "--seed", "1"], "Missing option '--worker'; see: randstream numbers --help"),
        (["numbers", "--worker", "w"], "no seed is given; give --seed or --seed-file"),
        (["numbers", "--worker", "w", "--seed", "1", "--seed-file", "x"], "--seed and --seed-file are both given"),
        (["numbers", "--worker", "w", "--seed-file", "/nope"], "--seed-file /nope: cannot read /nope: No such file"),
        (["numbers", "--worker", "-w", "--seed", "1"], "'-w' is not a worker's name; use"),
        (["numbers", "--worker", "w", "--seed", "1", "--offset", "-1"], "'-1': give a whole number from 0 to 2^63 - 1"),
        (["numbers", "--worker", "w", "--seed", "1", "--offset", str(2**63 - 2), "--count", "2"], "goes past its end"),
        (["verify"], "Missing argument 'PATH...'; see: randstream verify --help"),
        (["verify", "/nope"], "/nope is not a store; give"),
        (["cat", "/nope"], "/nope is not a store; give"),
        (["cat", "/nope", "--offset", str(2**63)], "'--offset': '9223372036854775808': give a whole number"),
        (["cat", "/nope", "--count", "-3"], "'--count': '-3': give a whole number"),
        (["cat", "/nope", "--count", "5.0"], "'--count': '5.0': give a whole number"),
        (["conform", "producer", "--seed", ""], "--seed: the seed is empty; give any text, such as 42"),
        (["numbers", "--worker", "w", "--seed", "4\n2"], "--seed: the seed has a second line; give one line"),
        (["verify", "/nope", "--seed", "42\u00a0"], "--seed: the seed ends with U+00A0, NO-BREAK SPACE"),
        (["cat", "/no\npe"], "/no pe is not a store; give"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(
    arguments: list[str], says: str, refusal: Callable[..., str]
) -> None:
    assert says in refusal(*arguments)


def test_arithmetic_that_differs_on_this_machine_is_refused(
    refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ() -> None:
        raise RandstreamError("this machine's int64 text differs")

    monkeypatch.setattr("randstream.numbers.known_answers.check_known_answers", differ)
    for command in (["worker"], ["producer", "--workers", "a"], ["numbers", "--worker=w", "--seed=1"], ["verify", "/"]):
        assert refusal(*command) == "this machine's int64 text differs"


def test_numbers_prints_exactly_what_the_worker_gets(run: Run) -> None:
    arguments = ["numbers", "--seed", "42", "--worker", "worker-0"]
    assert run(*arguments, "--count", "8") == (0, FIRST_OF_42, "")
    assert run(*arguments, "--count", "3", "--offset", "5") == (0, FIRST_OF_42[-8:], "")
    assert run(*arguments, "--count", "0") == (0, "", "")


def test_many_numbers_are_printed_whole(run: Run) -> None:
    count = 2 * RUN_NUMBERS + 1
    _, out, _ = run("numbers", "--seed=1", "--worker=w", "--numbers=bits64", f"--count={count}", "--offset=7")
    assert out.encode() == NumberStream("1", "w", "bits64").lines(7, count)


def test_numbers_reads_the_variables_of_the_seed_and_the_distribution(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_variables(monkeypatch, {"seed": " 42\n", "numbers": "bits64"})
    expected = NumberStream("42", "w", "bits64").lines(0, 10).decode()
    assert run("numbers", "--worker", "w") == (0, expected, "")


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


def damaged(store: Path) -> Path:
    """A stream's folder whose second of three intervals, 10 to 19, is damaged."""
    folder = segment_of(store, "worker-0").parent
    stream = NumberStream("42", "worker-0", "integers:1:100")
    text = segment_of(store, "worker-0").read_bytes().partition(b"t=0\n")
    parts = [text[0] + text[1]]
    for first in (0, 10, 20):
        lines = stream.lines(first, 10)
        parts.append(lines + encode(Beat(first + 10, crc32c(lines), "1")))
    parts[2] = b"7" + parts[2]
    segment_of(store, "worker-0").write_bytes(b"".join(parts))
    return folder


def test_cat_prints_what_is_before_damage_and_says_what_is_damaged_where(store: Path, run: Run) -> None:
    folder = damaged(store)
    stream = NumberStream("42", "worker-0", "integers:1:100")
    status, out, err = run("cat", str(folder))
    assert (status, out.encode()) == (1, stream.lines(0, 10))
    assert err.count("\n") == 1
    assert err.startswith(f"randstream: {folder / f'{0:020d}.numbers'}: byte ")
    assert "(offset 10): number lines with crc " in err
    assert err.endswith("; --skip-damaged prints what still holds after it\n")
    assert run("cat", str(folder), "--count", "10") == (0, stream.lines(0, 10).decode(), "")


def test_cat_that_skips_damage_prints_the_rest_and_says_what_is_left_out(store: Path, run: Run) -> None:
    folder = damaged(store)
    stream = NumberStream("42", "worker-0", "integers:1:100")
    status, out, err = run("cat", str(folder), "--skip-damaged")
    assert (status, out.encode()) == (0, stream.lines(0, 10) + stream.lines(20, 10))
    assert err.count("\n") == 1
    assert err.startswith("randstream: offsets 10 to 19 are left out: ")
    whole = (0, stream.lines(25, 2).decode(), "")
    assert run("cat", str(folder), "--offset", "25", "--count", "2", "--skip-damaged") == whole


@pytest.mark.parametrize("offset", ["1000", "1001", "9223372036854775807"])
def test_cat_of_an_offset_past_the_end_says_so_and_exits_1(store: Path, run: Run, offset: str) -> None:
    folder = str(segment_of(store, "worker-0").parent)
    status, out, err = run("cat", folder, "--offset", offset)
    assert (status, out) == (1, "")
    assert f"holds no offset {offset} yet" in err
    assert err.count("\n") == 1
    assert run("cat", folder, "--offset", offset, "--count", "0") == (0, "", "")
    assert len(run("cat", folder, "--offset", "999", "--count", "5")[1].splitlines()) == 1


def test_cat_of_an_offset_before_the_oldest_kept_says_so_and_exits_1(store: Path, run: Run) -> None:
    path = segment_of(store, "worker-0")
    text = path.read_bytes().partition(b"offset=0")
    lines = NumberStream("42", "worker-0", "integers:1:100").lines(5, 5)
    later = path.with_name(f"{5:020d}.numbers")
    header = text[0] + b"offset=5 crc=00000000 t=0\n"
    later.write_bytes(header + lines + encode(Beat(10, crc32c(lines), "1")))
    path.unlink()
    status, out, err = run("cat", str(path.parent), "--offset", "4")
    assert (status, out) == (1, "")
    assert err == f"randstream: {path.parent} keeps no offset 4, only 5 and later\n"


def test_cat_of_an_empty_stream_prints_nothing(store: Path, run: Run) -> None:
    assert run("cat", str(segment_of(store, "worker-1").parent)) == (0, "", "")


def test_cat_of_a_store_of_two_streams_asks_which_and_takes_a_name(store: Path, run: Run) -> None:
    status, out, err = run("cat", str(store))
    one, other = (segment_of(store, worker).parent.name for worker in ("worker-0", "worker-1"))
    assert (status, out) == (2, "")
    assert err == (
        f"randstream: {store} holds 2 streams; choose with --stream (in Python: stream=) one of {one}, {other}\n"
    )
    for name in ("worker-0", one, one.rpartition("-")[2]):
        assert run("cat", str(store), "--stream", name, "--count", "8") == (0, FIRST_OF_42, "")
    assert run("cat", str(store), "--stream", "worker-2")[0] == 2


def test_cat_of_an_unreadable_store_is_refused(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("randstream.cli.stored.StoreReader", fail)
    assert refusal("cat", "/data") == "cannot read /data: Permission denied"


@pytest.mark.parametrize("name", ["text", "csv", "raw", "npy"])
def test_numbers_and_cat_write_the_same_in_each_format(name: str, store: Path, run: Run, tmp_path: Path) -> None:
    drawn, stored = tmp_path / "drawn", tmp_path / "stored"
    given = "--offset=1e2", "--count=5_0", f"--format={name}"
    assert run("numbers", "--seed=42", "--worker=worker-0", *given, f"--output={drawn}") == (0, "", "")
    assert run("cat", str(segment_of(store, "worker-0")), *given, f"--output={stored}") == (0, "", "")
    assert drawn.read_bytes() == stored.read_bytes()
    assert drawn.stat().st_size > 50


def test_count_all_is_all_that_is_stored_and_of_a_stream_all_there_is(store: Path, run: Run) -> None:
    assert run("cat", str(segment_of(store, "worker-0")), "--count=all")[1].count("\n") == 1000
    given = "--seed=42", "--worker=w", f"--offset={2**63 - 4}", "--count=all"
    assert run("numbers", *given) == (0, NumberStream("42", "w", "integers:1:100").lines(2**63 - 4, 3).decode(), "")


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys; from randstream.cli import entry as cli\n"
        "for command in ('producer', 'worker', 'numbers', 'verify', 'cat', 'demo'): cli.run([command, '--help'])\n"
        "cli.run(['--help']), cli.run(['--version'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("numpy", "orjson", "structlog", "rich", "aiohttp", "uvloop", "asyncio", "prometheus_client", "dns"):
        assert f"'{name}'" not in done.stderr


@pytest.mark.parametrize(("name", "first"), [("text", b"10\n"), ("csv", b"offset,number\n"), ("raw", b"\x0a\0\0\0\0")])
def test_numbers_without_end_exit_with_0_when_their_reader_leaves(name: str, first: bytes) -> None:
    process = start("numbers", "--seed", "42", "--worker", "worker-0", "--count", "all", "--format", name)
    assert process.stdout is not None
    assert process.stdout.read(len(first)) == first
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(20) == 0


def worker(*arguments: str, **given: Any) -> tuple[subprocess.Popen[bytes], int]:
    process = start("worker", "--listen", "127.0.0.1:0", *arguments, **given)
    return process, port_of(wait_said(process, "worker.listening"))


def test_a_worker_exits_with_0_when_its_reader_leaves() -> None:
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


def test_sigterm_ends_a_worker_with_0_and_no_log_line_is_lost() -> None:
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
        with peer:  # a worker that acknowledges nothing but the opening beat
            peer.sendall(b"#hello randstream/1 worker=deaf\n")
            assert peer.recv(512).startswith(b"#open ")
            peer.sendall(b"#resume\n#ack offset=0\n")
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


def test_every_command_has_a_help_of_its_own(run: Run) -> None:
    for name in commands.commands:
        status, out, err = run(name, "--help")
        assert (status, err) == (0, "")
        assert out.startswith(f"Usage: randstream {name} ")
