"""Haste: a lost worker is dialled every second; pods that come back at another address, whatever DNS answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.pods import HEADLESS, PORT, SRV, Pod, PodNames
from tests.support.roles import a_producer
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.producer.haste import ATTEMPTS_A_SECOND, DELAY_SECONDS, HASTE_SECONDS, Haste
from randstream.producer.membership import LEFT_OUT_SECONDS
from randstream.producer.producer import Producer

HOSTS: Final = f"worker-0.worker:{PORT},worker-1.worker:{PORT},worker-2.worker:{PORT}"
TARGETS: Final = pytest.mark.parametrize("targets", [SRV, HEADLESS, HOSTS])
HEARTBEAT: Final = 1.0
MOST_SECONDS: Final = DELAY_SECONDS + 0.2
"""From a pod's return to its first numbers: the next attempt, then the first number at the stream's rate."""
SWALLOWS: Final = "10.0.0.9"
REFUSES: Final = "127.0.0.254"


def test_a_link_is_in_haste_until_its_time_is_over() -> None:
    haste: Haste[str] = Haste()
    assert [haste.miss("a", 60.0, now) for now in (0.0, 59.9, 60.0)] == [DELAY_SECONDS, DELAY_SECONDS, None]


def test_attempts_per_second_are_limited_and_a_link_that_is_back_does_not_count() -> None:
    haste: Haste[int] = Haste()
    delays = [haste.miss(number, 60.0, 0.0) for number in range(10 * ATTEMPTS_A_SECOND)]
    assert delays[ATTEMPTS_A_SECOND - 1] == DELAY_SECONDS
    assert delays[-1] == pytest.approx(10.0)
    for number in range(9 * ATTEMPTS_A_SECOND):
        haste.forget(number)
    assert haste.miss(9 * ATTEMPTS_A_SECOND, 60.0, 1.0) == DELAY_SECONDS
    for number in range(9 * ATTEMPTS_A_SECOND, 10 * ATTEMPTS_A_SECOND):
        assert haste.miss(number, 60.0, 60.0) is None


@asynccontextmanager
async def a_cluster(
    targets: str, dns: PodNames, producers: int = 1, count: int = 3
) -> AsyncIterator[tuple[list[Pod], list[Producer]]]:
    """Pods with a stream, up for long enough that no link is in haste."""
    pods = [Pod(f"worker-{number}", dns) for number in range(count)]
    for pod in pods:
        await pod.start()
    given: dict[str, Any] = {"dns": dns, "rate": 10, "heartbeat_interval": HEARTBEAT}
    roles = [a_producer(targets, name=f"producer-{number}", **given) for number in range(producers)]
    async with asyncio.TaskGroup() as group:
        for role in roles:
            group.create_task(role.run())
        await until(lambda: all(pod.sink.heard for pod in pods))
        await asyncio.sleep(HASTE_SECONDS)
        yield pods, roles
        for role in roles:
            role.stop()
        for pod in pods:
            pod.end()


async def seconds_until_heard(pod: Pod) -> float:
    """How long a pod waits for its numbers after its return."""
    began, heard = asyncio.get_running_loop().time(), len(pod.sink.heard)
    await until(lambda: len(pod.sink.heard) > heard)
    return asyncio.get_running_loop().time() - began


@pytest.mark.parametrize(("targets", "producers"), [(SRV, 1), (SRV, 3), (HEADLESS, 1), (HOSTS, 1)])
@pytest.mark.parametrize("away", [3.3, 8.1])
async def test_a_pod_that_drains_and_restarts_waits_a_second_at_most_for_its_numbers(
    targets: str, producers: int, away: float
) -> None:
    dns = PodNames()
    async with a_cluster(targets, dns, producers) as (pods, _):
        await pods[0].stop()
        await asyncio.sleep(away)
        await pods[0].start()
        assert await seconds_until_heard(pods[0]) <= MOST_SECONDS
        assert pods[0].sink.taken == stream().lines(0, pods[0].sink.count)


@TARGETS
@pytest.mark.parametrize("address", [SWALLOWS, REFUSES])
async def test_a_pod_whose_name_stays_with_an_address_that_is_dead_waits_no_longer(targets: str, address: str) -> None:
    dns = PodNames()
    async with a_cluster(targets, dns) as (pods, _):
        await pods[0].stop(leaves_dns=False)
        dns.pods[pods[0].host] = address
        await asyncio.sleep(6.4)
        await pods[0].start()
        assert await seconds_until_heard(pods[0]) <= MOST_SECONDS


@TARGETS
async def test_a_name_server_that_caches_negative_answers_costs_as_long_as_it_keeps_them(targets: str) -> None:
    dns = PodNames(cached=5.0)
    async with a_cluster(targets, dns) as (pods, _):
        await pods[0].stop()
        await asyncio.sleep(6.4)
        await pods[0].start()
        assert await seconds_until_heard(pods[0]) <= 5.0 + MOST_SECONDS


@TARGETS
async def test_a_rolling_restart_makes_each_of_three_workers_wait_a_second_at_most(targets: str) -> None:
    dns = PodNames()
    async with a_cluster(targets, dns, producers=2) as (pods, _):
        for pod in reversed(pods):
            await pod.stop()
            await asyncio.sleep(3.4)
            await pod.start()
            assert await seconds_until_heard(pod) <= MOST_SECONDS


async def test_a_worker_that_is_away_for_long_is_no_longer_in_haste() -> None:
    dns = PodNames()
    async with a_cluster(HOSTS, dns) as (pods, [producer]):
        await pods[0].stop()
        asked = []
        for _ in range(3):
            before = producer.tally.failures.total()
            await asyncio.sleep(HASTE_SECONDS)
            asked.append(producer.tally.failures.total() - before)
        assert asked[0] >= HASTE_SECONDS / DELAY_SECONDS
        assert asked[2] <= HASTE_SECONDS / 1.5


async def test_queries_for_a_thousand_names_that_leave_together_are_limited_per_second() -> None:
    dns = PodNames()
    names = [f"gone-{number}.worker" for number in range(1000)]
    dns.pods |= dict.fromkeys(names, REFUSES)
    producer = a_producer(SRV, dns=dns, heartbeat_interval=HEARTBEAT)
    async with asyncio.TaskGroup() as group:
        group.create_task(producer.run())
        await until(lambda: len(producer.links) == 1000)
        dns.pods.clear()
        await asyncio.sleep(10)
        before = dns.questions
        await asyncio.sleep(10)
        assert dns.questions - before <= 10 * (2 * ATTEMPTS_A_SECOND + 20)
        producer.stop()


# ---- what is logged --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [SRV, HEADLESS, f"worker-0.worker:{PORT}"])
async def test_a_worker_that_stops_on_purpose_and_comes_back_is_one_line_and_no_alarm(targets: str, log: Log) -> None:
    dns = PodNames()
    async with a_cluster(targets, dns, count=1) as ([pod], [producer]):
        log.events.clear()
        await pod.stop()
        for _ in range(10):
            await asyncio.sleep(1.0)
            assert producer.problem is None
        (closed,) = told(log)
        assert (closed["event"], closed["log_level"]) == ("link.closed", "info")
        assert (closed["reason"], closed["worker"]) == ("shutdown", "worker-0")
        assert closed["waits_for"] == f"{producer.links[0].target} to come back"
        assert producer.links[0].reason == "the peer was stopped"
        assert [entry.event for entry in producer.journal.entries][-1] == "link.closed"
        await pod.start()
        await seconds_until_heard(pod)
        await until(lambda: told(log)[-1]["event"] == "link.resumed")


@pytest.mark.parametrize("targets", [SRV, HEADLESS])
async def test_a_worker_that_is_scaled_away_is_one_line_of_each_producer_and_no_alarm(targets: str, log: Log) -> None:
    dns = PodNames()
    async with a_cluster(targets, dns, producers=2) as (pods, producers):
        log.events.clear()
        await pods[2].stop()
        await until(lambda: all(len(producer.links) == 2 for producer in producers))
        await asyncio.sleep(HASTE_SECONDS)
        assert [event["event"] for event in told(log)] == ["link.closed"] * 2 + ["discovery.changed"] * 2
        for producer in producers:
            assert producer.problem is None
            assert all(link.is_up for link in producer.links)


async def test_the_last_worker_that_is_scaled_away_is_missed_once_it_has_left(log: Log) -> None:
    dns = PodNames()
    async with a_cluster(SRV, dns, count=1) as ([pod], [producer]):
        await pod.stop()
        await asyncio.sleep(LEFT_OUT_SECONDS - 5)
        assert producer.problem is None
        await until(lambda: not producer.links)
        await until(lambda: producer.problem == f"{SRV} names no worker")


async def test_a_worker_that_said_goodbye_and_stays_in_the_settings_is_missed_after_a_minute(log: Log) -> None:
    dns = PodNames()
    async with a_cluster(HOSTS, dns) as (pods, [producer]):
        stopped_at = virtual_loop().time()
        await pods[0].stop()
        missed = await log.wait("link.unreachable")
        assert virtual_loop().time() - stopped_at == pytest.approx(HASTE_SECONDS, abs=6)
        assert "name or service not known" in missed["error"]
        assert producer.links[0].last_error == missed["error"]
        assert [entry.event for entry in producer.journal.entries][-2:] == ["link.closed", "link.unreachable"]


async def test_a_worker_that_dies_without_a_word_is_lost_and_then_unreachable(log: Log) -> None:
    dns = PodNames()
    async with a_cluster(SRV, dns) as (pods, _):
        log.events.clear()
        await pods[0].die()
        await log.wait("link.unreachable")
        assert [event["event"] for event in told(log)][:2] == ["link.lost", "link.unreachable"]


def told(log: Log) -> list[Any]:
    """The events of producers about their links."""
    return [event for event in log.events if "target" in event]
