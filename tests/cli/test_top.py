from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of

from randstream.admin.observer import Observer, to_json
from randstream.cli.top import Source, render, run_top
from randstream.errors import SettingsError
from randstream.observe.status import LinkState


def screen(role: FakeRole, *, limit: int = 100, silence: float = 0.0, width: int = 120) -> str:
    snapshot: dict[str, Any] = json.loads(to_json(Observer(role).snapshot(limit=limit)))
    console = Console(file=io.StringIO(), width=width)
    console.print(render(snapshot, silence=silence))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def test_a_line_tells_state_offset_and_round_trip() -> None:
    role = FakeRole(links=[FakeLink(offset=1234567), FakeLink("worker-1", state=LinkState.WAITING)])
    waiting, streaming = screen(role).splitlines()[4:6]
    assert waiting.split()[:3] == ["○", "worker-1", "waiting"]
    assert streaming.split() == ["●", "worker-0", "streaming", "0.0", "1,234,567", "1.0", "ms", "500.0", "ms", "0"]


def test_trouble_is_told_on_top() -> None:
    role = FakeRole(problem="cannot resolve worker", links=[FakeLink(None, state=LinkState.WAITING)])
    text = screen(role, silence=9.0)
    assert "0 of 1 streams flow" in text
    assert "not ready: cannot resolve worker" in text
    assert "stale: no answer for 9 s" in text


def test_the_last_events_and_what_is_left_out_are_told() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(9)])
    role.journal.note("link.lost", "worker-3", "cut")
    text = screen(role, limit=2)
    assert "and 7 more; those in trouble come first" in text
    assert "worker-3 lost: cut" in text


def test_what_peers_say_is_no_markup_and_moves_no_cursor() -> None:
    role = FakeRole(links=[FakeLink("[red]x[/red]\x1b[2J")])
    text = screen(role)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


def test_a_narrow_terminal_is_enough() -> None:
    assert max(map(len, screen(FakeRole(), width=60).splitlines())) <= 60


@pytest.mark.parametrize("url", ["", "ftp://a:1", "http://", "://"])
def test_an_address_that_is_none_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address of an admin server; give http://HOST:PORT"):
        Source(url)


def test_nobody_there_is_a_settings_error_that_says_what_to_do() -> None:
    with pytest.raises(
        SettingsError, match=r"^no answer from http://127.0.0.1:1: .*; start a role with --admin there$"
    ):
        run_top("127.0.0.1:1")


async def test_in_a_pipe_it_prints_once_and_ends() -> None:
    async with site_of(FakeRole()) as site:
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "randstream", "top", f"127.0.0.1:{site.port}", "--filter", "WORKER-0",
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await top.communicate()
        assert (top.returncode, err) == (0, b"")
        assert b"worker-0" in out


HURRIED_TOP = """
import sys
from randstream.cli import top
top.PERIOD_SECONDS, top.STALE_SECONDS = 0.02, 0.1
top.run_top(sys.argv[1])
"""


SCREENS = 2**24
"""Bytes: more than a test ever shows. A reader that is full stops reading, and top would wait to write for ever."""


async def test_on_a_terminal_it_goes_on_until_ctrl_c_and_says_when_nobody_answers() -> None:
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
    await screen.readuntil(b"stale: no answer for")
    top.send_signal(signal.SIGINT)
    assert await top.wait() == 0
    transport.close()


async def test_an_answer_that_is_no_json_is_no_answer() -> None:
    async with site_of(FakeRole()) as site:
        with pytest.raises(SettingsError, match="no answer"):
            await asyncio.to_thread(Source(f"http://127.0.0.1:{site.port}/livez").fetch, limit=1)
