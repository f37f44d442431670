"""Watched: addresses that were given, and those that DNS names."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of
from tests.net.certificates import CA, Files
from tests.support.services import Services
from tests.support.waiting import PATIENCE, until

from randstream.cli.top import polled
from randstream.cli.top.view import Wanted
from randstream.cli.top.watched import Watched
from randstream.errors import SettingsError
from randstream.settings import Target

SRV = "srv://_admin._tcp.producer"


async def test_one_that_cannot_be_reached_stops_no_other() -> None:
    async with site_of(FakeRole()) as site:
        with Watched([f"127.0.0.1:{site.port}", "127.0.0.1:1"], Wanted()) as watched:
            await asyncio.to_thread(watched.wait, PATIENCE, for_all=True)
            answering, silent = watched.looks()
    assert answering.answers
    assert (silent.snapshot, silent.address) == (None, "127.0.0.1:1")
    assert "connection refused; start a role with --admin there" in silent.trouble


async def test_the_first_answer_is_enough_to_begin() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        async with site_of(FakeRole()) as site:
            with Watched([address, f"127.0.0.1:{site.port}"], Wanted()) as watched:
                await asyncio.to_thread(watched.wait, PATIENCE, for_all=False)
                waiting, answering = watched.looks()
    assert answering.answers
    assert waiting.trouble == f"no answer from {address} yet"


async def test_afterwards_none_is_asked_any_more() -> None:
    async with site_of(FakeRole()) as site:
        before = set(threading.enumerate())
        dns = Services()
        dns.workers[SRV] = [Target("stream", "127.0.0.1", site.port)]
        with Watched([f"127.0.0.1:{site.port}", SRV], Wanted(), dns=dns) as watched:
            await asyncio.to_thread(watched.wait, PATIENCE, for_all=True)
            asking = [each for each in set(threading.enumerate()) - before if each.name in ("View", "Service")]
            assert len(asking) == 3
        for thread in asking:
            await asyncio.to_thread(thread.join, PATIENCE)
            assert not thread.is_alive()


async def test_a_service_stands_for_all_that_dns_names_as_they_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    dns = Services()
    first, second = FakeRole(name="first"), FakeRole(name="second", links=[FakeLink("b")])
    async with site_of(first) as one, site_of(second) as other:
        targets = [Target("stream", "127.0.0.1", site.port) for site in (one, other)]
        dns.workers[SRV] = targets[:1]
        with Watched([SRV], Wanted(), dns=dns) as watched:

            def names() -> list[str | None]:
                return [look.snapshot and look.snapshot["name"] for look in watched.looks()]

            await asyncio.to_thread(watched.wait, PATIENCE, for_all=True)
            assert names() == ["first"]
            dns.workers[SRV] = targets
            await until(lambda: names() == ["first", "second"])
            watched.want(Wanted(9, "b"))
            await until(lambda: [look.snapshot and len(look.snapshot["links"]) for look in watched.looks()] == [0, 1])
            dns.workers[SRV] = targets[1:]
            service = watched._services[0]
            await until(lambda: len(service.addresses) == 1)
            assert names() == ["first", "second"]  # it still answers
            monkeypatch.setattr(polled, "STALE_SECONDS", -1.0)
            assert names() == ["second"]


def test_a_service_that_names_nothing_is_a_look_that_says_so() -> None:
    with Watched([SRV], Wanted(), dns=Services()) as watched:
        watched.wait(PATIENCE, for_all=True)
        [look] = watched.looks()
        assert look.address == SRV
        assert look.trouble.startswith(f"{SRV} names no process; ")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("srv://a:9001", "has a port, but SRV records have their own"),
        ("dns://", "is not a target"),
        ("srv://a b", "is not"),
    ],
)
def test_an_unusable_service_is_a_settings_error(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Watched([url], Wanted())


async def test_with_a_ca_a_service_is_asked_over_https(tmp_path: Path) -> None:
    files = Files(tmp_path).write(CA.issue_cert("127.0.0.1"), CA)
    certificate = str(files.folder / "cert"), str(files.folder / "key")
    dns = Services()
    async with site_of(FakeRole(), certificate=certificate) as site:
        dns.workers[SRV] = [Target("stream", "127.0.0.1", site.port)]
        with Watched([SRV], Wanted(), ca_file=str(files.folder / "ca"), dns=dns) as watched:
            await asyncio.to_thread(watched.wait, PATIENCE, for_all=True)
            [look] = watched.looks()
    assert look.snapshot is not None, look.problem
