"""Discovery: names to addresses, with answers that are shared for a second, and workers that come and go."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
from tests.support.clock import clock_of_loop
from tests.support.log import Log
from tests.support.peers import a_listener
from tests.support.roles import a_producer, a_worker, running
from tests.support.services import SERVICE, Services, targets_of
from tests.support.waiting import until

from randstream.errors import Reason
from randstream.observe.report import LINK_LINES_A_MINUTE
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.producer.discovery import Resolver, Watch, refresh_delay
from randstream.producer.dns import Dns
from randstream.producer.producer import Producer
from randstream.settings import Target
from randstream.settings.addresses import check_target
from randstream.worker.worker import Worker

OTHER_SERVICE: Final = "dns://other.ns.svc.test:9000"
NOBODY: Final = Target("stream", "localhost", 1)
"""Where nobody listens."""


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
    assert await Resolver(names, clock_of_loop()).resolve(address) == [address]
    assert names.asked == []


async def test_resolve_anew_for_each_attempt_but_share_an_answer_for_a_second(
    names: Names,
) -> None:
    resolver = Resolver(names, clock_of_loop())
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    names.answers["pod"] = ["10.0.0.3"]
    await asyncio.sleep(0.9)
    assert await resolver.resolve("pod") == ["10.0.0.1", "10.0.0.2"]
    await asyncio.sleep(0.1)
    assert await resolver.resolve("pod") == ["10.0.0.3"]
    assert names.asked == ["pod", "pod"]


async def test_resolve_questions_that_are_asked_together_share_one_look_up_however_long_it_takes(
    names: Names,
) -> None:
    resolver = Resolver(names, clock_of_loop())
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
    resolver = Resolver(names, clock_of_loop())
    with pytest.raises(OSError, match="Name or service not known"):
        await resolver.resolve("gone")
    assert resolver.problem == "cannot resolve gone: Name or service not known"
    names.answers["gone"] = ["10.0.0.9"]
    await asyncio.sleep(1.0)
    assert await resolver.resolve("gone") == ["10.0.0.9"]
    assert resolver.problem is None


async def test_resolve_failure_that_nobody_waits_for_any_more_is_not_logged(names: Names) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    resolver = Resolver(names, clock_of_loop())
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
    assert set(await Resolver(Dns(), clock_of_loop()).resolve("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.kernel
@pytest.mark.parametrize("make", [lambda: "x" * 70, lambda: "a..b"])
async def test_resolve_of_what_no_name_can_be_is_a_failure_to_resolve(make: Callable[[], str]) -> None:
    with pytest.raises(socket.gaierror):
        await Resolver(Dns(), clock_of_loop()).resolve(make())


# ---- services --------------------------------------------------------------------------------------------------------


@pytest.fixture
def services() -> Services:
    return Services()


@asynccontextmanager
async def workers(count: int) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_worker(name=f"worker-{n}", discard=True)) for n in range(count)]


def streaming(producer: Producer) -> list[str]:
    return sorted(link.worker or "" for link in producer.links if link.is_up)


async def test_links_start_and_end_as_workers_come_and_go(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with workers(3) as three, running(producer):
        services.workers[SERVICE] = targets_of(three[:2])
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        assert producer.problem is None
        services.workers[SERVICE] = targets_of(three[1:])
        await until(lambda: streaming(producer) == ["worker-1", "worker-2"])
        assert len(producer.links) == 2


async def test_a_worker_that_left_has_acknowledged_all_and_heard_goodbye(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with workers(2) as two, running(producer):
        services.workers[SERVICE] = targets_of(two)
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        leaver = next(link for link in producer.links if link.worker == "worker-0")
        await until(lambda: leaver.acked_offset > 0)
        services.workers[SERVICE] = targets_of(two[1:])
        await until(lambda: leaver.is_finished)
        assert leaver.acked_offset == leaver.offset == two[0].intake.offset
        await until(lambda: two[0].line.holder is None)
        assert two[0].tally.ends == {Reason.SHUTDOWN: 1}


async def test_a_worker_that_left_and_came_back_goes_on_where_it_stood(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with workers(1) as [worker], running(producer):
        for _ in range(2):
            before = worker.intake.offset
            services.workers[SERVICE] = targets_of([worker])
            await until(lambda before=before: worker.intake.offset > before)
            services.workers[SERVICE] = [NOBODY]
            await until(lambda: worker.line.holder is None)


async def test_dns_failing_keeps_the_links_that_live(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with workers(2) as two, running(producer):
        services.workers[SERVICE] = targets_of(two)
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        links = list(producer.links)
        services.trouble = "no name server gives an answer"
        await until(lambda: producer.problem is not None)
        before = [link.acked_offset for link in links]
        await until(lambda: all(link.acked_offset > offset for link, offset in zip(links, before, strict=True)))
        assert producer.links == links
        services.trouble = ""
        await until(lambda: producer.problem is None)
        assert producer.links == links


async def test_an_empty_answer_ends_only_the_links_that_do_not_live(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with workers(1) as one, running(producer):
        services.workers[SERVICE] = [*targets_of(one), NOBODY]
        await until(lambda: streaming(producer) == ["worker-0"] and len(producer.links) == 2)
        services.workers.clear()
        await until(lambda: len(producer.links) == 1)
        assert streaming(producer) == ["worker-0"]
        assert producer.problem == f"{SERVICE} names no worker"


async def test_a_pod_that_moves_is_dialled_at_its_new_address(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with running(producer):
        async with a_worker(discard=True) as worker:
            assert worker.address is not None
            port = worker.address[1]
            services.workers[SERVICE] = [Target("stream", "worker-0.worker.ns.svc.test", port)]
            services.addresses["worker-0.worker.ns.svc.test"] = ["127.0.0.1"]
            await until(lambda: streaming(producer) == ["worker-0"])
        services.addresses["worker-0.worker.ns.svc.test"] = ["127.0.0.2"]
        async with a_worker(listen=f"127.0.0.2:{port}", discard=True) as moved:
            await until(lambda: moved.intake.offset > 0)
            assert len(producer.links) == 1


async def test_the_name_of_a_worker_that_moved_is_free_for_its_new_address(services: Services, log: Log) -> None:
    producer = a_producer(SERVICE, dns=services)
    async with AsyncExitStack() as stack:
        async with a_worker(discard=True) as worker:
            assert worker.address is not None
            port = worker.address[1]
            services.workers[SERVICE] = [Target("stream", "127.0.0.1", port)]
            await stack.enter_async_context(running(producer))
            await until(lambda: streaming(producer) == ["worker-0"])
        services.workers[SERVICE].append(Target("stream", "127.0.0.2", port))
        async with a_worker(listen=f"127.0.0.2:{port}", discard=True):
            await until(lambda: streaming(producer) == ["worker-0"])
        assert not log.of("link.resting")


async def test_a_worker_that_left_and_never_acknowledges_is_given_up_after_the_grace(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, heartbeat_interval=10.0)
    async with a_listener() as listener, running(producer):
        services.workers[SERVICE] = [Target("stream", "localhost", listener.port)]
        peer = await listener.peer()
        await peer.accept()
        await until(lambda: streaming(producer) == ["worker-0"])
        services.workers[SERVICE] = [NOBODY]
        assert b"#beat" in await peer.rest()
        await until(lambda: len(producer.links) == 1)


async def test_targets_of_every_kind_go_together_and_none_is_linked_twice(services: Services) -> None:
    async with workers(2) as two:
        first, second = targets_of(two)
        services.workers |= {SERVICE: [first], OTHER_SERVICE: [second]}
        producer = a_producer(str(first), SERVICE, OTHER_SERVICE, dns=services)
        async with running(producer):
            await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
            assert len(producer.links) == 2


async def test_a_producer_that_found_nobody_ends_at_once(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, grace_period=60)
    async with running(producer):
        await until(lambda: producer.problem == f"{SERVICE} names no worker")


def a_watch(services: Services, told: list[tuple[Target, ...]]) -> Watch:
    return Watch(check_target(SERVICE), services, lambda _, targets: told.append(targets), clock_of_loop())


async def test_trouble_that_comes_and_goes_is_told_so_many_times_a_minute(services: Services, log: Log) -> None:
    watch, stopping = a_watch(services, []), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run(stopping))
        for number in range(55):
            services.workers[SERVICE] = [NOBODY] if number % 2 else []
            await until(lambda number=number: services.questions > number)
        stopping.set()
    assert len(log.events) == LINES_A_MINUTE


async def test_workers_that_dns_brings_and_takes_each_second_do_not_fill_the_log(services: Services, log: Log) -> None:
    producer = a_producer(SERVICE, dns=services)
    there = [Target("stream", "localhost", port) for port in (1, 2, 3, 4)]
    services.workers[SERVICE] = there
    async with running(producer):
        for number in range(55):
            services.workers[SERVICE] = [there[number % 4], there[(number + 1) % 4]]
            await until(lambda number=number: services.questions > number + 1)
        assert len(log.of("discovery.changed")) == LINES_A_MINUTE
        assert len(log.of("link.unreachable")) <= len(there)
        assert len(log.of("link.closed")) <= len(there) * LINK_LINES_A_MINUTE


async def test_trouble_is_told_once_and_its_end_too(services: Services, log: Log) -> None:
    told: list[tuple[Target, ...]] = []
    watch, stopping = a_watch(services, told), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run(stopping))
        await until(lambda: services.questions == 5)
        services.workers[SERVICE] = [NOBODY]
        await until(lambda: services.questions == 10)
        stopping.set()
    assert told == [()] * 5 + [(NOBODY,)] * 5
    assert [event["event"] for event in log.events] == ["discovery.failing", "discovery.working"]


@pytest.mark.parametrize(("time_to_live", "delay"), [(0, 1.0), (3, 3.0), (5, 5.0), (300, 5.0)])
def test_an_answer_is_asked_for_again_when_its_time_is_over_within_bounds(time_to_live: int, delay: float) -> None:
    assert refresh_delay(time_to_live) == delay
