"""Patience: a worker whose sink takes nothing says so, in every state in which something waits for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

import pytest
from tests.protocol.network import beat_line
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import Peer, dialled
from tests.support.roles import a_worker
from tests.worker.vault import Late, Vault, interval

from randstream.observe.status import LinkState
from randstream.worker.worker import Worker

PATIENCE: Final = 3
"""Seconds, as the heartbeat is one."""


async def beat_on(peer: Peer, offset: int, beats: int) -> None:
    """Beat at `offset`, once a second."""
    for _ in range(beats):
        await asyncio.sleep(1.0)
        peer.say(beat_line(offset))


def how_is(worker: Worker) -> tuple[LinkState, bool]:
    """The state shown, and whether the worker is ready."""
    return worker.intake.status(worker.clock.now(), 0.0).state, worker.problem is None


def kept_shut(sink: Vault | Late) -> Vault | Late:
    """It takes nothing until its gate is set."""
    sink.gate.clear()
    return sink


@pytest.mark.parametrize("kind", [Vault, Late])
async def test_a_sink_that_takes_nothing_for_three_beats_is_told_once_and_so_is_its_end(
    kind: type[Vault | Late], log: Log
) -> None:
    sink = kept_shut(kind())
    async with a_worker(sink) as worker, dialled(worker) as peer:
        await peer.start()
        since = datetime.fromtimestamp(worker.clock.wall_time(), UTC)
        peer.say(interval(0, 5))
        await beat_on(peer, 5, PATIENCE - 1)
        assert how_is(worker) == (LinkState.STREAMING, True)
        await beat_on(peer, 5, 20)
        assert how_is(worker) == (LinkState.STALLED, False)
        assert worker.problem == f"{sink.taker} has not taken its numbers since {since:%Y-%m-%dT%H:%M:%SZ}"
        assert worker.trouble == "program-stuck"
        assert await peer.line_starting(b"#ack offset=0 why=") == b"#ack offset=0 why=program-stuck\n"
        (stalled,) = log.of("sink.stalled")
        assert (stalled["log_level"], stalled["why"], stalled["taker"]) == ("warning", worker.problem, sink.taker)
        sink.gate.set()
        await peer.line_starting(b"#ack offset=5 ")
        assert how_is(worker) == (LinkState.STREAMING, True)
        assert len(log.of("sink.recovered")) == 1
        assert [entry.event for entry in worker.journal.entries if entry.event.startswith("sink.")] == [
            "sink.stalled", "sink.recovered",
        ]  # fmt: skip


@pytest.mark.parametrize("kind", [Vault, Late])
async def test_a_sink_that_is_not_done_with_an_older_connection_is_told_while_the_next_waits(
    kind: type[Vault | Late], log: Log
) -> None:
    sink = kept_shut(kind())
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start()
            peer.say(interval(0, 5))
            await asyncio.sleep(1.0)
        async with dialled(worker) as peer:
            await peer.join()
            for _ in range(PATIENCE + 1):
                assert (await peer.line()).startswith(b"#wait")
                peer.say(b"#wait\n")
            assert how_is(worker) == (LinkState.STALLED, False)
            assert len(log.of("sink.stalled")) == 1
            sink.gate.set()
            assert (await peer.turn()).startswith(b"#resume")
            assert how_is(worker)[1]


async def test_a_stall_outlives_the_connection_that_noticed_it_and_ends_with_what_was_taken(log: Log) -> None:
    sink = kept_shut(Late())
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start()
            peer.say(interval(0, 5))
            await beat_on(peer, 5, PATIENCE + 1)
        await asyncio.sleep(10.0)
        assert how_is(worker) == (LinkState.WAITING, False)
        sink.gate.set()
        await log.wait("sink.recovered")
        assert how_is(worker) == (LinkState.WAITING, True)


async def test_a_sink_that_takes_nothing_of_a_raw_peer_is_told(log: Log) -> None:
    sink = kept_shut(Late())
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        for _ in range(PATIENCE + 1):
            raw.say(b"1\n")
            await asyncio.sleep(1.0)
        assert how_is(worker) == (LinkState.STALLED, False)
        sink.gate.set()
        await log.wait("sink.recovered")
        assert how_is(worker) == (LinkState.STREAMING, True)


async def test_what_the_sink_itself_says_is_told_with_the_stall(log: Log) -> None:
    sink = kept_shut(Late())
    async with a_worker(sink) as worker, dialled(worker) as peer:
        await peer.start()
        sink.problem = "the command has closed its standard input"
        peer.say(interval(0, 5))
        await beat_on(peer, 5, PATIENCE + 1)
        (stalled,) = log.of("sink.stalled")
        assert stalled["why"].endswith(f"Z: {sink.problem}")
        assert worker.trouble == "program-failing"
        sink.gate.set()


@pytest.mark.parametrize("kind", [Vault, Late])
async def test_a_stream_without_numbers_never_stalls(kind: type[Vault | Late], log: Log) -> None:
    async with a_worker(kept_shut(kind())) as worker, dialled(worker) as peer:
        await peer.start()
        await beat_on(peer, 0, 10)
        assert how_is(worker) == (LinkState.STREAMING, True)
        assert log.of("sink.stalled") == []


async def test_a_sink_that_is_slow_but_takes_what_each_beat_proves_never_stalls(log: Log) -> None:
    sink = Late()
    async with a_worker(sink) as worker, dialled(worker) as peer:
        await peer.start()
        for number in range(10):
            sink.gate.clear()
            peer.say(interval(number, 1))
            await asyncio.sleep(PATIENCE - 0.5)
            sink.gate.set()
            await peer.line_starting(b"#ack offset=%d t" % (number + 1))
        assert log.of("sink.stalled") == []


async def test_a_frozen_process_does_not_take_its_own_sleep_for_a_stall(log: Log) -> None:
    sink = kept_shut(Vault())
    async with a_worker(sink) as worker, dialled(worker) as peer:
        await peer.start()
        peer.say(interval(0, 5))
        await asyncio.sleep(0.5)
        sink.gate.set()
        virtual_loop().block(100.0)
        await peer.line_starting(b"#ack offset=5 ")
        assert log.of("sink.stalled") == []
