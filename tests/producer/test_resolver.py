"""Resolver: names to addresses, with answers that are shared for a second and used however late they come."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable

import pytest
from tests.simulation.virtual import virtual_loop
from tests.support.clock import a_wheel
from tests.support.peers import a_listener
from tests.support.roles import producing
from tests.support.waiting import until

from randstream.producer.dns import LATE_SECONDS, Dns
from randstream.producer.resolver import LOOK_UPS_AT_ONCE, MOST_LATE_LOOK_UPS, Resolver


class Names(Dns):
    """Stands in for the system's resolver, whose answers wait for `gate`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.answers: dict[str, list[str]] = {"pod": ["10.0.0.1", "10.0.0.2"]}
        self.gate = asyncio.Event()
        self.gate.set()

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        self.asked.append(host)
        return asyncio.ensure_future(self._answer(host))

    async def _answer(self, host: str) -> list[str]:
        await self.gate.wait()
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.answers[host]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1"])
async def test_literal_addresses_skip_the_resolver(address: str, names: Names) -> None:
    assert await Resolver(names, a_wheel()).resolve(address) == [address]
    assert names.asked == []


async def test_resolve_anew_for_each_attempt_but_share_an_answer_for_half_a_second(
    names: Names,
) -> None:
    resolver = Resolver(names, a_wheel())
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    names.answers["pod"] = ["10.0.0.3"]
    await asyncio.sleep(0.4)
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    await asyncio.sleep(0.1)
    assert await resolver.resolve("pod") == ["10.0.0.3"]
    assert names.asked == ["pod", "pod"]


async def test_resolve_questions_that_are_asked_together_share_one_look_up_however_long_it_takes(
    names: Names,
) -> None:
    resolver = Resolver(names, a_wheel())
    names.gate.clear()
    first = [asyncio.ensure_future(resolver.resolve("pod")) for _ in range(100)]
    await asyncio.sleep(30.0)
    late = asyncio.ensure_future(resolver.resolve("pod"))
    first[0].cancel()
    await asyncio.sleep(0)
    names.gate.set()
    for asking in [*first[1:], late]:
        assert await asking == ["10.0.0.1", "10.0.0.2"]
    assert names.asked == ["pod"]


async def test_resolve_failures_are_told_and_forgotten_when_a_name_resolves_again(
    names: Names,
) -> None:
    resolver = Resolver(names, a_wheel())
    with pytest.raises(OSError, match="Name or service not known"):
        await resolver.resolve("gone")
    assert resolver.problem == "cannot resolve gone: Name or service not known"
    names.answers["gone"] = ["10.0.0.9"]
    await asyncio.sleep(1.0)
    assert await resolver.resolve("gone") == ["10.0.0.9"]
    assert resolver.problem is None


async def test_resolve_failure_of_a_name_whose_worker_has_stopped_is_excused_for_a_while(names: Names) -> None:
    resolver = Resolver(names, a_wheel())
    await resolver.resolve("pod")
    resolver.excuse("pod", asyncio.get_running_loop().time() + 10.0)
    pod = names.answers.pop("pod")
    for seconds, problem in ((5.0, None), (6.0, "cannot resolve pod: Name or service not known")):
        await asyncio.sleep(seconds)
        with pytest.raises(OSError, match="Name or service not known"):
            await resolver.resolve("pod")
        assert resolver.problem == problem
    names.answers["pod"] = pod


async def test_resolve_failure_of_a_name_that_no_link_needs_any_more_is_forgotten(names: Names) -> None:
    resolver = Resolver(names, a_wheel())
    with pytest.raises(OSError, match="Name or service not known"):
        await resolver.resolve("gone")
    resolver.forget("other")
    assert resolver.problem is not None
    resolver.forget("gone")
    assert resolver.problem is None
    names.gate.clear()
    asking = asyncio.ensure_future(resolver.resolve("gone"))
    await until(lambda: len(names.asked) == 2)
    resolver.forget("gone")
    names.gate.set()
    await asyncio.wait([asking])
    assert asking.exception() is not None
    assert resolver.problem is None


async def test_resolve_failure_that_nobody_waits_for_any_more_is_not_logged(names: Names) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    resolver = Resolver(names, a_wheel())
    names.gate.clear()
    asking = asyncio.ensure_future(resolver.resolve("gone"))
    await until(lambda: names.asked)
    asking.cancel()
    await asyncio.wait([asking])
    names.gate.set()
    await asyncio.sleep(1)
    del resolver, asking
    gc.collect()
    assert complaints == []


@pytest.mark.kernel
async def test_resolve_asks_the_system() -> None:
    assert set(await Resolver(Dns(), a_wheel()).resolve("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.kernel
@pytest.mark.parametrize("make", [lambda: "x" * 70, lambda: "a..b"])
async def test_resolve_of_what_no_name_can_be_is_a_failure_to_resolve(make: Callable[[], str]) -> None:
    with pytest.raises(socket.gaierror):
        await Resolver(Dns(), a_wheel()).resolve(make())


async def test_an_answer_that_comes_late_is_used_and_shared_from_when_it_came(names: Names) -> None:
    resolver = Resolver(names, a_wheel())
    names.gate.clear()
    asking = asyncio.ensure_future(resolver.resolve("pod"))
    await asyncio.sleep(40)
    names.gate.set()
    assert await asking == ["10.0.0.1", "10.0.0.2"]
    await asyncio.sleep(0.4)
    await resolver.resolve("pod")
    assert names.asked == ["pod"]


async def test_an_answer_that_is_late_is_a_problem_until_it_comes(names: Names) -> None:
    resolver = Resolver(names, a_wheel())
    names.gate.clear()
    asking = asyncio.ensure_future(resolver.resolve("pod"))
    await asyncio.sleep(LATE_SECONDS - 0.1)
    assert resolver.problem is None
    await asyncio.sleep(0.2)
    assert resolver.problem == "cannot resolve pod: no name server has answered yet"
    names.gate.set()
    await asking
    assert resolver.problem is None


async def test_an_answer_that_comes_later_than_the_handshakes_limit_still_leads_to_the_worker(names: Names) -> None:
    names.gate.clear()
    async with a_listener() as listener:
        names.answers["pod"] = ["127.0.0.1"]
        async with producing(f"pod:{listener.port}", dns=names) as producer:
            await asyncio.sleep(5.3)
            assert producer.problem == "cannot resolve pod: no name server has answered yet"
            names.gate.set()
            peer = await listener.peer()
            await peer.accept()
            assert producer.problem is None
            peer.cut()


async def test_names_whose_servers_are_silent_do_not_delay_others(names: Names) -> None:
    class Half(Names):
        """Only of `pod` there is an answer."""

        async def _answer(self, host: str) -> list[str]:
            if host != "pod":
                await asyncio.sleep(40)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return await super()._answer(host)

    half = Half()
    resolver, loop = Resolver(half, a_wheel()), virtual_loop()
    began = loop.time()
    for _ in range(3):
        silent = [asyncio.ensure_future(resolver.resolve(f"silent-{n}")) for n in range(10 * LOOK_UPS_AT_ONCE)]
        before = loop.time()
        await resolver.resolve("pod")
        assert loop.time() - before <= 1.0
        await asyncio.wait(silent)
        assert all(each.exception() for each in silent)
    assert loop.time() - began < 3 * 42


async def test_however_many_names_have_silent_servers_look_ups_are_bounded(names: Names) -> None:
    names.gate.clear()
    resolver, most = Resolver(names, a_wheel()), MOST_LATE_LOOK_UPS + LOOK_UPS_AT_ONCE
    asking = [asyncio.ensure_future(resolver.resolve(f"silent-{n}")) for n in range(most + 100)]
    await asyncio.sleep(30)
    assert len(names.asked) == most
    names.gate.set()
    await asyncio.wait(asking)
    assert len(names.asked) == most + 100
    assert all(each.exception() for each in asking)
