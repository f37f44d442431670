"""Top: the screen for a snapshot, in a pipe and on a terminal."""

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
from randstream.cli.top import MARKS, Source, View, render, run_top
from randstream.errors import SettingsError
from randstream.observe.status import LinkState, Standby


def view_of(role: FakeRole | None, *, limit: int = 100, silence: float = 0.0) -> View:
    """What `top` has of a role; None: of an address without an answer."""
    view = View(Source("127.0.0.1:1"))
    view.heard_at -= silence
    if role is None:
        view.ask()
    else:
        view.snapshot = json.loads(to_json(Observer(role).snapshot(limit=limit)))
    return view


def screen(*views: View | FakeRole, rows: int = 100, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    asked = [view if isinstance(view, View) else view_of(view) for view in views]
    console.print(render(asked, rows=rows, width=width))
    out = console.file
    assert isinstance(out, io.StringIO)
    return out.getvalue()


def rows_of(text: str) -> list[list[str]]:
    """The rows of the table, in words."""
    return [line.split() for line in text.splitlines() if line[:1] in (*MARKS.values(), "○")]


def test_a_row_shows_state_offset_lag_and_round_trip() -> None:
    links = [FakeLink(offset=1234567, acked_offset=1234500, served_by="producer-0")]
    waiting, streaming = rows_of(screen(FakeRole(links=[*links, FakeLink("worker-1", state=LinkState.WAITING)])))
    assert waiting[:5] == ["○", "worker-1", "waiting", "–", "–"]
    assert streaming == (
        ["●", "worker-0", "streaming", "producer-0", "–", "0.0", "1,234,567", "67", "1.0", "ms", "500.0", "ms", "0"]
    )


def test_trouble_is_shown_at_the_top() -> None:
    role = FakeRole(
        problem="cannot resolve worker",
        warning="several producers are named p",
        links=[FakeLink(None, state=LinkState.WAITING)],
    )
    text = screen(view_of(role, silence=9.0))
    assert "0 of 1 streams flow" in text
    assert "not ready: cannot resolve worker" in text
    assert "several producers are named p" in text
    assert "stale: no answer for 9 s" in text


def a_group() -> list[FakeRole]:
    """Two producers and two of the workers that they share."""
    standing: dict[str, Any] = {"state": LinkState.STANDBY, "offset": 90, "acked_offset": 90}
    one = FakeRole(
        links=[
            FakeLink("worker-2", served_by="producer-0", offset=100, acked_offset=98),
            FakeLink("worker-10", served_by="producer-1", **standing),
        ]
    )
    other = FakeRole(
        name="producer-1",
        links=[
            FakeLink("worker-2", served_by="producer-0", **standing),
            FakeLink("worker-10", served_by="producer-1", offset=70, acked_offset=70),
        ],
    )
    unwatched = Standby("producer-2", "6ae2a63a0ac05109", 9.0)
    workers = [
        FakeRole("worker", "worker-2", links=[FakeLink("worker-2", served_by="producer-0", standbys=(unwatched,))]),
        FakeRole("worker", "worker-10", links=[FakeLink("worker-10", served_by="producer-1")]),
    ]
    return [*workers, one, other]


def test_several_processes_make_one_row_a_worker_that_says_who_serves_and_who_stands_by() -> None:
    for role in (group := a_group()):
        role.advance(6)
    text = screen(*group)
    first, second = rows_of(text)
    assert first[:10] == (
        ["●", "worker-2", "streaming", "producer-0", "2:", "producer-1,", "producer-2", "0.0", "106", "8"]
    )
    assert second[:7] == ["●", "worker-10", "streaming", "producer-1", "1:", "producer-0", "0.0"]
    assert "2 of 2 streams flow  0.0 numbers/s  24 in all" in text
    assert "randstream producer producer-0" in text
    assert "1 streaming, 1 standby" in text


def test_a_process_without_an_answer_is_shown_as_such_and_hides_no_other() -> None:
    text = screen(view_of(None), *a_group()[2:])
    assert text.startswith("no answer from http://127.0.0.1:1: ")
    assert "2 of 2 streams flow" in text


def test_a_worker_that_one_producer_cannot_reach_comes_before_those_that_all_reach() -> None:
    group = a_group()
    group[2].links[1].state, group[2].links[1].error = LinkState.WAITING, "timeout: silence"
    text = screen(*group)
    assert [row[1] for row in rows_of(text)] == ["worker-10", "worker-2"]
    assert "\nworker-10: producer-0: timeout: silence\n" in text
    assert len(rows_of(screen(*group, rows=2))) == 1
    assert "and 1 more" in screen(*group, rows=2)


def test_a_producer_alone_that_stands_by_has_a_stream_that_flows() -> None:
    text = screen(FakeRole(links=[FakeLink(state=LinkState.STANDBY, served_by="producer-1")]))
    assert "1 of 1 streams flow" in text
    assert rows_of(text)[0][:6] == ["◇", "worker-0", "standby", "producer-1", "1:", "producer-0"]


def test_a_link_that_rests_is_no_worker_of_its_own() -> None:
    role = FakeRole(links=[FakeLink(), FakeLink(peer="10.0.0.2:9000", state=LinkState.RESTING)])
    text = screen(role)
    assert len(rows_of(text)) == 1
    assert "\nworker-0: 10.0.0.2:9000 rests\n" in text


def test_the_last_events_and_the_count_of_links_left_out_are_shown() -> None:
    role = FakeRole(links=[FakeLink(f"worker-{number}") for number in range(9)])
    role.journal.note("link.lost", "worker-3", "cut")
    assert "and 7 more; those in trouble come first" in screen(role, rows=2)
    text = screen(view_of(role, limit=2))
    assert "9 of 9 streams flow" in text
    assert "and 7 more; those in trouble come first" in text
    assert "worker-3 lost: cut" in text


def test_text_from_peers_is_not_markup_and_does_not_move_the_cursor() -> None:
    role = FakeRole(links=[FakeLink("[red]x[/red]\x1b[2J")])
    text = screen(role)
    assert "[red]x[/red]" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_screen_fits_the_terminal(width: int) -> None:
    role = FakeRole(links=[FakeLink(offset=10**12, served_by="producer-0")])
    text = screen(role, width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "1,000,000,000,000" in rows_of(text)[0]


@pytest.mark.parametrize("url", ["", "ftp://a:1", "http://", "://"])
def test_an_unusable_address_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address of an admin server; give http://HOST:PORT"):
        Source(url)


def test_no_answer_is_a_settings_error_that_says_what_to_do() -> None:
    with pytest.raises(
        SettingsError, match=r"^no answer from http://127.0.0.1:1: .*; start a role with --admin there$"
    ):
        run_top(["127.0.0.1:1"])
    with pytest.raises(SettingsError, match=r"^none of 2 addresses answers; no answer from http://127.0.0.1:1: "):
        run_top(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:1"])


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
top.PERIOD_SECONDS, top.STALE_SECONDS = 0.02, 0.1
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


async def test_an_answer_that_is_not_json_counts_as_no_answer() -> None:
    async with site_of(FakeRole()) as site:
        with pytest.raises(SettingsError, match="no answer"):
            await asyncio.to_thread(Source(f"http://127.0.0.1:{site.port}/livez").fetch, limit=1)
