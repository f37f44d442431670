"""Output: a file is there whole or not at all, its progress is a terminal's, and binary is no terminal's."""

from __future__ import annotations

import os
import pty
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from tests.cli.lines import FIRST_OF_42, Run

from randstream.cli import entry as cli
from randstream.cli.drawn import Drawn
from randstream.cli.output import require_writable, write_numbers
from randstream.errors import SettingsError, SinkError
from randstream.numbers.stream import NumberStream

NUMBERS = "numbers", "--seed=42", "--worker=worker-0", "--count=8"
STREAM = NumberStream("42", "worker-0", "integers:1:100")


class Failing(Drawn):
    """Some numbers, and then whatever `fail` does."""

    def __init__(self, fail: Callable[[], Any]) -> None:
        super().__init__(STREAM, 0, 100_000)
        self._fail = fail

    def parts(self) -> Iterator[Any]:
        yield next(super().parts())
        self._fail()


@contextmanager
def a_terminal(stream: IO[str]) -> Iterator[list[bytes]]:
    """`stream` is a terminal until the block ends; what was written to it is known then."""
    stream.flush()
    fd = stream.fileno()
    reader, writer = pty.openpty()
    kept = os.dup(fd)
    os.dup2(writer, fd)
    os.close(writer)
    shown: list[bytes] = []
    try:
        yield shown
    finally:
        os.dup2(kept, fd)
        os.close(kept)
        try:
            while data := os.read(reader, 2**16):
                shown.append(data)
        except OSError:  # the other end is closed
            pass
        os.close(reader)


def test_a_file_holds_the_numbers_and_nothing_else_is_left(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "numbers.txt"
    assert run(*NUMBERS, f"--output={file}") == (0, "", "")
    assert file.read_text() == FIRST_OF_42
    assert list(tmp_path.iterdir()) == [file]


def test_a_current_folder_that_is_gone_is_blamed_on_the_file(
    refusal: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    why = "No such file or directory; name a file that can be written"
    assert refusal(*NUMBERS, "--output=x") == f"--output x: {why}"
    assert refusal("check", "--workers=1", "--report=x") == f"--report x: {why}"


def test_a_dash_is_standard_output(run: Run) -> None:
    assert run(*NUMBERS, "--output=-") == (0, FIRST_OF_42, "")


def test_a_new_file_has_the_permissions_that_others_get(run: Run, tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        run(*NUMBERS, f"--output={tmp_path}/new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_an_older_file_is_replaced_and_its_permissions_and_links_to_it_stay(run: Run, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_text("older\n")
    file.chmod(0o600)
    link.symlink_to("file")
    assert run(*NUMBERS, f"--output={link}") == (0, "", "")
    assert link.is_symlink()
    assert file.read_text() == FIRST_OF_42
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143), SettingsError("no")])
def test_an_end_before_the_end_leaves_the_older_file_and_nothing_else(tmp_path: Path, end: Any) -> None:
    file = tmp_path / "file"
    file.write_text("older\n")

    def fail() -> None:
        assert len(list(tmp_path.iterdir())) == 2
        raise end

    with pytest.raises(BaseException) as ended:
        write_numbers(Failing(fail), "text", str(file))
    assert ended.value is end
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "older\n"


def test_a_signal_that_ends_the_process_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        write_numbers(Failing(lambda: os.kill(os.getpid(), signal.SIGTERM)), "raw", str(tmp_path / "file"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", ["8", "1e6"])
def test_a_full_disk_is_one_line_and_exit_status_1(run: Run, count: str) -> None:
    status, out, err = run(*NUMBERS, f"--count={count}", "--output=/dev/full")
    why = "cannot write /dev/full: No space left on device; send it where there is room"
    assert (status, out, err) == (1, "", f"randstream: {why}\n")


def test_a_disk_that_fills_up_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "file"
    file.write_text("older\n")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SinkError, match=f"cannot write {file}: No space left on device"):
        write_numbers(Drawn(STREAM, 0, 8), "text", str(file))
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_text() == "older\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [("missing/file", "No such file or directory"), ("", "Is a directory"), ("x" * 256, "File name too long")],
)
def test_a_file_that_cannot_be_made_is_refused(
    refusal: Callable[..., str], tmp_path: Path, name: str, why: str
) -> None:
    said = refusal(*NUMBERS, f"--output={tmp_path}/{name}")
    assert said == f"--output {tmp_path / name}: {why}; name a file that can be written"
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_and_stays(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    assert run(*NUMBERS, f"--output={pipe}") == (0, "", "")
    reader.join(20)
    assert read == [FIRST_OF_42.encode()]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["raw", "npy"])
def test_binary_is_not_written_to_a_terminal(run: Run, name: str) -> None:
    with a_terminal(sys.stdout) as shown:
        status = cli.run([*NUMBERS, f"--format={name}"])
    assert (status, shown) == (2, [])
    _, _, err = run("--version")
    assert err == f"randstream: {name} is binary, and this is a terminal; give --output FILE, > FILE or | PROGRAM\n"


@pytest.mark.parametrize("name", ["text", "csv"])
def test_text_is_written_to_a_terminal(name: str) -> None:
    with a_terminal(sys.stdout) as shown:
        assert cli.run([*NUMBERS, f"--format={name}"]) == 0
    assert b"49\r\n" in b"".join(shown)


def test_npy_of_numbers_without_end_is_refused(refusal: Callable[..., str], tmp_path: Path) -> None:
    said = refusal("numbers", "--seed=42", "--worker=w", "--count=all", "--format=npy", f"--output={tmp_path}/x.npy")
    assert said == "npy states how many numbers follow, and these have no end; give --count N"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("total", [8, None])
def test_progress_is_shown_on_a_terminal_for_a_file_alone(tmp_path: Path, total: int | None) -> None:
    class Some(Drawn):
        def parts(self) -> Iterator[Any]:
            yield from list(Drawn(STREAM, 0, 8).parts())

    def progress(path: str | None) -> bytes:
        with a_terminal(sys.stderr) as shown:
            write_numbers(Some(STREAM, 0, total), "text", path)
        return b"".join(shown)

    assert b"8 numbers" in progress(str(tmp_path / "file"))
    assert progress(None) == b""


def test_whether_a_file_can_be_written_is_found_out_without_a_trace(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.write_text("older")
    for path in (older, tmp_path / "new"):
        require_writable(str(path), "--report")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"older": "older"}


def test_a_device_and_a_pipe_without_a_reader_can_be_written_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", str(tmp_path / "pipe"), "-"):
        require_writable(path, "--report")


@pytest.mark.parametrize("name", [".", "no/folder", "file/in-a-file", "n" * 300])
def test_where_nothing_can_be_written_is_said_before_anything_is_done(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"^--report .*: .*; name a file that can be written$"):
        require_writable(str(tmp_path / name), "--report")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
