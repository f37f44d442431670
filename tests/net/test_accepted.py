"""Accepted connections: silence after a pause in reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from tests.net.carrying import Owning, Recording, reraise
from tests.protocol.network import reason_of_close
from tests.support.clock import StoppedClock

from randstream.errors import Reason
from randstream.net.accepted import AcceptedConnection
from randstream.net.timers import TimerWheel
from randstream.protocol import RAW_SILENCE_LIMIT
from randstream.protocol.frames import Numbers
from randstream.protocol.receiver import Receiver


@asynccontextmanager
async def a_raw_peer_held_back_until_its_deadline_is_over() -> AsyncIterator[
    tuple[StoppedClock, TimerWheel, AcceptedConnection, Owning]
]:
    """It sent a number, and nothing more is read. Its deadline passed less than half a heartbeat ago: it counts."""
    clock, transport, owner = StoppedClock(), Recording(), Owning()
    wheel = TimerWheel(clock, reraise)
    receiver = Receiver("worker-0", now=clock.now(), accepts_raw=True)
    connection = AcceptedConnection(receiver, owner, wheel, cast("asyncio.StreamWriter", transport))
    connection.data_received(b"1\n")
    connection.pause_reading()
    connection.flush()  # as after a commit, say
    clock.time += RAW_SILENCE_LIMIT + 0.2
    wheel.turn()
    assert owner.events == [Numbers(b"1\n", 1)]
    yield clock, wheel, connection, owner
    connection.abort()
    wheel.close()


async def test_silence_counts_no_earlier_than_what_waited_in_the_kernel_can_have_been_read() -> None:
    async with a_raw_peer_held_back_until_its_deadline_is_over() as (clock, wheel, connection, owner):
        connection.resume_reading()
        wheel.turn()
        clock.time += 0.09
        wheel.turn()
        assert owner.events == [Numbers(b"1\n", 1)]
        connection.data_received(b"2\n")
        clock.time += 0.02
        wheel.turn()
        assert owner.events == [Numbers(b"1\n", 1), Numbers(b"2\n", 1)]


async def test_silence_that_goes_on_once_reading_went_on_is_the_peers() -> None:
    async with a_raw_peer_held_back_until_its_deadline_is_over() as (clock, wheel, connection, owner):
        connection.resume_reading()
        clock.time += 0.11
        wheel.turn()
        assert reason_of_close(owner.events) is Reason.TIMEOUT
