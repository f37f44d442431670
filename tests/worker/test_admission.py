"""Admission: which peers may speak, make room or give way."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest
from tests.protocol.network import beat_line, open_line
from tests.support.log import Log
from tests.support.peers import Peer, dialled
from tests.support.roles import a_worker, producing
from tests.support.sinks import Memory
from tests.support.stream import stream
from tests.support.waiting import until
from tests.worker.vault import INSTANCE, OTHER_STREAM, Vault, interval, numbers

from randstream.sinks.immediate import DiscardSink
from randstream.worker.admission import UNOPENED_LIMIT


async def test_offset_of_one_stream_is_not_named_to_another() -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
        async with dialled(worker) as peer:
            assert await peer.open(stream=OTHER_STREAM) == b"#resume after=start\n"
        async with dialled(worker) as peer:  # which took no number of the other: the first is still known
            assert await peer.open() == b"#resume offset=5 after=start\n"
        async with dialled(worker) as peer:
            assert await peer.open(stream=OTHER_STREAM) == b"#resume after=start\n"
            peer.say(beat_line(100))
            await peer.line_starting(b"#ack ")
        async with dialled(worker) as peer:
            assert await peer.open() == b"#resume after=start\n"


async def test_takeover_ends_the_older_connection_of_the_same_link(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0, instance=INSTANCE)
        older.say(interval(0, 5))
        await older.line_starting(b"#ack offset=5 ")
        await newer.start(5, instance=INSTANCE)
        assert (await older.rest()).endswith(b"#close reason=takeover\n")
        older.say(numbers(5, 3))
        newer.say(interval(5, 2))
        await newer.line_starting(b"#ack offset=7 ")
        assert sink.taken == numbers(0, 7)
        assert log.of("link.closed")[0]["reason"] == "takeover"


@pytest.mark.kernel
async def test_takeover_is_heard_by_a_producer_that_is_busy_writing() -> None:
    async with a_worker() as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0, heartbeat="60", instance=INSTANCE)
        older.transport.pause_reading()
        await newer.start(0, instance=INSTANCE)
        for number in range(5):  # to a socket that is closed the first would be answered with a reset
            older.say(numbers(number, 1))
            newer.say(beat_line(0, t=str(number)))
            await newer.line_starting(b"#ack")
        older.transport.resume_reading()
        assert (await older.rest()).endswith(b"#close reason=takeover\n")


@pytest.mark.kernel
async def test_takeover_in_full_flow_is_known_for_what_it_is() -> None:
    async with a_worker(DiscardSink()) as worker, producing(worker, rate="max") as producer:
        (link,) = producer.links
        await until(lambda: link.acked_offset)
        async with dialled(worker) as newer:
            await newer.open(instance=link.instance)
            await until(lambda: producer.tally.ends)
            assert link.last_error == "the peer closed the connection: takeover"


async def test_takeover_after_commit_gets_its_resume_and_until_then_wait() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0, instance=INSTANCE)
        vault.gate.clear()
        older.say(interval(0, 5))
        await until(lambda: vault.is_committing)
        older.say(interval(5, 5), numbers(10, 3))
        await until(lambda: worker.intake.offset == 13)
        await newer.join(heartbeat="0.05", instance=INSTANCE)
        for _ in range(3):
            assert (await newer.line()).startswith(b"#wait offset=0")
            newer.say(b"#wait\n")
        assert (await older.rest()).endswith(b"#close reason=takeover\n")
        vault.gate.set()
        assert await newer.turn() == b"#resume offset=5 after=start\n"
        newer.say(beat_line(5), interval(5, 1))
        await newer.line_starting(b"#ack offset=6 ")
        assert vault.stored == numbers(0, 6)


async def test_takeover_of_one_that_waits_leaves_one_in_its_place_and_whoever_serves_alone() -> None:
    async with a_worker() as worker, AsyncExitStack() as stack:
        serving, older, newer = [await stack.enter_async_context(dialled(worker)) for _ in range(3)]
        await serving.start(0)
        for peer in (older, newer):
            assert await peer.stand_by(instance=INSTANCE) == b"#wait by=producer-0 offset=0\n"
        assert (await older.rest()) == b"#close reason=takeover\n"
        serving.say(interval(0, 2))
        await serving.line_starting(b"#ack offset=2 ")
        assert len(worker.line.waiting) == 1


async def test_asked_as_often_as_the_heartbeat_of_whoever_is_promoted_demands() -> None:
    async with a_worker() as worker, AsyncExitStack() as stack:
        serving, patient, quick = [await stack.enter_async_context(dialled(worker)) for _ in range(3)]
        await serving.start(0, heartbeat="60")
        await patient.stand_by(heartbeat="60", producer="producer-1")
        await quick.stand_by(heartbeat="0.1", producer="producer-2")  # ranked above producer-1
        serving.cut()
        assert await quick.turn() == b"#resume offset=0 after=promotion\n"
        promoted = asyncio.get_running_loop().time()
        quick.say(beat_line(0))
        assert await patient.line() == b"#wait by=producer-2 offset=0\n"
        assert asyncio.get_running_loop().time() < promoted + 0.2


async def test_asked_as_often_as_the_heartbeat_of_whoever_served_last_demands() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, AsyncExitStack() as stack:
        serving, patient = [await stack.enter_async_context(dialled(worker)) for _ in range(2)]
        await serving.start(0, heartbeat="0.1")
        vault.gate.clear()
        serving.say(interval(0, 1))
        await until(lambda: vault.is_committing)
        serving.cut()
        await until(lambda: worker.line.serving is None)
        opened = asyncio.get_running_loop().time()
        assert await patient.line() == b"#hello randstream/1 worker=worker-0\n"
        patient.say(open_line(stream=stream().id, heartbeat="60"))
        assert (await patient.line()).startswith(b"#wait")
        assert asyncio.get_running_loop().time() < opened + 0.2
        vault.gate.set()


async def test_line_a_newer_connection_of_another_link_waits_and_the_older_serves_on() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as newer, dialled(worker) as older:
        await older.start(0, instance=INSTANCE)
        assert await newer.stand_by(instance=INSTANCE[::-1]) == b"#wait by=producer-0 offset=0\n"
        older.say(interval(0, 5))
        await older.line_starting(b"#ack offset=5 ")
        older.cut()
        assert await newer.turn() == b"#resume offset=5 after=promotion\n"
        assert sink.taken == numbers(0, 5)


async def test_other_stream_waits_while_the_first_is_served_and_is_told_which_that_is(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as other:
        async with dialled(worker) as peer:
            await peer.start(0)
            waited = await other.stand_by(stream=OTHER_STREAM)
            assert waited == b"#wait by=producer-0 stream=%s\n" % stream().id.encode()
            warned = await log.wait("link.other_stream")
            assert (warned["stream"], warned["served"]) == (OTHER_STREAM, stream().id)
            peer.say(interval(0, 1))
            await peer.line_starting(b"#ack offset=1 ")
        assert await other.turn() == b"#resume after=promotion\n"


async def test_numbers_checked_an_offer_that_contradicts_what_is_served_is_malformed() -> None:
    async with a_worker() as worker, dialled(worker) as peer, dialled(worker) as other:
        await peer.start(0)
        assert await other.open(numbers="bits64") == b"#close reason=malformed\n"
        assert worker.line.serving is not None


@pytest.mark.parametrize("numbers", ["integers:01:100", "integers:1:1e2", "uniform:0:1", "oftomorrow", "integers:5:1"])
async def test_numbers_checked_an_offer_that_is_not_canonical_or_not_known_is_malformed(numbers: str) -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as peer:
        assert await peer.open(numbers=numbers) == b"#close reason=malformed\n"
        assert vault.opened == 0


async def test_slots_when_all_are_taken_a_random_one_is_closed_with_busy_never_the_newcomer() -> None:
    class Seventh(Random):
        def choice(self, seq: Any) -> Any:
            return seq[7]

    async with a_worker(random=Seventh()) as worker, AsyncExitStack() as stack:
        peers: list[Peer] = []
        for _ in range(UNOPENED_LIMIT):
            peers.append(await stack.enter_async_context(dialled(worker)))
            await peers[-1].line_starting(b"#hello")
        newcomer = await stack.enter_async_context(dialled(worker))
        await newcomer.start(0)
        assert await peers[7].rest() == b"#close reason=busy\n"
        assert len(worker.admission.unopened) == UNOPENED_LIMIT - 1
        extra = await stack.enter_async_context(dialled(worker))
        await extra.line_starting(b"#hello")
        assert not any(peer.reader.at_eof() for peer in peers if peer is not peers[7])


async def test_slots_are_not_held_by_connections_that_opened() -> None:
    async with a_worker() as worker, AsyncExitStack() as stack:
        await (await stack.enter_async_context(dialled(worker))).start(0)
        for _ in range(UNOPENED_LIMIT):
            peer = await stack.enter_async_context(dialled(worker))
            await peer.line_starting(b"#hello")
        assert len(worker.admission.unopened) == UNOPENED_LIMIT
        assert worker.line.holder is not None


async def test_a_flood_of_strangers_is_logged_in_a_few_lines(log: Log) -> None:
    async with a_worker() as worker:
        for _ in range(40):
            async with dialled(worker) as peer:
                peer.say(b"GET / HTTP/1.1\r\n")
                await peer.rest()
        await until(lambda: not worker.admission.present)
        assert len(log.of("peer.left")) == 12
        await asyncio.sleep(60.0)
        async with dialled(worker) as peer:
            peer.cut()
        assert (await log.wait("peer.left", 13))["left_out"] == 28


async def test_raw_is_refused_while_a_stream_is_served_and_is_told_so() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as peer, dialled(worker) as raw:
        await peer.start(0)
        raw.say(b"1\n2\n")
        assert (await raw.rest()).endswith(b"#close reason=refused\n")
        assert sink.taken == b""


async def test_raw_gives_way_to_a_stream_and_is_told_nothing() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw, dialled(worker) as peer:
        raw.say(b"1\n")
        await sink.wait_count(1)
        await peer.start(0)
        raw.say(b"2\n")
        assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n"
        assert sink.taken == b"1\n"
