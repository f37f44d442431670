"""docs/tutorial.md, part 1: whoever types its commands, and waits as it says, sees what it shows."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from time import monotonic, sleep

import pytest
from tests.project import console
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE

COMMANDS = console.commands(Path(__file__).parents[2] / "docs/tutorial.md")
RESTART = next(command for command, _ in COMMANDS if "2>>worker.log" in command)
AWAITED = {
    "echo 7": ("got.txt", "\n", 1),
    "while sleep": ("got.txt", "\n", 10),
    "kill -STOP $receiver": ("sent.txt", "\n", 10),
    "randstream producer --name a": ("store/*/*.numbers", "#beat", 3),
    "kill -9 $worker": ("a.log", "link.lost", 1),
    RESTART: ("a.log", "link.resumed", 1),
    "kill -STOP $worker": ("a.log", '"reason":"timeout"', 1),
    "kill -CONT $worker": ("a.log", "link.resumed", 1),
    "randstream producer --name b": ("b.log", "link.standing_by", 1),
    "kill -9 $a": ("worker.log", "link.resumed", 1),
    "kill $worker $b": ("worker.log", "service.stopped", 1),
}
"""How a command begins; the file in which a reader awaits something after it, what that is, and how many of it."""
END = "that was it"
VARIES = re.compile(r"(…|\s+|\d+(?:[.,:]\d+)*)")
"""What stands for something else on the page."""

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("nc.openbsd") is None, reason="needs netcat-openbsd"),
]


def test_a_reader_sees_what_the_page_shows(tmp_path: Path) -> None:
    ports = {port: str(free_port()) for port in ("9000", "9001", "9002")}
    told = {}
    with a_terminal(tmp_path) as bash:
        for command, shown in COMMANDS:
            has_come = awaited_after(command, tmp_path)
            told[command] = say(bash, re.sub("|".join(ports), lambda port: ports[port[0]], command))
            assert shows(told[command], shown), f"{command}\n{told[command]}\n-- instead of --\n{shown}"
            wait_until(has_come, command)
            if command.startswith("nc "):
                wait_until(lambda: is_listening(int(ports["9000"])), command)
    sent, got = re.findall(r"(\d+) (?:sent|got)\.txt", told["wc -l sent.txt got.txt"])
    assert int(sent) >= int(got) + 10
    for command, shown in COMMANDS:
        if command.startswith(("randstream cat", "randstream numbers")):
            assert told[command] == shown


@contextmanager
def a_terminal(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell in `folder`, which takes the place of the repository. All that it has started ends with the block."""
    bin_folder = folder / ".venv/bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "nc").symlink_to(str(shutil.which("nc.openbsd")))
    (bin_folder / "randstream").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m randstream "$@"\n')
    (bin_folder / "randstream").chmod(0o755)
    (folder / "Makefile").write_text("setup:\n\t@:\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RANDSTREAM_", "MAKE"))}
    bash = subprocess.Popen(
        ["bash"], cwd=folder, env=environment | {"TMPDIR": str(folder)}, text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        yield bash
    finally:
        os.killpg(bash.pid, signal.SIGKILL)
        bash.communicate()


def say(bash: subprocess.Popen[str], command: str) -> str:
    """What the shell prints until `command` is over, or runs in the background."""
    assert bash.stdin is not None
    assert bash.stdout is not None
    bash.stdin.write(f"{command}\necho; echo {END}\n")
    bash.stdin.flush()
    told = "".join(takewhile(lambda line: line != f"{END}\n", bash.stdout))
    return told.removesuffix("\n")


def shows(told: str, shown: str) -> bool:
    """Whether the lines of the page are among those of the shell, in order; numbers may be others."""
    lines = iter(told.splitlines())
    wanted = [pattern(line) for line in shown.splitlines() if line != "…"]
    return all(any(re.fullmatch(each, line.strip()) for line in lines) for each in wanted)


def pattern(line: str) -> str:
    """What may be in place of a line of the page."""
    found = {"…": ".*", " ": r"\s+"}
    texts = VARIES.split(line.strip())
    texts[::2] = map(re.escape, texts[::2])
    texts[1::2] = (found.get(each[0], r"[\d.,:]+") for each in texts[1::2])
    return "".join(texts)


def awaited_after(command: str, folder: Path) -> Callable[[], bool]:
    """Whether what a reader awaits after `command` has come since this call."""
    awaited = [each for start, each in AWAITED.items() if command.startswith(start)]
    files, text, more = awaited[0] if awaited else ("", "", 0)
    enough = count(folder, files, text) + more
    return lambda: count(folder, files, text) >= enough


def count(folder: Path, files: str, text: str) -> int:
    """How often `text` is in these files of the folder that the page makes."""
    return sum(each.read_text().count(text) for each in folder.glob(f"tmp.*/{files}") if each.is_file())


def is_listening(port: int) -> bool:
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline, what
        sleep(0.02)
