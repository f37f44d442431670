"""Discovery: workers that come and go, judged by what DNS says about a service and what their links prove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest
from tests.support.clock import clock_of_loop
from tests.support.log import Log
from tests.support.roles import a_producer, a_worker, running, transport_of
from tests.support.services import SERVICE, Services, targets_of
from tests.support.waiting import until

from randstream.observe.throttle import LINES_A_MINUTE
from randstream.producer.discovery import Watch, refresh_delay
from randstream.producer.dns import LATE_SECONDS, LookUpError
from randstream.producer.membership import LEFT_OUT_SECONDS
from randstream.producer.producer import Producer
from randstream.settings import Target
from randstream.settings.addresses import check_target
from randstream.worker.worker import Worker

OTHER_SERVICE: Final = "dns://other.ns.svc.test:9000"
NOBODY: Final = Target("stream", "localhost", 1)
"""Where nothing listens."""


@pytest.fixture
def services() -> Services:
    return Services()


@asynccontextmanager
async def workers(count: int) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_worker(name=f"worker-{n}", discard=True)) for n in range(count)]


def streaming(producer: Producer) -> list[str]:
    return sorted(link.worker or "" for link in producer.links if link.is_up)


async def gone(worker: Worker) -> None:
    """Stop `worker`, and wait until its connection has ended."""
    worker.stop()
    await until(lambda: worker.line.holder is None)


async def test_links_start_as_workers_come_and_end_when_they_have_gone_and_dns_has_said_so_for_a_while(
    services: Services,
) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with workers(3) as three, running(producer):
        services.workers[SERVICE] = targets_of(three[:2])
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        assert producer.problem is None
        services.workers[SERVICE] = targets_of(three[1:])
        await until(lambda: streaming(producer) == ["worker-0", "worker-1", "worker-2"])
        await asyncio.sleep(2 * LEFT_OUT_SECONDS)
        assert streaming(producer) == ["worker-0", "worker-1", "worker-2"]
        gone_at = producer.clock.now()
        await gone(three[0])
        await until(lambda: len(producer.links) == 2)
        assert producer.clock.now() - gone_at == pytest.approx(LEFT_OUT_SECONDS, abs=3)


async def test_links_to_live_workers_are_not_disturbed_by_answers_that_rotate(services: Services, log: Log) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with workers(4) as four, running(producer):
        targets = targets_of(four)
        for turn in range(40):
            services.workers[SERVICE] = [targets[turn % 4], targets[(turn + 1) % 4]]
            await asyncio.sleep(1.0)
        assert streaming(producer) == [f"worker-{n}" for n in range(4)]
        assert log.of("link.closed") == log.of("link.lost") == []


async def test_links_that_never_lived_and_are_left_out_for_a_moment_are_kept(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with running(producer):
        for turn in range(60):
            services.workers[SERVICE] = [NOBODY] if turn % 5 == 0 else []
            await asyncio.sleep(1.0)
            assert len(producer.links) == 1


async def test_a_link_that_dns_has_long_left_out_outlives_a_cut_of_its_connection(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with workers(2) as two, running(producer):
        services.workers[SERVICE] = targets_of(two)
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        services.workers[SERVICE] = targets_of(two[1:])
        await asyncio.sleep(2 * LEFT_OUT_SECONDS)
        for _ in range(5):
            transport_of(two[0]).abort()
            await asyncio.sleep(1.5)
        assert streaming(producer) == ["worker-0", "worker-1"]


async def test_a_worker_that_left_and_came_back_is_linked_again(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with workers(1) as [worker], running(producer):
        services.workers[SERVICE] = targets_of([worker])
        await until(lambda: streaming(producer) == ["worker-0"])
        assert worker.address is not None
        port = worker.address[1]
        await gone(worker)
        services.workers[SERVICE] = []
        await until(lambda: not producer.links)
        async with a_worker(port=port, discard=True) as again:
            services.workers[SERVICE] = targets_of([again])
            await until(lambda: again.intake.offset > 0)


async def test_dns_failing_keeps_the_links_that_live(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
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


async def test_an_empty_answer_ends_only_links_that_do_not_live_and_those_not_at_once(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
    async with workers(1) as one, running(producer):
        services.workers[SERVICE] = [*targets_of(one), NOBODY]
        await until(lambda: streaming(producer) == ["worker-0"] and len(producer.links) == 2)
        services.workers.clear()
        await asyncio.sleep(LEFT_OUT_SECONDS - 2)
        assert len(producer.links) == 2
        await until(lambda: len(producer.links) == 1)
        assert streaming(producer) == ["worker-0"]
        assert producer.problem == f"{SERVICE} names no worker"


async def test_a_pod_that_moves_is_dialled_at_its_new_address(services: Services) -> None:
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
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
    producer = a_producer(SERVICE, dns=services, rate=20, heartbeat_interval=1.0)
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


def is_up(target: Target) -> bool:
    """No link lives."""
    return False


def a_watch(services: Services, told: list[tuple[Target, ...]]) -> Watch:
    return Watch(check_target(SERVICE), services, clock_of_loop(), is_up, lambda watch: told.append(watch.members))


async def test_trouble_that_comes_and_goes_is_told_so_many_times_a_minute(services: Services, log: Log) -> None:
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(a_watch(services, []).run())
        for number in range(55):
            services.workers[SERVICE] = [NOBODY] if number % 2 else []
            await until(lambda number=number: services.questions > number)
        asking.cancel()
    assert len(log.events) == LINES_A_MINUTE


async def test_workers_that_dns_brings_each_second_do_not_fill_the_log(services: Services, log: Log) -> None:
    async with running(a_producer(SERVICE, dns=services)):
        for number in range(55):
            services.workers[SERVICE] = [Target("stream", "localhost", number + 1)]
            await until(lambda number=number: services.questions > number + 1)
        assert len(log.of("discovery.changed")) == LINES_A_MINUTE


async def test_trouble_is_told_once_and_its_end_too(services: Services, log: Log) -> None:
    told: list[tuple[Target, ...]] = []
    watch = a_watch(services, told)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(watch.run())
        await until(lambda: services.questions == 5)
        services.workers[SERVICE] = [NOBODY]
        await until(lambda: services.questions == 10)
        asking.cancel()
    assert told == [(NOBODY,)]
    assert [event["event"] for event in log.events] == ["discovery.failing", "discovery.working"]


class ByKind(Services):
    """Answers for each kind of record: workers, an error, or the seconds of silence before one."""

    def __init__(self, **answers: list[Target] | str | float) -> None:
        super().__init__()
        self.answers = answers

    async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        answer = self.answers[kind]
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            raise LookUpError("no name server gives an answer")
        if isinstance(answer, str):
            raise LookUpError(answer)
        return tuple(answer), 0.0


@pytest.mark.parametrize("other", [[], "no name server gives an answer", 30.0], ids=["none", "fails", "silent"])
@pytest.mark.parametrize("kind", ["A", "AAAA"])
async def test_what_one_kind_of_record_says_is_used_at_once_whatever_becomes_of_the_other(
    kind: str, other: list[Target] | str | float, log: Log
) -> None:
    answers: dict[str, list[Target] | str | float] = {"A": other, "AAAA": other, kind: [NOBODY]}
    told: list[tuple[Target, ...]] = []
    watch = Watch(
        check_target("dns://worker.test:9000"), ByKind(**answers), clock_of_loop(), is_up,
        lambda watch: told.append(watch.members),
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(watch.run())
        await asyncio.sleep(0.5)
        assert (told, watch.problem) == ([(NOBODY,)], None)
        await asyncio.sleep(2 * LEFT_OUT_SECONDS)
        assert (told, watch.problem) == ([(NOBODY,)], None)
        asking.cancel()
    assert log.of("discovery.failing") == []


async def test_workers_of_a_kind_of_record_that_fails_have_not_left() -> None:
    dns = ByKind(A=[NOBODY], AAAA=[Target("stream", "::1", 1)])
    watch = Watch(check_target("dns://worker.test:9000"), dns, clock_of_loop(), is_up, lambda watch: None)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(watch.run())
        await asyncio.sleep(2)
        assert len(watch.members) == 2
        dns.answers["AAAA"] = "no name server gives an answer"
        await asyncio.sleep(2 * LEFT_OUT_SECONDS)
        assert len(watch.members) == 2
        dns.answers["A"] = "no name server gives an answer"
        await asyncio.sleep(2)
        assert watch.problem == "cannot look up dns://worker.test:9000: no name server gives an answer"
        asking.cancel()


async def test_a_question_that_is_late_is_a_problem_and_its_answer_is_used(services: Services) -> None:
    class Late(Services):
        """Every answer takes as long as with a silent name server and a search list."""

        async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
            await asyncio.sleep(25)
            return (NOBODY,), 60.0

    watch = Watch(check_target(SERVICE), Late(), clock_of_loop(), is_up, lambda watch: None)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(watch.run())
        await asyncio.sleep(LATE_SECONDS + 0.1)
        assert watch.problem == f"cannot look up {SERVICE}: no name server gives an answer"
        await asyncio.sleep(25)
        assert (watch.members, watch.problem) == ((NOBODY,), None)
        asking.cancel()


async def test_an_exit_waits_for_no_answer() -> None:
    producer = a_producer("dns://worker.test:9000", dns=ByKind(A=30.0, AAAA=30.0))
    async with running(producer):
        await asyncio.sleep(1)
        stopped_at = producer.clock.now()
    assert producer.clock.now() - stopped_at < 0.1


@pytest.mark.parametrize(("time_to_live", "delay"), [(0, 1.0), (3, 3.0), (5, 5.0), (300, 5.0)])
def test_an_answer_is_asked_for_again_when_its_time_is_over_within_bounds(time_to_live: int, delay: float) -> None:
    assert refresh_delay(time_to_live) == delay
