"""The network: what asyncio programs can see of it, and its faults."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.simulation.network import Connection, Host, Network
from tests.simulation.world import START, Process, World

PORT = 7
SERVER, CLIENT = "10.0.0.1", "10.0.0.2"


class Recorder(asyncio.Protocol):
    """Notes its callbacks; data that comes in pieces is one entry."""

    def __init__(self, keeps_open: bool = False) -> None:
        self.calls: list[Any] = []
        self.times: list[float] = []
        self.keeps_open = keeps_open
        self.received = bytearray()
        self.sizes: list[int] = []

    def note(self, call: Any) -> None:
        self.calls.append(call)
        self.times.append(round(asyncio.get_running_loop().time() - START, 3))

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.sizes.append(len(data))
        if self.calls[-1] != "data":
            self.note("data")

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.note(("lost", type(error).__name__, getattr(error, "errno", None)))


LOST = ("lost", "NoneType", None)
RESET = ("lost", "ConnectionResetError", errno.ECONNRESET)
TIMED_OUT = ("lost", "TimeoutError", errno.ETIMEDOUT)


class Pair:
    """A server and a client on two hosts, with one connection between them that the test controls."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed, tracing=True)
        self.network = Network(self.world)
        self.server_host, self.client_host = self.network.host(SERVER), self.network.host(CLIENT)
        self.served: list[Recorder] = []
        self.client = Recorder()
        self.error: OSError | None = None
        self.server_process = self.server_host.start("server", self.serve)
        self.client_process: Process

    async def serve(self) -> None:
        def make() -> Recorder:
            self.served.append(Recorder())
            return self.served[-1]

        async with await asyncio.get_running_loop().create_server(make, port=PORT) as server:
            await server.serve_forever()

    async def dial(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self.client, SERVER, PORT)
        except OSError as error:
            self.error = error
            return
        await asyncio.Event().wait()

    def connect(self) -> None:
        self.client_process = self.client_host.start("client", self.dial)
        self.run(1)

    def run(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def does(self, process: Process, function: Callable[..., object], *args: Any) -> None:
        """Have the process call this, and let a second pass."""
        process.loop.call_soon(function, *args)
        self.run(1)

    @property
    def server(self) -> Recorder:
        return self.served[-1]

    @property
    def connection(self) -> Connection:
        (connection,) = self.network.connections(self.server_host, self.client_host)
        return connection


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    with pair.world:
        yield pair
        assert pair.world.bugs == []


@pytest.fixture
def connected(pair: Pair) -> Pair:
    pair.run(1)
    pair.connect()
    assert pair.client.calls == pair.server.calls == ["made"]
    return pair


# ---- as asyncio over a real kernel -----------------------------------------------------------------------------------


async def duet(act: Callable[[Recorder, Recorder], Awaitable[None]], **options: Any) -> tuple[list[Any], list[Any]]:
    """The callbacks that client and server have seen at the end of an act. For any loop."""
    loop = asyncio.get_running_loop()
    served: list[Recorder] = []

    def make() -> Recorder:
        served.append(Recorder(**options))
        return served[-1]

    listening = await loop.create_server(make, "127.0.0.1", 0)
    client = Recorder(**options)
    await loop.create_connection(lambda: client, *listening.sockets[0].getsockname()[:2])
    await until(lambda: bool(served and served[0].calls))
    async with asyncio.timeout(10):
        await act(client, served[0])
    for each in client, served[0]:
        each.transport.close()
    await until(lambda: client.calls[-1][0] == served[0].calls[-1][0] == "lost")
    listening.close()
    await listening.wait_closed()
    return client.calls, served[0].calls


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 -- the same on both loops
        await asyncio.sleep(0.001)


async def wait_for(recorder: Recorder, call: Any) -> None:
    await until(lambda: call in recorder.calls)


async def echo_with_half_close(client: Recorder, server: Recorder) -> None:
    client.transport.write(b"hello")
    client.transport.write_eof()
    with pytest.raises(RuntimeError):
        client.transport.write(b"more")
    await wait_for(server, "eof")
    server.transport.write(bytes(server.received))
    server.transport.close()
    await wait_for(client, "eof")
    assert client.received == b"hello"


async def close_at_end_of_file(client: Recorder, server: Recorder) -> None:
    client.transport.write_eof()
    await wait_for(server, LOST)
    await wait_for(client, LOST)


async def back_pressure(client: Recorder, server: Recorder) -> None:
    server.transport.pause_reading()
    client.transport.set_write_buffer_limits(high=1000, low=100)
    assert client.transport.get_write_buffer_limits() == (100, 1000)
    data = bytes(range(256)) * 2**16  # 16 MiB, more than any kernel's buffers
    client.transport.write(data[:5])  # not writelines, which never pauses in 3.13.0: CVE-2024-12254
    client.transport.write(data[5:])
    await wait_for(client, "pause")
    await asyncio.sleep(0.02)
    assert client.transport.get_write_buffer_size() > 1000
    server.transport.resume_reading()
    await wait_for(client, "resume")
    await until(lambda: len(server.received) == len(data))
    assert server.received == data
    assert client.transport.get_write_buffer_size() == 0


async def close_flushes(client: Recorder, server: Recorder) -> None:
    client.transport.write(bytes(16 * 2**20))
    client.transport.close()
    client.transport.write(b"!")  # goes out, too, as long as the buffer does: asyncio's way
    client.transport.close()
    assert client.transport.is_closing()
    await wait_for(server, LOST)
    await wait_for(client, LOST)
    assert len(server.received) == 16 * 2**20 + 1


async def abort_without_unread_bytes(client: Recorder, server: Recorder) -> None:
    client.transport.write(b"some")
    client.transport.abort()
    client.transport.abort()
    await wait_for(server, LOST)
    assert server.received == b"some"


async def abort_with_unread_bytes(client: Recorder, server: Recorder) -> None:
    server.transport.pause_reading()
    client.transport.write(b"unread")
    await asyncio.sleep(0.01)
    server.transport.abort()
    await wait_for(client, RESET)


async def linger_of_no_time(client: Recorder, server: Recorder) -> None:
    sock = client.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.transport.abort()
    await wait_for(server, RESET)


async def write_to_closed(client: Recorder, server: Recorder) -> None:
    server.transport.close()
    await wait_for(client, "eof")
    await asyncio.sleep(0.01)
    client.transport.write(b"too late")
    await asyncio.sleep(0.01)
    client.transport.write(b"too late")


async def reset_while_paused(client: Recorder, server: Recorder) -> None:
    server.transport.pause_reading()
    client.transport.pause_reading()
    client.transport.write(b"unread")
    server.transport.write(b"read later")
    await asyncio.sleep(0.01)
    server.transport.abort()
    await asyncio.sleep(0.01)
    assert client.calls == ["made"]
    client.transport.resume_reading()
    await wait_for(client, RESET)
    assert client.received == b"read later"


@pytest.mark.parametrize(
    ("act", "keeps_open"),
    [
        (echo_with_half_close, True),
        (close_at_end_of_file, False),
        (back_pressure, False),
        (close_flushes, False),
        (abort_without_unread_bytes, False),
        (abort_with_unread_bytes, False),
        (linger_of_no_time, False),
        (write_to_closed, True),
        (reset_while_paused, False),
    ],
)
def test_callbacks_are_those_of_asyncio_over_a_real_kernel(act: Any, keeps_open: bool) -> None:
    with World(1) as world:
        process = Network(world).host(SERVER).start("both", lambda: duet(act, keeps_open=keeps_open))
        world.run(START + 60)
        assert world.bugs == []
    assert process.result == asyncio.run(duet(act, keeps_open=keeps_open))


def test_stream_readers_and_writers_work(pair: Pair) -> None:
    received = []

    async def serve() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                writer.write(data)
                await writer.drain()
            writer.write(b"end")
            writer.write_eof()
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(echo, "0.0.0.0", 8) as server:
            await server.serve_forever()

    async def call() -> None:
        reader, writer = await asyncio.open_connection(SERVER, 8)
        assert writer.get_extra_info("peername") == (SERVER, 8)
        assert writer.get_extra_info("sockname")[0] == CLIENT
        writer.writelines([b"x" * 100_000, b"y" * 100_000])
        writer.write_eof()
        received.append(await reader.read())
        writer.close()
        await writer.wait_closed()

    pair.server_host.start("echo", serve)
    pair.client_host.start("caller", call)
    pair.run(5)
    assert received == [b"x" * 100_000 + b"y" * 100_000 + b"end"]
    assert pair.network.connections() == []


# ---- buffers, latency, bandwidth -------------------------------------------------------------------------------------


def test_a_reader_that_stops_fills_all_buffers_and_no_more(connected: Pair) -> None:
    connected.does(connected.client_process, connected.client.transport.pause_reading)
    total = 10**7
    connected.does(connected.server_process, connected.server.transport.write, bytes(total))
    server, client = connected.connection.server, connected.connection.client
    assert len(client.inbox) == connected.client_host.receive_buffer
    assert len(server.out.buffer) == connected.server_host.send_buffer
    assert connected.connection.buffered() == connected.network.buffered() == total
    assert connected.server.calls == ["made", "pause"]
    connected.run(3600)
    connected.does(connected.client_process, connected.client.transport.resume_reading)
    assert len(connected.client.received) == total
    assert connected.server.calls == ["made", "pause", "resume"]
    assert connected.network.buffered() == 0


def test_bytes_come_in_other_pieces_than_they_were_written(pair: Pair) -> None:
    async def call() -> None:
        _, writer = await asyncio.open_connection(SERVER, PORT)
        for _ in range(300):
            writer.write(b"0123456789")
            await asyncio.sleep(0.0001)
        await asyncio.Event().wait()

    pair.client_host.start("client", call)
    pair.run(1)
    assert pair.server.received == b"0123456789" * 300
    assert min(pair.server.sizes) < 10 < max(pair.server.sizes)


def test_latency_and_bandwidth_are_those_of_the_link(connected: Pair) -> None:
    link = connected.network.link(connected.client_host, connected.server_host)
    link.latency, link.jitter, link.bandwidth, link.split = 2.0, 0.0, 1000.0, 0.0
    connected.does(connected.client_process, connected.client.transport.write, bytes(3000))
    connected.run(3.9)
    assert connected.server.calls == ["made"]
    connected.run(0.2)
    assert connected.server.calls == ["made", "data"]


def test_bandwidth_is_shared(pair: Pair) -> None:
    pair.network.link(pair.client_host, pair.server_host).bandwidth = 100_000

    async def call() -> None:
        _, writer = await asyncio.open_connection(SERVER, PORT)
        writer.write(bytes(100_000))
        writer.close()
        await writer.wait_closed()

    for name in "ab":
        pair.client_host.start(name, call)
    pair.world.run(lambda: len(pair.served) == 2 and all(LOST in each.calls for each in pair.served))
    assert 2.0 < pair.world.now - START < 2.3


# ---- dialing ---------------------------------------------------------------------------------------------------------


def test_a_dial_where_nobody_listens_is_refused(pair: Pair) -> None:
    pair.server_process.kill()
    pair.connect()
    assert isinstance(pair.error, ConnectionRefusedError)
    assert pair.error.errno == errno.ECONNREFUSED
    assert pair.world.now - START < 2


@pytest.mark.parametrize("why", ["off", "no host", "partition", "no way back"])
def test_a_dial_that_nobody_answers_times_out_after_127_seconds(pair: Pair, why: str) -> None:
    match why:
        case "off":
            pair.server_host.power_off()
        case "no host":
            del pair.network.hosts[SERVER]
        case "partition":
            pair.network.partition(pair.client_host, pair.server_host)
        case "no way back":
            pair.network.block(pair.server_host, pair.client_host)
    pair.connect()
    pair.run(125.9)
    assert pair.error is None
    pair.run(0.2)
    assert isinstance(pair.error, TimeoutError)
    assert pair.error.errno == errno.ETIMEDOUT
    assert pair.served == []


def test_a_dial_succeeds_at_the_first_syn_after_the_heal(pair: Pair) -> None:
    pair.network.partition(pair.client_host, pair.server_host)
    pair.world.at(START + 4, pair.network.heal)
    pair.connect()
    pair.run(10)
    assert pair.client.times == [7.001]


def test_a_cancelled_dial_leaves_nothing_behind(pair: Pair) -> None:
    pair.network.link(pair.client_host, pair.server_host).latency = 1

    async def give_up() -> None:
        for seconds in (0.5, 1.0, 1.0005, 1.001, 1.002):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    transport, _ = await asyncio.get_running_loop().create_connection(Recorder, SERVER, PORT)
                    transport.abort()
        await asyncio.sleep(10)
        assert asyncio.get_running_loop().transports == {}  # type: ignore[attr-defined] # the loop is the simulation's

    process = pair.client_host.start("client", give_up)
    pair.run(60)
    assert not process.alive
    assert process.left is not None
    assert not process.left
    assert pair.network.connections() == []
    (listener,) = pair.server_host.listeners.values()
    assert listener.handshakes == 0
    assert all(each.calls[-1][0] == "lost" for each in pair.served)


def test_a_full_backlog_drops_the_syn(pair: Pair) -> None:
    made: list[float] = []

    async def serve() -> None:
        async with await asyncio.get_running_loop().create_server(Recorder, port=8, backlog=2) as server:
            await server.serve_forever()

    async def call() -> None:
        _, writer = await asyncio.open_connection(SERVER, 8)
        made.append(round(pair.world.now - START))
        await asyncio.Event().wait()
        writer.close()

    process = pair.server_host.start("server", serve)
    pair.run(0)
    process.freeze()
    pair.run(0.1)
    for number in range(5):
        pair.client_host.start(f"client {number}", call)
    pair.world.at(START + 20, process.thaw)
    pair.run(60)
    assert made == [0, 0, 0, 31, 31]


def test_ports_are_taken_and_given(pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        first = await loop.create_server(Recorder, None, 0)
        second = await loop.create_server(Recorder, "127.0.0.1", 0)
        assert first.sockets[0].getsockname()[1] != second.sockets[0].getsockname()[1]
        with pytest.raises(OSError, match="bind") as raised:
            await loop.create_server(Recorder, SERVER, PORT)
        assert raised.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="bind") as raised:  # although it is the port that was given last
            await loop.create_server(Recorder, *second.sockets[0].getsockname())
        assert raised.value.errno == errno.EADDRINUSE
        with pytest.raises(OSError, match="bind") as raised:
            await loop.create_server(Recorder, "10.9.9.9", 1)
        assert raised.value.errno == errno.EADDRNOTAVAIL
        for each in first, second:
            each.close()
            await each.wait_closed()
        with pytest.raises(socket.gaierror):
            await loop.create_connection(Recorder, "nobody.example", 1)

    process = pair.server_host.start("other", main)
    pair.run(1)
    assert process.left is not None
    assert not process.left


def test_a_server_serves_from_start_serving_to_close(pair: Pair) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Recorder, "127.0.0.1", 9, start_serving=False)
        assert not server.is_serving()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, "127.0.0.1", 9)
        await server.start_serving()
        assert server.is_serving()
        transport, _ = await loop.create_connection(Recorder, "localhost", 9)
        await asyncio.sleep(0.1)
        server.close()
        assert server.sockets == ()
        with pytest.raises(ConnectionRefusedError):
            await loop.create_connection(Recorder, "127.0.0.1", 9)
        assert transport.is_reading(), "what was accepted stays"
        transport.close()
        await server.wait_closed()

    pair.server_host.start("other", main)
    pair.run(1)


def test_a_loopback_server_is_not_seen_from_outside(pair: Pair) -> None:
    async def serve() -> None:
        async with await asyncio.get_running_loop().create_server(Recorder, "127.0.0.1", 9) as server:
            await server.serve_forever()

    async def call() -> str:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(SERVER, 9)
        return "refused"

    pair.server_host.start("other", serve)
    caller = pair.client_host.start("caller", call)
    pair.run(1)
    assert caller.result == "refused"


def test_a_name_may_have_several_addresses_that_are_tried_in_order(pair: Pair) -> None:
    pair.network.names["farm"] = ["10.0.0.3", SERVER]
    pair.network.host("10.0.0.3")

    async def call() -> str:
        found = await asyncio.get_running_loop().getaddrinfo("farm", PORT)
        assert [each[4] for each in found] == [("10.0.0.3", PORT), (SERVER, PORT)]
        _, writer = await asyncio.open_connection("farm", PORT)
        writer.close()
        return writer.get_extra_info("peername")[0]

    caller = pair.client_host.start("caller", call)
    pair.run(1)
    assert caller.result == SERVER


# ---- death -----------------------------------------------------------------------------------------------------------


def test_a_dead_process_sends_what_its_kernel_had_and_then_fin(connected: Pair) -> None:
    connected.network.link(connected.server_host, connected.client_host).bandwidth = 10_000
    connected.does(connected.server_process, connected.server.transport.write, bytes(10**6))
    kernel = connected.connection.pipe(connected.server_host).written
    connected.server_process.kill()
    connected.run(120)
    assert connected.client.calls == ["made", "data", "eof", LOST]
    assert len(connected.client.received) == kernel < 10**6
    assert connected.network.connections() == []


def test_a_process_that_dies_with_unread_bytes_resets(connected: Pair) -> None:
    connected.server_process.freeze()
    connected.does(connected.client_process, connected.client.transport.write, b"unread")
    assert connected.client.calls == ["made"]
    connected.server_process.kill()
    connected.run(1)
    assert connected.client.calls == ["made", RESET]


def test_data_for_a_closed_socket_is_answered_by_a_reset(connected: Pair) -> None:
    connected.client.keeps_open = True
    connected.server_process.kill()
    connected.run(1)
    assert connected.client.calls == ["made", "eof"]
    connected.does(connected.client_process, connected.client.transport.write, b"too late")
    assert connected.network.connections() == []
    connected.does(connected.client_process, connected.client.transport.write, b"too late")
    assert connected.client.calls == ["made", "eof", ("lost", "BrokenPipeError", errno.EPIPE)]


def test_a_dead_machine_is_silent_and_its_peer_gives_up_after_a_quarter_of_an_hour(connected: Pair) -> None:
    connected.server_host.power_off()
    connected.does(connected.client_process, connected.client.transport.write, b"hello")
    connected.run(900)
    assert connected.client.calls == ["made"]
    connected.run(120)
    assert connected.client.calls == ["made", TIMED_OUT]
    assert connected.network.connections() == []


def test_a_peer_with_nothing_to_say_never_hears_of_the_dead_machine(connected: Pair) -> None:
    connected.server_host.power_off()
    connected.run(86400)
    assert connected.client.calls == ["made"]


def test_a_closed_window_does_not_hide_that_the_machine_is_dead(connected: Pair) -> None:
    connected.server_process.freeze()
    connected.does(connected.client_process, connected.client.transport.write, bytes(10**6))
    connected.run(3600)
    assert connected.client.calls == ["made", "pause"], "a frozen peer's kernel answers"
    connected.server_host.power_off()
    connected.run(1200)
    assert connected.client.calls == ["made", "pause", TIMED_OUT]


def test_a_machine_that_is_up_again_resets_connections_that_it_does_not_know(connected: Pair) -> None:
    connected.server_host.power_off()
    connected.does(connected.client_process, connected.client.transport.write, b"hello")
    connected.run(10)
    connected.server_host.power_on()
    connected.run(30)
    assert connected.client.calls == ["made", RESET]
    assert 12 < connected.client.times[-1] < 30
    assert not connected.server_process.alive


# ---- partitions ------------------------------------------------------------------------------------------------------


def test_a_partition_delays_and_loses_nothing(connected: Pair) -> None:
    connected.network.partition([connected.client_host], [connected.server_host])
    for process, each in (connected.client_process, connected.client), (connected.server_process, connected.server):
        connected.does(process, each.transport.write, b"one")
        connected.does(process, each.transport.write, b"two")
    connected.run(60)
    assert connected.client.calls == connected.server.calls == ["made"]
    healed = connected.world.now - START
    connected.network.heal()
    connected.run(120)
    assert connected.client.received == connected.server.received == b"onetwo"
    assert connected.client.times[1] > healed + 1, "only when it is sent again"


def test_a_partition_of_one_way_lets_data_through_but_no_acknowledgement(connected: Pair) -> None:
    connected.network.block(connected.server_host, connected.client_host)
    connected.does(connected.client_process, connected.client.transport.write, bytes(10**6))
    got = len(connected.server.received)
    assert 0 < got <= connected.client_host.send_buffer
    connected.run(60)
    assert len(connected.server.received) == got, "the send buffer is full of what was not acknowledged"
    connected.network.heal()
    connected.run(240)
    assert len(connected.server.received) == 10**6


def test_a_partition_that_lasts_ends_the_connection_on_both_sides(connected: Pair) -> None:
    connected.network.partition(connected.client_host, connected.server_host)
    connected.does(connected.client_process, connected.client.transport.write, b"hello")
    connected.does(connected.server_process, connected.server.transport.write, b"hello")
    connected.run(1100)
    assert connected.client.calls == connected.server.calls == ["made", TIMED_OUT]


@pytest.mark.parametrize("seed", range(10))
def test_short_partitions_and_freezes_lose_not_a_byte(seed: int) -> None:
    pair = Pair(seed)
    world, random = pair.world, pair.world.random
    data = {name: random.randbytes(3_000_000) for name in ("client", "server")}
    with world:
        pair.run(1)
        pair.connect()
        hosts = [pair.client_host, pair.server_host]
        for number in range(40):
            when = world.now + number + random.random()
            world.at(when, pair.network.block, *random.sample(hosts, 2))
            world.at(when + random.random(), pair.network.heal)
            frozen = random.choice([pair.client_process, pair.server_process])
            world.at(when + random.random(), frozen.freeze)
            world.at(when + 1 + random.random(), frozen.thaw)
        for name, process, each in (
            ("client", pair.client_process, pair.client),
            ("server", pair.server_process, pair.server),
        ):
            for start in range(0, len(data[name]), 50_000):
                at = world.now + 40 * start / len(data[name])
                world.at(at, process.loop.call_soon, each.transport.write, data[name][start : start + 50_000])
        world.run(world.now + 600)
        assert pair.client.received == data["server"]
        assert pair.server.received == data["client"]
        assert world.bugs == []


# ---- faults on live connections --------------------------------------------------------------------------------------


def test_a_cut_resets_both_sides_or_one(connected: Pair) -> None:
    connected.connection.cut(connected.server_host)
    connected.run(1)
    assert connected.client.calls == ["made"]
    assert connected.server.calls == ["made", RESET]
    connected.does(connected.client_process, connected.client.transport.write, b"anyone there?")
    assert connected.client.calls == ["made", RESET]
    connected.connect()
    connected.client_host.kill_connections()
    connected.run(1)
    assert connected.server.calls == ["made", RESET]
    assert connected.network.connections() == []


@pytest.mark.parametrize("count", [0, 1, 12_345, 200_000])
def test_a_cut_comes_after_exactly_so_many_bytes(connected: Pair, count: int) -> None:
    connected.connection.cut_after(connected.client_host, count)
    connected.does(connected.client_process, connected.client.transport.write, bytes(300_000))
    assert len(connected.server.received) == count
    assert connected.server.calls[-1] == connected.client.calls[-1] == RESET


def test_a_flip_damages_one_bit_of_one_byte(connected: Pair) -> None:
    connected.connection.flip(connected.client_host, after=70_000)
    connected.does(connected.client_process, connected.client.transport.write, bytes(100_000))
    assert [at for at, byte in enumerate(connected.server.received) if byte] == [70_000]
    assert connected.server.received[70_000].bit_count() == 1


def test_connections_are_found_by_their_hosts(connected: Pair) -> None:
    other = connected.network.host("10.0.0.3")
    other.start("other", connected.dial)
    connected.run(1)
    network = connected.network

    def count(*hosts: Host) -> int:
        return len(network.connections(*hosts))

    assert (count(), count(other), count(connected.server_host), count(connected.client_host, other)) == (2, 1, 2, 0)
    assert network.connections(other, connected.server_host)[0].pipe(other).source.host is other


def test_an_exception_in_a_protocol_is_a_bug_and_ends_the_connection(connected: Pair) -> None:
    connected.server.data_received = lambda data: 1 / 0  # type: ignore[assignment] # a fault on purpose
    connected.does(connected.client_process, connected.client.transport.write, b"hello")
    assert connected.server.calls == ["made", ("lost", "ZeroDivisionError", None)]
    assert connected.client.calls == ["made", "eof", LOST]
    (bug,) = connected.world.bugs
    assert "data_received" in bug.text
    connected.world.bugs.clear()
