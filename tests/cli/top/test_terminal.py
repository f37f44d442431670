"""Terminal: `top` on a pseudo-terminal, key by key."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of
from tests.support.waiting import patience

from randstream.cli.console import PoliteConsole
from randstream.cli.top.terminal import whole_screen
from randstream.observe.status import LinkState

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])  # top itself has no loop

HURRIED_TOP = """
import fcntl, sys, termios
from randstream.cli import entry
from randstream.cli.top import command, polled, view
if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
command.PERIOD_SECONDS = view.PERIOD_SECONDS = 0.02
polled.STALE_SECONDS = command.FIRST_SECONDS = 100.0
{more}
sys.exit(entry.run(["top", *sys.argv[1:]]))
"""
SCREENS = 2**24
"""Bytes: more than a test shows. A full reader would stop reading, and top would block on its writes."""
SIZE = ("COLUMNS", "LINES")
"""What pytest-xdist sets, and would count more than the size of the terminal."""
SCREEN_ON, SCREEN_OFF, CURSOR_ON, WRAP = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[?7h"


class Pty:
    """A pseudo-terminal with a `top` on it."""

    def __init__(self, terminal: int, inside: int, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.screen = asyncio.StreamReader(limit=SCREENS)
        self._terminal = terminal
        self._inside = inside

    def press(self, keys: bytes) -> None:
        os.write(self._terminal, keys)

    def resize(self, columns: int, lines: int) -> None:
        resize(self._terminal, columns, lines)

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._inside)

    async def wait_left(self) -> bytes:
        """Read until the screen is given back; gives what came until then."""
        async with asyncio.timeout(patience()):
            return await self.screen.readuntil(SCREEN_OFF)

    async def wait_shown(self, text: str) -> str:
        """Read until `text` is shown from here on; gives all that was shown until then, without its styles."""
        raw = b""
        while text not in (shown := re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw.decode("utf-8", "ignore"))):
            with suppress(TimeoutError):
                more = b""
                async with asyncio.timeout(patience()):
                    more = await self.screen.read(SCREENS)
            assert more, f"{text!r} was never shown: {shown}"
            raw += more
        return shown


def resize(terminal: int, columns: int, lines: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


@asynccontextmanager
async def top_on(*arguments: str, more: str = "", has_keys: bool = True) -> AsyncIterator[Pty]:
    """A `top` on a pseudo-terminal of 100 × 24, whose session it leads. `more`: code that runs before it."""
    terminal, inside = os.openpty()
    resize(terminal, 100, 24)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HURRIED_TOP.format(more=more), *arguments, start_new_session=True,
        stdin=inside if has_keys else asyncio.subprocess.DEVNULL, stdout=inside, stderr=inside,
        env={name: value for name, value in os.environ.items() if name not in SIZE} | {"TERM": "xterm"},
    )  # fmt: skip
    pty = Pty(terminal, inside, process)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(pty.screen), os.fdopen(os.dup(terminal), "rb", 0)
    )
    try:
        yield pty
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        transport.close()
        os.close(inside)
        os.close(terminal)


async def test_every_key_does_what_the_help_says() -> None:
    links = [FakeLink(f"worker-{n}", offset=n) for n in range(40)]
    async with site_of(role := FakeRole(links=links)) as site, top_on(f"127.0.0.1:{site.port}") as top:
        await top.wait_shown("of 40  q quit  ? help  / filter  s sort: trouble")
        top.press(b"s")
        await top.wait_shown("s sort: name")
        top.press(b"\x1b[B\x1b[B")
        await top.wait_shown("\n3–")
        top.press(b"\x1b[F")
        await top.wait_shown("–40 of 40")
        top.press(b"\x1b[5~")
        await top.wait_shown("40 of 40")
        top.press(b"\x1b[H")
        await top.wait_shown("\n1–")
        top.press(b"?")
        await top.wait_shown("randstream top")
        top.press(b"x/er-17")
        await top.wait_shown("/er-17   Enter keeps it, Esc shows all")
        assert "worker-18" not in await top.wait_shown("1 of 1 streams flow")
        top.press(b"\r")
        await top.wait_shown("/ er-17  s sort: name")
        top.press(b"p")
        await top.wait_shown("paused  q quit")
        links[17].state = LinkState.STALLED
        assert "stalled" not in await top.wait_shown("p pause  arrows scroll")
        top.press(b"p")
        await top.wait_shown("stalled")
        top.press(b"\x1b")
        await top.wait_shown("39 of 40 streams flow")
        role.links[17].state = LinkState.STREAMING
        await top.wait_shown("40 of 40 streams flow")
        top.press(b"q")
        assert await top.process.wait() == 0


@pytest.mark.parametrize(
    ("end", "status"), [(b"q", 0), (b"\x03", 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
async def test_the_terminal_is_as_it_was_whatever_ends_it(end: bytes | signal.Signals, status: int) -> None:
    async with site_of(FakeRole()) as site, top_on(f"127.0.0.1:{site.port}") as top:
        before = top.modes()
        await top.wait_shown("q quit")
        assert top.modes() != before
        if isinstance(end, bytes):
            top.press(end)
        else:
            top.process.send_signal(end)
        last = await top.wait_left()
        assert CURSOR_ON in last
        assert WRAP in last
        assert await top.process.wait() == status
        assert top.modes() == before


@pytest.mark.parametrize(("end", "status"), [("SIGINT", 0), ("SIGTERM", 143), ("SIGHUP", 129)])
async def test_a_signal_that_comes_whenever_it_draws_takes_nothing_from_the_end(end: str, status: int) -> None:
    more = f"""
import signal
from rich.console import Console
def exit_buffer(console, leave=Console._exit_buffer):
    signal.raise_signal(signal.{end})
    leave(console)
Console._exit_buffer = exit_buffer
"""
    async with site_of(FakeRole()) as site, top_on(f"127.0.0.1:{site.port}", more=more) as top:
        before = top.modes()
        await top.wait_left()
        assert await top.process.wait() == status
        assert top.modes() == before


async def test_keys_that_can_no_longer_come_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, inside = os.openpty()
    with os.fdopen(inside) as keys:
        monkeypatch.setattr("sys.stdin", keys)
        with whole_screen(PoliteConsole(file=io.StringIO())) as screen:
            os.close(terminal)
            with pytest.raises(EOFError):
                screen.wait(patience())


async def test_the_terminal_is_as_it_was_after_a_failure() -> None:
    more = "command.draw_page = None"
    async with site_of(FakeRole()) as site, top_on(f"127.0.0.1:{site.port}", more=more) as top:
        before = top.modes()
        assert SCREEN_OFF in await top.screen.readuntil(b"Traceback")
        assert await top.process.wait() == 1
        assert top.modes() == before


async def test_ctrl_z_gives_the_terminal_back_and_takes_it_again() -> None:
    async with site_of(FakeRole()) as site, top_on(f"127.0.0.1:{site.port}") as top:
        await top.wait_shown("q quit")
        top.press(b"\x1a")  # nobody could continue the leader of a session, so the kernel does not stop it
        await top.wait_left()
        await top.screen.readuntil(SCREEN_ON)
        await top.wait_shown("q quit")
        top.process.send_signal(signal.SIGSTOP)
        top.process.send_signal(signal.SIGCONT)
        await top.screen.readuntil(SCREEN_ON)
        top.press(b"q")
        assert await top.process.wait() == 0


async def test_a_new_size_is_drawn_at_once_and_the_name_stays() -> None:
    role = FakeRole(links=[FakeLink("worker-0", offset=10**12)])
    more = "command.PERIOD_SECONDS = 3600.0"
    async with site_of(role) as site, top_on(f"127.0.0.1:{site.port}", more=more) as top:
        await top.wait_shown("1,000,000,000,000")
        top.resize(30, 12)
        narrow = await top.wait_shown("q quit  ? help  / filter  s s…")
    assert "worker-0" in narrow
    assert "offset" not in narrow


async def test_without_keys_it_runs_until_ctrl_c() -> None:
    async with site_of(FakeRole()) as site, top_on(f"127.0.0.1:{site.port}", has_keys=False) as top:
        await top.wait_shown("Ctrl-C quits")
        top.process.send_signal(signal.SIGINT)
        assert await top.process.wait() == 0


async def test_a_process_that_ends_is_said_to_be_stale() -> None:
    async with AsyncExitStack() as stack:
        async with site_of(FakeRole()) as site:
            more = "polled.STALE_SECONDS = 1.0"
            top = await stack.enter_async_context(top_on(f"127.0.0.1:{site.port}", more=more))
            await top.wait_shown("1 of 1 streams flow")
            top.process.send_signal(signal.SIGSTOP)  # a connection that comes while a server closes is never closed
            assert (await site.get("/livez"))[0] == 200  # all that came before it has been accepted
        top.process.send_signal(signal.SIGCONT)
        await top.wait_shown("stale: no answer for")
