"""Connections: socket options, and what the callbacks of a loop may do in any order."""

from __future__ import annotations

import socket
from typing import Any

from tests.harness import Log, a_listener, a_worker, dialled, producing, until

from randstream.clock import Clock
from randstream.net.connection import Connection
from randstream.net.timers import TimerWheel
from randstream.protocol.end import NEVER


def options(transport: Any) -> tuple[bool, bool, int]:
    sock = transport.get_extra_info("socket")
    return (
        bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)),
        bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)),
        sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
    )


async def test_socket_options_are_nodelay_and_keepalive_and_no_user_timeout_on_links() -> None:
    async with a_listener() as listener, producing(listener, f"raw://localhost:{listener.port}") as producer:
        for _ in producer.links:
            await listener.peer()
        for link in producer.links:
            transport = await until(lambda link=link: link.session and link.session.connection.transport)
            assert options(transport) == (True, True, 0)


async def test_socket_options_are_nodelay_and_keepalive_and_no_user_timeout_on_sessions() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        assert worker.admission.live is not None
        assert options(worker.admission.live.connection.transport) == (True, True, 0)


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


async def test_a_connection_that_was_given_up_tells_nobody_whatever_comes_late(log: Log) -> None:

    wheel = TimerWheel(Clock(), lambda bug: None)
    connection = Connection(Silent(), Nobody(), wheel)
    connection.abort()
    transport = Transport()
    connection.connection_made(transport)
    assert transport.is_aborted
    connection.data_received(b"late")
    connection.resume_writing()
    connection._on_alarm(0.0)
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
