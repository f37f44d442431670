"""Connections: socket options, and a loop's callbacks in any order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, cast

import pytest
from tests.net.carrying import Owning, Recording, reraise
from tests.protocol.network import a_streaming_sender
from tests.support.clock import StoppedClock
from tests.support.log import Log
from tests.support.peers import a_listener, dialled
from tests.support.roles import a_worker, producing, transport_of
from tests.support.waiting import until

from randstream.net.budget import SendBudget
from randstream.net.connection import WRITE_HIGH_WATER, Connection, Owner, Spoken
from randstream.net.timers import TICK, TimerWheel
from randstream.protocol.end import NEVER


def options(transport: Any) -> tuple[bool, bool, int]:
    sock = transport.get_extra_info("socket")
    return (
        bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    )


@pytest.mark.kernel
async def test_socket_options_are_nodelay_and_keepalive_and_no_user_timeout_on_links() -> None:
    async with a_listener() as listener, producing(listener, f"raw://localhost:{listener.port}") as producer:
        for _ in producer.links:
            (await listener.peer()).say(b"#hello randstream/1 worker=worker-0\n")
        for link in producer.links:
            transport = await until(lambda link=link: link.session and link.session.connection.transport)
            assert options(transport) == (True, True, 0)


@pytest.mark.kernel
async def test_socket_options_are_nodelay_and_keepalive_and_no_user_timeout_on_sessions() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        assert options(transport_of(worker)) == (True, True, 0)


class Silent:
    """An end that has nothing to say and never anything to do."""

    deadline = NEVER

    def receive_data(self, data: bytes, now: float) -> list[Any]:
        raise AssertionError("nobody may ask")

    handle_timer = receive_data

    def data_to_send(self) -> list[bytes]:
        return []


class Transport:
    is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


class Nobody:
    """An owner that must not be called."""


async def test_a_connection_that_was_given_up_tells_nobody_whatever_comes_late() -> None:
    clock = StoppedClock()
    wheel = TimerWheel(clock, reraise)
    connection = Connection(cast("Spoken", Silent()), cast("Owner", Nobody()), wheel)
    connection.poke(clock.now())
    connection.abort()
    transport = Transport()
    connection.connection_made(cast("asyncio.Transport", transport))
    assert transport.is_aborted
    connection.data_received(b"late")
    connection.resume_writing()
    clock.time += 1.0
    wheel.turn()
    connection.connection_lost(None)
    wheel.close()


async def test_an_end_without_a_word_is_a_cut(log: Log) -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        await peer.accept()
        peer.writer.close()
        lost = await log.wait("link.lost")
        assert lost["reason"] == "cut"


async def test_what_comes_after_a_close_in_the_same_breath_is_ignored(log: Log) -> None:
    async with a_listener() as listener, producing(listener):
        peer = await listener.peer()
        await peer.accept()
        peer.say(b"#ack offset=0\n#close reason=takeover\n#ack offset=0\n")
        assert (await log.wait("link.lost"))["reason"] == "takeover"


# ---- what an alarm does, and when ------------------------------------------------------------------------------------


async def test_beat_that_is_due_shares_a_write_with_the_numbers_and_comes_after_them() -> None:
    clock, transport = StoppedClock(), Recording()
    wheel = TimerWheel(clock, reraise)
    sender = a_streaming_sender(now=clock.now())
    connection = Connection(sender, Owning(sender), wheel)
    connection.connection_made(transport)
    assert transport.writes == []
    clock.time += 1.0 + TICK
    wheel.turn()
    (written,) = transport.writes
    assert written.startswith(b"52\n#beat offset=1 ")
    assert written.count(b"\n") == 2
    connection.abort()
    wheel.close()


# ---- what it may hold unsent -----------------------------------------------------------------------------------------


class NoSocket:
    def setsockopt(self, level: int, option: int, value: int) -> None:
        pass


class Stuck(asyncio.Transport):
    """A transport whose peer reads nothing."""

    connection: Connection

    def __init__(self) -> None:
        super().__init__()
        self.unsent = 0
        self.high = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return NoSocket()

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high is not None
        self.high = high
        self._look()

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def writelines(self, chunks: Iterable[Any]) -> None:
        self.unsent += sum(map(len, chunks))
        self._look()

    def _look(self) -> None:
        if self.unsent > self.high:
            self.connection.pause_writing()


class Talker(Silent):
    """An end that has said as much as its connection has room for."""

    connection: Connection

    def data_to_send(self) -> list[bytes]:
        return [bytes(min(RUN, self.connection.room))]


RUN = 100_000


class Idle(Nobody):
    """An owner that says nothing of its own accord."""

    def on_made(self, now: float) -> None:
        pass

    def on_lost(self, error: Exception | None, now: float) -> None:
        pass


def a_stuck_connection(budget: SendBudget) -> Connection:
    """A connection that has written what it could to a peer that reads nothing."""
    end, transport = Talker(), Stuck()
    end.connection = transport.connection = connection = Connection(
        cast("Spoken", end), cast("Owner", Idle()), TimerWheel(StoppedClock(), reraise), budget
    )
    connection.expect_runs(RUN)
    connection.connection_made(transport)
    while connection.is_writable:
        connection.flush()
    return connection


async def test_connections_that_nobody_reads_hold_no_more_than_their_budget_and_leave_others_their_part() -> None:
    total, many = 2**24, 100
    budget = SendBudget(total)
    for sharer in range(many):
        budget.join(sharer)
    held = []
    for _ in range(many - 1):
        before = budget.held
        a_stuck_connection(budget)
        held.append(budget.held - before)
    assert sum(held) == budget.held <= total
    assert max(held) <= total / many
    assert min(held) >= total / many / 3  # e, for the last
    assert budget.share >= total / many / 3


async def test_a_connection_alone_holds_what_it_can_use_and_no_more() -> None:
    budget = SendBudget(2**30)
    budget.join("alone")
    a_stuck_connection(budget)
    assert WRITE_HIGH_WATER < budget.held <= WRITE_HIGH_WATER + RUN


async def test_what_was_held_is_free_again_once_it_is_read_or_lost() -> None:
    budget = SendBudget(2**30)
    read, lost = a_stuck_connection(budget), a_stuck_connection(budget)
    assert isinstance(read.transport, Stuck)
    read.transport.unsent = 0
    assert read.room == budget.share
    held = budget.held
    lost.connection_lost(None)
    assert held > budget.held == 0
    lost.connection_lost(None)
    assert budget.held == 0


@pytest.mark.kernel
@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="the system has no such option")
@pytest.mark.parametrize(("buffer_bytes", "holds"), [("64KiB", 65536), ("1GiB", None)])
async def test_the_kernel_holds_as_much_again_where_shares_are_small(buffer_bytes: str, holds: int | None) -> None:
    async with a_listener() as listener, producing(listener, buffer_bytes=buffer_bytes) as producer:
        await (await listener.peer()).accept()
        session = producer.links[0].session
        assert session is not None
        assert session.connection.transport is not None
        sock = session.connection.transport.get_extra_info("socket")
        option = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert option == holds if holds else option in (0, -1, 2**32 - 1)
