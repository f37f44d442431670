"""The demo as a newcomer runs it."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.lines import Run

DEMO = (sys.executable, "-m", "randstream", "demo")


def test_demo_heals_two_kills_and_a_cut_and_ends_exact() -> None:
    demo = subprocess.run([*DEMO, "--seconds", "3"], capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stderr
    lines = demo.stdout.splitlines()
    assert lines[0].startswith("Starts three workers and two producers on this machine")
    stories = [re.sub(r"producer-.", "producer", line.split("s  ")[1]) for line in lines if " s  " in line]
    assert [" ".join(story.split()[:3]) for story in stories] == [
        "3 workers have", "2 producers have", "numbers flow: 50", "producer is killed", "producer serves them",
        "producer is back", "worker-2 is killed", "worker-2 is back", "the connection from", "worker-1 goes on",
        "the processes are",
    ]  # fmt: skip
    assert not any(line.startswith("Stopped early") for line in lines)
    proofs = [line for line in lines if "0 wrong, 0 missing, 0 repeated" in line]
    assert [proof.split(":")[0] for proof in proofs] == ["worker-0", "worker-1", "worker-2"]
    (silences,) = [line for line in lines if line.startswith("Stood still: ")]
    seconds = dict(re.findall(r"(worker-\d) (\d+\.\d\d) s", silences))
    assert sorted(seconds) == ["worker-0", "worker-1", "worker-2"]
    assert float(seconds["worker-2"]) > 0.0
    assert "Every number is where it belongs." in lines
    assert max(map(len, [*proofs, silences])) < 80
    assert demo.stderr == ""


def interrupted_at(story: str) -> tuple[int, str]:
    """Starts the demo, and interrupts it at `story`; gives the exit status and what follows."""
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        while story not in demo.stdout.readline():
            pass
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    return demo.returncode, rest


def test_ctrl_c_ends_the_demo_with_the_proof_of_what_was_seen() -> None:
    status, rest = interrupted_at("is killed")
    assert status == 0
    assert "Every number is where it belongs." in rest
    assert "Stopped early: a producer was killed, but no worker, and no connection was cut." in rest


def test_ctrl_c_before_numbers_flow_proves_nothing() -> None:
    status, rest = interrupted_at("3 workers have started")
    assert status == 130
    assert rest.splitlines()[-1].startswith("Stopped before numbers flowed to every worker")


def test_demo_ends_quietly_when_its_reader_leaves() -> None:
    with subprocess.Popen([*DEMO, "--seconds", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()
        demo.stdout.close()
        assert demo.stderr.read() == ""
    assert demo.returncode == 0


def test_a_second_ctrl_c_ends_the_demo_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=variables) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        while "worker-2 is killed" not in demo.stdout.readline():
            pass
        demo.send_signal(signal.SIGINT)
        while "ends as soon as every stream flows" not in demo.stdout.readline():
            pass
        demo.send_signal(signal.SIGINT)
        rest, err = demo.stdout.read(), demo.stderr.read()
    assert (demo.returncode, rest, err) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_no_folder_for_temporary_files_is_not_blamed_on_standard_output(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr("tempfile.TemporaryDirectory", fail)
    status, _, err = run("demo")
    assert status == 2
    assert err == (
        "randstream: no folder for temporary files can be written: No usable temporary directory found in"
        " ['/tmp', '/var/tmp']; set TMPDIR to one that can\n"
    )


def test_a_process_that_cannot_start_ends_the_demo_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("randstream.cli.demo.process.spawn", fail)
    status, _, err = run("demo")
    assert (status, err) == (1, "randstream: this process has no file descriptor left; give it more (ulimit -Hn)\n")
