"""Top: the command, in a pipe and on a terminal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of

from randstream.cli.top import run_top
from randstream.errors import SettingsError
from randstream.observe.status import LinkState


def test_no_answer_is_a_settings_error_that_says_what_to_do() -> None:
    with pytest.raises(
        SettingsError, match=r"^no answer from http://127.0.0.1:1: .*; start a role with --admin there$"
    ):
        run_top(["127.0.0.1:1"])
    with pytest.raises(SettingsError, match=r"^none of 2 addresses answers; no answer from http://127.0.0.1:1: "):
        run_top(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1"])


def test_a_ca_without_an_https_url_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match=r"^--ca is of no use without an https:// URL"):
        run_top(["127.0.0.1:1"], ca_file="ca")


async def test_in_a_pipe_it_prints_once_and_ends() -> None:
    async with site_of(FakeRole()) as site:
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "randstream", "top", f"127.0.0.1:{site.port}", "127.0.0.1:1", "--filter", "WORKER-0",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await top.communicate()
        assert (top.returncode, err) == (0, b"")
        assert b"worker-0" in out
        assert b"no answer from http://127.0.0.1:1: " in out


HURRIED_TOP = """
import sys
from randstream.cli import top
top.PERIOD_SECONDS = top.source.PERIOD_SECONDS = 0.02
top.screen.STALE_SECONDS = 1.0
top.run_top(sys.argv[1:])
"""


SCREENS = 2**24
"""Bytes: more than a test shows. A full reader would stop reading, and top would block on its writes."""


async def test_on_a_terminal_it_runs_until_ctrl_c_and_says_when_there_is_no_answer() -> None:
    terminal, inside = os.openpty()
    screen = asyncio.StreamReader(limit=SCREENS)
    async with site_of(role := FakeRole()) as site:
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HURRIED_TOP, f"http://127.0.0.1:{site.port}",
            stdin=inside, stdout=inside, stderr=inside, env={**os.environ, "TERM": "xterm"},
        )  # fmt: skip
        os.close(inside)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(screen), os.fdopen(terminal, "rb", 0)
        )
        await screen.readuntil(b"1 of 1 streams flow")
        role.links[0].state = LinkState.STALLED
        await screen.readuntil(b"0 of 1 streams flow")
        top.send_signal(signal.SIGSTOP)  # a connection that arrives while a loop's server closes is never closed
        assert (await site.get("/livez"))[0] == 200  # all that came before it has been accepted
    top.send_signal(signal.SIGCONT)
    await screen.readuntil(b"stale: no answer for")
    top.send_signal(signal.SIGINT)
    assert await top.wait() == 0
    transport.close()


@pytest.mark.parametrize(
    ("variables", "marked"),
    [
        ({"PYTHONIOENCODING": "iso-8859-1"}, b"* worker-0"),
        ({"PYTHONIOENCODING": "ascii"}, b"* worker-0"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b"* worker-0"),
        ({"PYTHONIOENCODING": "utf-8"}, "● worker-0".encode()),
    ],
)
async def test_no_locale_lacks_what_it_needs(variables: dict[str, str], marked: bytes) -> None:
    async with site_of(FakeRole()) as site:
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "randstream", "top", f"127.0.0.1:{site.port}",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **variables},
        )  # fmt: skip
        out, err = await top.communicate()
    assert (top.returncode, err) == (0, b"")
    assert marked in out


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "dumb", "FORCE_COLOR": "1"}, {"TERM": "unknown"}])
async def test_where_no_cursor_moves_it_prints_once(variables: dict[str, str]) -> None:
    terminal, inside = os.openpty()
    async with site_of(FakeRole(name="\x1b[2Jproducer-0")) as site:
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "randstream", "top", f"127.0.0.1:{site.port}",
            stdin=inside, stdout=inside, stderr=inside, env={**os.environ, **variables},
        )  # fmt: skip
        try:
            async with asyncio.timeout(30):
                assert await top.wait() == 0
        finally:
            if top.returncode is None:
                top.kill()
    os.close(inside)
    screen = os.read(terminal, SCREENS)
    os.close(terminal)
    assert b"1 of 1 streams flow" in screen
    assert b"\x1b[2J" not in screen
    assert b"\x1b[?" not in screen


IMPATIENT_TOP = """
import sys
from randstream.cli import entry, top
top.FIRST_SECONDS = 0.1
sys.exit(entry.run(["top", *sys.argv[1:]]))
"""


async def test_a_server_that_never_answers_does_not_hold_it_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-c", IMPATIENT_TOP, address, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        out, err = await top.communicate()
    assert (top.returncode, out, err.decode()) == (2, b"", f"randstream: no answer from {address} yet\n")
