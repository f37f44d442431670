"""The launcher, by itself: what it does before it becomes another program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from randstream.children import launcher


def launch(parent: int, *command: str) -> tuple[int, bytes, bytes]:
    """The exit status, what was reported, and the output."""
    reading, writing = os.pipe()
    arguments = [sys.executable, "-I", "-S", launcher.__file__, str(writing), str(parent), *command]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, pass_fds=[writing], check=False)
    os.close(writing)
    with os.fdopen(reading, "rb") as report:
        return done.returncode, report.read(), done.stdout


def test_nothing_is_reported_of_what_runs() -> None:
    assert launch(os.getpid(), "echo", "here") == (0, b"", b"here\n")


def test_what_cannot_be_run_is_reported_by_the_number_of_its_error() -> None:
    assert launch(os.getpid(), "./no/such") == (1, b"2", b"")


def test_ctrl_c_before_the_command_runs_leaves_no_traceback() -> None:
    script = (
        "import os, runpy, signal, sys;"
        "sys.addaudithook(lambda event, _: os.kill(os.getpid(), signal.SIGINT) if event == 'os.exec' else None);"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    arguments = [sys.executable, "-I", "-S", "-c", script, launcher.__file__, "2", str(os.getpid()), "true"]
    done = subprocess.run(arguments, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death")
def test_nothing_runs_whose_parent_has_died_before_it_could_be_told_so() -> None:
    assert launch(os.getppid(), "echo", "here") == (1, b"", b"")


def test_descriptors_are_found_also_where_no_folder_lists_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str) -> list[str]:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", fail)
    assert set(launcher._open_descriptors()) >= {0, 1, 2, 100}
