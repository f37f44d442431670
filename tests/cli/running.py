"""Running commands: real processes, which end with the test that started them."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.support.waiting import PATIENCE

started: list[subprocess.Popen[bytes]] = []


def start(*arguments: str, program: Sequence[str] = ("-m", "randstream"), **given: Any) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, *program, *arguments], **{**pipes, **given})
    started.append(process)
    return process


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    out, err = process.communicate(timeout=PATIENCE)
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


def wait_connected(port: int) -> None:
    with socket.socket() as peer:
        while peer.connect_ex(("127.0.0.1", port)):
            pass
