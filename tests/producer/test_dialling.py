"""Dialling: addresses that swallow, refuse, or accept and say nothing; which dials wait; a dial that meets itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Final
from unittest.mock import Mock

import pytest
from tests.producer.links import only
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import a_listener
from tests.support.ports import free_port
from tests.support.roles import a_producer, a_worker, producing, running
from tests.support.waiting import until

from randstream.backoff import LONGEST_DELAY
from randstream.net.connection import Connection
from randstream.observe.status import LinkState
from randstream.producer.dialling import DIALS_AT_ONCE, NEXT_ADDRESS_SECONDS
from randstream.producer.haste import DELAY_SECONDS
from randstream.producer.places import PATIENCE
from randstream.protocol import HANDSHAKE_LIMIT

SWALLOWS: Final = "10.0.0.9"
"""An address where nothing is: what is sent there is lost, and a dial is never answered."""


async def test_handshake_limit_ends_a_connection_whose_worker_does_not_greet(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        began = producer.clock.now()
        assert (await peer.rest()) == b"#close reason=timeout\n"
        assert producer.clock.now() - began == pytest.approx(HANDSHAKE_LIMIT, abs=0.1)
        unreachable = await log.wait("link.unreachable")
        assert unreachable["reason"] == "timeout"
        assert unreachable["error"] == "connected, but the peer says nothing; perhaps the worker waits for TLS"


async def test_a_worker_that_has_spoken_in_plain_text_is_not_thought_to_wait_for_tls(log: Log) -> None:
    async with a_listener() as listener, producing(listener) as producer:
        peer = await listener.peer()
        await peer.accept()
        peer.cut()
        await (await listener.peer()).rest()
        assert (await log.wait("link.unreachable"))["error"] == "connected, but the peer says nothing"
        assert only(producer).last_error == "connected, but the peer says nothing"


async def test_handshake_limit_ends_an_attempt_that_nobody_answers(log: Log) -> None:
    async with producing(f"{SWALLOWS}:9") as producer:
        began = producer.clock.now()
        lost = await log.wait("link.unreachable")
        assert producer.clock.now() - began == pytest.approx(HANDSHAKE_LIMIT, abs=0.1)
        assert (lost["reason"], lost["error"]) == ("timeout", "no connection within the handshake limit")


@pytest.mark.parametrize("count", [DIALS_AT_ONCE, 10 * DIALS_AT_ONCE])
async def test_a_worker_that_is_new_waits_only_moments_for_dials_that_nobody_answers(count: int) -> None:
    async with a_listener() as listener, producing(*swallowed(count), listener.target) as producer:
        began = producer.clock.now()
        await (await listener.peer()).accept()
        assert producer.clock.now() - began <= PATIENCE * count / DIALS_AT_ONCE + 0.5
        assert producer.links[-1].last_error is None


@pytest.mark.parametrize("host", ["127.0.0.1", "somewhere"])
async def test_a_worker_that_was_linked_comes_before_hundreds_that_swallow_all(host: str) -> None:
    port, addresses = free_port(), virtual_loop().names.addresses
    addresses[host] = ["127.0.0.1"]
    async with producing(*swallowed(500), f"{host}:{port}") as producer:
        link = producer.links[-1]
        for _ in range(2):
            addresses[host] = ["127.0.0.1"]
            begun_at = producer.clock.now()
            async with a_worker(port=port, discard=True):
                await until(lambda: link.is_up)
                assert producer.clock.now() - begun_at < LONGEST_DELAY
                await until(lambda: link.acked_offset)
            addresses[host] = [SWALLOWS]  # as a machine that is switched off
            await asyncio.sleep(12)
            assert not link.is_up


def swallowed(count: int) -> list[str]:
    """Targets where nothing is."""
    return [f"{SWALLOWS}:{port}" for port in range(1, count + 1)]


async def test_a_kernels_timeout_is_not_taken_for_ours(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    async def time_out(*arguments: Any) -> None:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", time_out)
    async with producing("127.0.0.1:9"):
        unreachable = await log.wait("link.unreachable")
        assert (unreachable["reason"], unreachable["error"]) == ("cut", "connection timed out")


async def test_next_address_is_tried_though_one_refuses_and_one_swallows() -> None:
    virtual_loop().names.addresses["somewhere"] = ["127.0.0.3", SWALLOWS, "127.0.0.1"]
    async with a_listener() as listener, producing(f"somewhere:{listener.port}") as producer:
        began = producer.clock.now()
        await (await listener.peer()).accept()
        assert producer.clock.now() - began == pytest.approx(NEXT_ADDRESS_SECONDS, abs=0.1)


@pytest.mark.parametrize("words", [b"", b"#hello randst", b"SSH-2.0-OpenSSH_9.6\r\n", b"#close reason=busy\n"])
async def test_next_address_is_not_hidden_by_one_that_accepts_and_is_no_worker(words: bytes, log: Log) -> None:
    virtual_loop().names.addresses["somewhere"] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    port = free_port()
    accepted: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        writer.write(words)

    async with contextlib.AsyncExitStack() as stack:
        for address in ("127.0.0.2", "127.0.0.3"):
            stack.callback((await asyncio.start_server(accept, address, port)).close)
        async with a_worker(port=port), producing(f"somewhere:{port}") as producer:
            began = producer.clock.now()
            await until(lambda: only(producer).is_up)
            assert producer.clock.now() - began < 2 * NEXT_ADDRESS_SECONDS + 0.1
            await until(lambda: only(producer).acked_offset)
            assert (only(producer).reconnects, log.of("link.unreachable")) == (0, [])


async def test_next_address_or_the_first_is_used_and_the_other_left_with_a_goodbye() -> None:
    virtual_loop().names.addresses["somewhere"] = ["127.0.0.2", "127.0.0.1"]
    async with a_listener() as listener:
        other = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
        server = await asyncio.start_server(lambda *ends: other.put_nowait(ends), "127.0.0.2", listener.port)
        async with producing(f"somewhere:{listener.port}"):
            await (await listener.peer()).accept()
            reader, writer = await other.get()
            assert await reader.read() == b"#close reason=shutdown\n"
            writer.close()
            listener.cut()
        server.close()


async def test_a_name_that_moves_while_its_old_address_swallows_all_is_dialled_where_it_is_now() -> None:
    addresses = virtual_loop().names.addresses
    addresses["somewhere"] = [SWALLOWS]
    async with a_listener() as listener, producing(f"somewhere:{listener.port}") as producer:
        await asyncio.sleep(2.3)
        began = producer.clock.now()
        addresses["somewhere"] = [SWALLOWS, "127.0.0.1"]
        await (await listener.peer()).accept()
        assert producer.clock.now() - began <= DELAY_SECONDS + 0.1


async def test_a_name_that_fails_while_its_address_is_dialled_ends_no_attempt() -> None:
    names = virtual_loop().names
    names.addresses["somewhere"] = ["127.0.0.1"]
    async with a_listener() as listener, producing(f"somewhere:{listener.port}"):
        peer = await listener.peer()
        names.trouble = "fails"
        await asyncio.sleep(3.3)
        assert (await peer.greet()).startswith(b"#open ")


async def test_of_several_failures_the_one_that_haste_cannot_mend_is_told(log: Log) -> None:
    virtual_loop().names.addresses["somewhere"] = ["127.0.0.1", SWALLOWS, "127.0.0.3"]
    async with a_listener() as listener, producing(f"somewhere:{listener.port}"):
        (await listener.peer()).say(b"#hello randstream/2 worker=w\n")
        assert (await log.wait("link.unreachable"))["reason"] == "version"


async def test_a_link_that_ends_while_several_addresses_are_tried_leaves_them_all() -> None:
    virtual_loop().names.addresses["somewhere"] = ["127.0.0.1", "127.0.0.1"]
    async with a_listener() as listener:
        async with producing(f"somewhere:{listener.port}", grace_period=60) as producer:
            peers = [await listener.peer(), await listener.peer()]
            stopped_at = producer.clock.now()
        assert producer.clock.now() - stopped_at < 0.1
        for peer in peers:
            assert await peer.rest() == b"#close reason=shutdown\n"


def when_connected(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> asyncio.Event:
    """Call `act` when the next socket connects, a moment before its dial hears of it. The event is set after that."""
    original, has_acted = Connection.connection_made, asyncio.Event()

    def connection_made(connection: Connection, transport: asyncio.BaseTransport) -> None:
        monkeypatch.setattr(Connection, "connection_made", original)
        original(connection, transport)
        act()
        has_acted.set()

    monkeypatch.setattr(Connection, "connection_made", connection_made)
    return has_acted


@pytest.mark.kernel
@pytest.mark.parametrize("scheme", ["stream", "raw"])
async def test_a_dial_that_is_cancelled_just_as_it_connects_harms_nothing(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_listener() as listener:
        producer = a_producer(f"{scheme}://{listener.target}")
        has_ended = when_connected(monkeypatch, lambda: only(producer).abort(producer.clock.now()))
        async with running(producer):
            await has_ended.wait()
            assert not producer.links
            await (await listener.peer()).rest()


class LateLimit:
    """asyncio, for a module whose time limits pass only when told to: the newest by `expire`."""

    def __init__(self) -> None:
        self.newest = asyncio.timeout(None)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def timeout(self, delay: float) -> asyncio.Timeout:
        self.newest = asyncio.timeout(None)
        return self.newest

    def expire(self) -> None:
        self.newest.reschedule(0)


@pytest.mark.kernel
@pytest.mark.parametrize("scheme", ["stream", "raw"])
async def test_a_limit_that_passes_just_as_a_dial_connects_leaves_a_link_that_dials_again(
    scheme: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = LateLimit()
    monkeypatch.setattr("randstream.producer.dialling.asyncio", late)
    has_expired = when_connected(monkeypatch, late.expire)
    async with a_listener() as listener, producing(f"{scheme}://{listener.target}") as producer:
        await has_expired.wait()
        await (await listener.peer()).rest()
        await listener.peer()
        assert len(log.of("link.lost")) + len(log.of("link.unreachable")) == 1
        assert producer.tally.ends.total() == len(log.of("link.lost"))


class SelfDialling:
    """asyncio, for a module whose first dial comes from the very port that it dials; the next are refused."""

    def __init__(self) -> None:
        self.dials = 0
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))
        self.port: int = self.sock.getsockname()[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> Any:
        return Mock(wraps=asyncio.get_running_loop(), create_connection=self._dial)

    async def _dial(self, factory: Any, host: str, port: int) -> Any:
        self.dials += 1
        if self.dials > 1:
            raise ConnectionRefusedError
        self.sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(self.sock, (host, port))
        return await asyncio.get_running_loop().create_connection(factory, sock=self.sock)


@pytest.mark.kernel
@pytest.mark.parametrize("scheme", ["stream", "raw"])
async def test_self_dial_is_refused_and_leaves_the_port_free(
    scheme: str, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialling = SelfDialling()
    monkeypatch.setattr("randstream.producer.dialling.asyncio", dialling)
    async with producing(f"{scheme}://127.0.0.1:{dialling.port}") as producer:
        unreachable = await log.wait("link.unreachable")
        assert "the dial connected to itself" in unreachable["error"]
        assert (only(producer).acked_offset, only(producer).offset) == (0, 0)
        assert only(producer).state is not LinkState.STREAMING
    dialling.sock.detach()  # uvloop closes what it took over, and leaves the object open
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", dialling.port))
        listener.listen()
