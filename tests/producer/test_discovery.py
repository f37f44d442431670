"""The resolver: literal addresses skip it, an answer is shared for a second, each attempt asks anew."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Callable

import pytest
from tests.harness import JumpingClock, until

from randstream.clock import Clock
from randstream.producer.discovery import Resolver
from randstream.producer.dns import Dns


class Names(Dns):
    """Stands in for the system's resolver."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answers: dict[str, list[str]] = {"pod": ["10.0.0.1", "10.0.0.2"]}
        self.gate = threading.Event()
        self.gate.set()

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        return asyncio.get_running_loop().run_in_executor(None, self._look_up, host)

    def _look_up(self, host: str) -> list[str]:
        self.asked.append(host)
        assert self.gate.wait(10)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[host]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1"])
async def test_literal_addresses_skip_the_resolver(address: str, names: Names) -> None:
    assert await Resolver(names, Clock()).resolve(address) == [address]
    assert names.asked == []


async def test_resolve_anew_for_each_attempt_but_share_an_answer_for_a_second(
    names: Names, clock: JumpingClock
) -> None:
    resolver = Resolver(names, clock)
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    names.answers["pod"] = ["10.0.0.3"]
    clock.jump(0.9)
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    clock.jump(0.1)
    assert await resolver.resolve("pod") == ["10.0.0.3"]
    assert names.asked == ["pod", "pod"]


@pytest.mark.kernel
async def test_resolve_questions_that_are_asked_together_share_one_look_up_however_long_it_takes(
    names: Names, clock: JumpingClock
) -> None:
    resolver = Resolver(names, clock)
    names.gate.clear()
    first = [asyncio.ensure_future(resolver.resolve("pod")) for _ in range(100)]
    await until(lambda: names.asked)
    clock.jump(30.0)
    late = asyncio.ensure_future(resolver.resolve("pod"))
    first[0].cancel()
    await asyncio.sleep(0)
    names.gate.set()
    for asking in [*first[1:], late]:
        assert await asking == ["10.0.0.1", "10.0.0.2"]
    assert names.asked == ["pod"]


async def test_resolve_failures_are_told_and_forgotten_when_a_name_resolves_again(
    names: Names, clock: JumpingClock
) -> None:
    resolver = Resolver(names, clock)
    with pytest.raises(OSError, match="Name or service not known"):
        await resolver.resolve("gone")
    assert resolver.problem == "cannot resolve gone: Name or service not known"
    names.answers["gone"] = ["10.0.0.9"]
    clock.jump(1.0)
    assert await resolver.resolve("gone") == ["10.0.0.9"]
    assert resolver.problem is None


async def test_resolve_failure_that_nobody_waits_for_any_more_is_not_logged(names: Names) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    resolver = Resolver(names, Clock())
    names.gate.clear()
    asking = asyncio.ensure_future(resolver.resolve("gone"))
    await until(lambda: names.asked)
    asking.cancel()
    await asyncio.wait([asking])
    names.gate.set()
    await until(resolver._answers["gone"][1].done)
    resolver._answers.clear()
    gc.collect()
    assert complaints == []


async def test_resolve_asks_the_system() -> None:
    assert set(await Resolver(Dns(), Clock()).resolve("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("make", [lambda: "x" * 70, lambda: "a..b"])
async def test_resolve_of_what_no_name_can_be_is_a_failure_to_resolve(make: Callable[[], str]) -> None:
    with pytest.raises(socket.gaierror):
        await Resolver(Dns(), Clock()).resolve(make())
