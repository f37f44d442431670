"""Command: `top` in a pipe, and as one table. On a terminal: test_terminal."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of
from tests.support.log import Log

from randstream.cli.top.command import run_top
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


SCREENS = 2**24
"""Bytes: more than a test shows."""


@pytest.mark.parametrize(
    ("role", "others", "status"),
    [
        (FakeRole(), [], 0),
        (FakeRole(), ["127.0.0.1:1"], 1),
        (FakeRole(problem="cannot resolve worker"), [], 1),
        (FakeRole(links=[FakeLink(), FakeLink("b", state=LinkState.WAITING)]), [], 1),
    ],
)
async def test_once_tells_by_its_status_whether_all_is_well(role: FakeRole, others: list[str], status: int) -> None:
    async with site_of(role) as site:
        urls = [f"127.0.0.1:{site.port}", *others]
        assert await asyncio.to_thread(run_top, urls, is_once=True) == status
        assert await asyncio.to_thread(run_top, urls, is_once=True, as_json=True) == status
        assert await asyncio.to_thread(run_top, urls) == 0


async def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str], log: Log) -> None:
    links = [FakeLink("a", offset=1), FakeLink("b", offset=3), FakeLink("c", offset=2)]
    async with site_of(FakeRole(links=links)) as site:
        url = f"127.0.0.1:{site.port}"
        await asyncio.to_thread(run_top, [url], is_once=True, as_json=True, sort="offset")
        [line] = capsys.readouterr().out.splitlines()
        assert [stream["worker"] for stream in json.loads(line)["streams"]] == ["b", "c", "a"]
        top = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "randstream", "top", url, "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert top.stdout is not None
        looks = [json.loads(await top.stdout.readline()) for _ in range(2)]
        top.terminate()
        await top.communicate()
    assert looks[0]["time"] < looks[1]["time"]
    assert [look["well"] for look in looks] == [True, True]


def test_a_sort_that_is_none_is_refused_in_one_line(refusal: Callable[..., str]) -> None:
    assert "'trouble', 'name', 'rate'" in refusal("top", "127.0.0.1:1", "--sort", "luck")


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
from randstream.cli import entry
from randstream.cli.top import command
command.FIRST_SECONDS = 0.1
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
