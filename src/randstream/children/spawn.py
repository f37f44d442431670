"""Spawn: starts another program, the same way on both loops, and knows which processes are ours."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_LAUNCHER: Final = Path(__file__).with_name("launcher.py")
_running: set[asyncio.subprocess.Process] = set()
_starting: list[object] = []


async def spawn(command: Sequence[str], **streams: Any) -> asyncio.subprocess.Process:
    """Run `command`, which inherits the descriptors 0, 1 and 2 and no others.

    On Linux it is killed when this process dies, however that happens; more precisely, when the thread that called
    this ends, so call it on one that stays. `streams` are as in `asyncio.create_subprocess_exec`.

    Raises OSError: it cannot be run.
    """
    starting = asyncio.ensure_future(_start(command, streams))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with suppress(OSError):
            process = await starting  # uvloop leaves one behind whose start is cancelled
            send_signal(process, signal.SIGKILL)
            await process.wait()
        raise


async def _start(command: Sequence[str], streams: dict[str, Any]) -> asyncio.subprocess.Process:
    with _started():
        reading, writing = os.pipe()
        try:
            launcher = (sys.executable, "-I", "-S", str(_LAUNCHER), str(writing), str(os.getpid()))
            process = await asyncio.create_subprocess_exec(*launcher, *command, pass_fds=(writing,), **streams)
            _forget_ended()
            _running.add(process)
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
    try:
        failure = await _read_all(reading)
        if failure:
            await process.wait()
            raise OSError(int(failure), os.strerror(int(failure)), command[0])
    finally:
        os.close(reading)
    return process


def send_signal(process: asyncio.subprocess.Process, number: int) -> None:
    """Send signal `number` to `process` if it still runs.

    asyncio's own methods first poll the process. If it has just ended, that takes its status from the loop, which then
    reports 255.
    """
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def is_ours(pid: int) -> bool:
    """Whether `pid` is, or may be, a process that `spawn` started and whose end the loop has yet to learn of."""
    _forget_ended()
    return bool(_starting) or any(process.pid == pid for process in _running)


def _forget_ended() -> None:
    _running.difference_update([process for process in _running if process.returncode is not None])


@contextmanager
def _started() -> Iterator[None]:
    """During the block there may be a child whose process id is not known yet."""
    token = object()
    _starting.append(token)
    try:
        yield
    finally:
        _starting.remove(token)


async def _read_all(fd: int) -> bytes:
    """What is written to the pipe `fd` until its other end is closed, which an exec does: a few bytes at most."""
    loop, is_ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, is_ready.set)
    try:
        await is_ready.wait()
    finally:
        loop.remove_reader(fd)
    return os.read(fd, 16)
