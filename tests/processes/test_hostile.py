"""Hundreds of strangers at a worker's port while a stream flows: it stays exact, and memory stays bounded."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from tests.protocol.network import beat_line, checked, open_line
from tests.support.log import Log
from tests.support.peers import Peer, dialled, key
from tests.support.ports import free_port
from tests.support.processes import processes
from tests.support.roles import a_worker, producing
from tests.support.sinks import Memory
from tests.support.stream import WORKER, stream
from tests.support.waiting import until

from randstream.net.connection import Connection
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.store import DurableSink, verify
from randstream.worker.admission import PARTINGS_LIMIT, UNOPENED_LIMIT
from randstream.worker.session import Session
from randstream.worker.worker import Worker

STRANGERS = 2000
AT_ONCE = 250
MOST_GROWTH_MIB = 48
"""How much the worker may grow: the window of one peer that poses as a producer is 32 MiB."""
MOST_DESCRIPTORS = 200
"""Above those of a quiet worker."""


# ---- what strangers do -----------------------------------------------------------------------------------------------


async def until_sent_away(peer: Peer) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await peer.rest()


async def random_bytes(peer: Peer, chance: random.Random) -> None:
    """Sends garbage, and reads until it is sent away."""
    peer.say(chance.randbytes(chance.randrange(1, 4096)))
    await until_sent_away(peer)


async def slow_loris(peer: Peer, chance: random.Random) -> None:
    """Sends a valid line that never ends, a byte at a time."""
    for byte in b"#open worker=worker-0 stream=0123456789abcdef":
        if peer.reader.at_eof():
            return
        peer.say(bytes([byte]))
        await asyncio.sleep(0.01)


async def half_open(peer: Peer, chance: random.Random) -> None:
    """Says nothing until it is sent away."""
    await until_sent_away(peer)


OTHER_OPEN = checked("#open worker=worker-0 stream=0123456789abcdef numbers=bits64 producer=x heartbeat=1.0")


async def never_reading(peer: Peer, chance: random.Random) -> None:
    """Poses as a producer of another stream, sends a flood and reads nothing."""
    peer.transport.pause_reading()
    peer.say(OTHER_OPEN)
    peer.say(b"1234567890123456789\n" * 5000)
    await asyncio.sleep(0.3)


async def half_a_handshake(peer: Peer, chance: random.Random) -> None:
    """Begins a TLS handshake, and never shows a certificate of its own."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
    peer.say(outgoing.read())
    await until_sent_away(peer)


KINDS: list[Callable[[Peer, random.Random], Awaitable[None]]] = [
    random_bytes, slow_loris, half_open, never_reading, half_a_handshake,
]  # fmt: skip


async def visit(port: int, number: int, turn: asyncio.Semaphore, met: Counter[str]) -> None:
    """One connection of a stranger, which may end in any way but must end."""
    chance = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    async with turn:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            return
        peer = Peer(*await asyncio.open_connection(sock=sock))
        with suppress(ConnectionError):
            await kind(peer, chance)
        met[kind.__name__] += 1
        peer.cut()


# ---- a real worker among them ----------------------------------------------------------------------------------------


def memory_mib(pid: int, row: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split(f"{row}:")[1].split()[0]) / 1024


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@pytest.fixture
def tls_flags(tmp_path: Path) -> list[str]:
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "worker-0")
    for name, blob in (
        ("cert", certificate.cert_chain_pems[0]),
        ("key", certificate.private_key_pem),
        ("ca", ca.cert_pem),
    ):
        blob.write_to_path(tmp_path / name)
    return [f"--tls-{name}={tmp_path / name}" for name in ("cert", "key", "ca")]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
async def test_two_thousand_strangers_harm_neither_the_stream_nor_the_memory(
    with_tls: bool, tls_flags: list[str], tmp_path: Path
) -> None:
    flags = tls_flags if with_tls else []
    port = free_port()
    store = tmp_path / "store"
    with processes() as start:
        worker = start("worker", "--name", "worker-0", "--listen", f"127.0.0.1:{port}", "--store", str(store), *flags)
        await asyncio.to_thread(worker.wait_event, "worker.listening")
        producer = start(
            "producer", "--workers", f"127.0.0.1:{port}", "--seed", "42", "--rate", "5000", "--heartbeat", "1", *flags
        )
        await asyncio.to_thread(worker.wait_event, "link.resumed")
        pid = worker.popen.pid
        memory_before, descriptors_before, most = memory_mib(pid, "VmRSS"), descriptors(pid), 0
        met: Counter[str] = Counter()
        turn = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            visits = {group.create_task(visit(port, number, turn, met)) for number in range(STRANGERS)}
            while not all(each.done() for each in visits):
                most = max(most, descriptors(pid))
                await asyncio.sleep(0.02)
        growth = memory_mib(pid, "VmHWM") - memory_before
        assert producer.end() == 0
        assert worker.end() == 0
    (report,) = verify([store], "42").streams
    connections = len([event for event in worker.log if event["event"] == "link.resumed"])
    lines = len([event for event in worker.log if event["event"] == "peer.left"])
    print(
        f"\n{sum(met.values())} strangers {dict(met)}: {report.count} numbers exact over {connections} connection(s);"
        f" memory {memory_before:.0f} + {growth:.1f} MiB at most, {most - descriptors_before} files, {lines} lines"
    )
    assert report.damage is None
    assert report.count > 0
    assert connections == 1
    assert met.total() > STRANGERS * 0.9
    assert growth < MOST_GROWTH_MIB
    assert most - descriptors_before < MOST_DESCRIPTORS
    assert lines <= 2 * LINES_A_MINUTE


# ---- what an attacker cannot do --------------------------------------------------------------------------------------


@asynccontextmanager
async def strangers(worker: Worker, count: int, start: bytes = b"") -> AsyncIterator[list[Peer]]:
    """`count` connections that say `start` and then nothing."""
    async with AsyncExitStack() as stack:
        peers = []
        for _ in range(count):
            peers.append(await stack.enter_async_context(dialled(worker)))
            peers[-1].say(start)
        yield peers


@pytest.mark.parametrize("start", [b"", b"#open worker=", b"\x16\x03\x01"])
async def test_idle_and_slow_strangers_in_every_slot_do_not_keep_a_new_producer_out(start: bytes, log: Log) -> None:
    sink = Memory()
    async with a_worker(sink) as worker, AsyncExitStack() as stack:
        async with producing(worker, name="old"):
            await sink.wait_count(5)
            await stack.enter_async_context(strangers(worker, 4 * UNOPENED_LIMIT, start))
            await stack.enter_async_context(producing(worker, name="new"))
            await until(lambda: worker.line.waiting)
        await until(lambda: worker.intake.offered is not None and worker.intake.offered.producer == "new")
        await sink.wait_count(sink.count + 10)
    assert sink.taken == stream().lines(0, sink.count)


async def test_unopened_connections_never_outnumber_their_slots(log: Log) -> None:
    async with a_worker(Memory()) as worker, strangers(worker, 100):
        await until(lambda: 0 < len(worker.admission.present) <= UNOPENED_LIMIT)
        assert len(worker.admission.unopened) <= UNOPENED_LIMIT


async def test_peers_that_are_refused_do_not_pile_up_while_they_part(log: Log) -> None:
    """A refused peer gets a second to read why, but a thousand of them must not hold a thousand sockets."""
    async with a_worker(Memory()) as worker, dialled(worker) as live, AsyncExitStack() as stack:
        await live.start()
        tasks_before = len(asyncio.all_tasks())
        for _ in range(3 * PARTINGS_LIMIT):
            refused = await stack.enter_async_context(dialled(worker))
            await refused.line()
            refused.say(open_line(stream=stream().id, numbers="bits64"))
            await until(lambda: list(worker.admission.present) == [worker.line.holder])
        assert len(asyncio.all_tasks()) <= tasks_before + PARTINGS_LIMIT + 1  # one that is about to end


async def raw_visit(peer: Peer, number: int) -> None:
    peer.say(b"52\n")
    peer.writer.write_eof()


async def unproven_visit(peer: Peer, number: int) -> None:
    answer = await peer.open()
    offset = int(key(answer, "offset")) if b"offset=" in answer else 0
    peer.say(beat_line(offset))
    await peer.line_starting(b"#ack")
    peer.say(b"52\n", beat_line(offset))


async def visit_of_streams_in_turn(peer: Peer, number: int) -> None:
    answer = await peer.open(stream=f"{number % 2:016x}")
    assert answer.startswith(b"#resume ")


async def visit_of_distributions_in_turn(peer: Peer, number: int) -> None:
    """Offers the stored stream and, every other time, one of the same name that contradicts it."""
    answer = await peer.open(numbers=("bits64", "integers:1:2")[number % 2])
    assert answer.startswith((b"#resume ", b"#close reason=malformed")[number % 2])


async def visit_of_a_damaged_stream_in_turn(peer: Peer, number: int) -> None:
    """Offers one whose folder a person has to mend, and every other time another."""
    if number % 2:
        assert (await peer.open(stream="0123456789abcdef")).startswith(b"#resume ")
    else:
        await peer.join(stream=DAMAGED, heartbeat="0.05")
        assert (await peer.line()).startswith((b"#wait", b"#close reason=timeout"))  # the latter on a busy machine


DAMAGED = "d" * 16


@pytest.mark.parametrize(
    ("visit", "event", "is_stored"),
    [
        (raw_visit, "raw.accepted", False),
        (unproven_visit, "worker.unproven", False),
        (visit_of_streams_in_turn, "store.recovered", True),
        (visit_of_distributions_in_turn, "link.refused", True),
        (visit_of_a_damaged_stream_in_turn, "sink.failing", True),
        (visit_of_a_damaged_stream_in_turn, "sink.recovered", True),
    ],
)
async def test_however_many_visit_a_worker_logs_only_so_many_lines_a_minute(
    visit: Callable[[Peer, int], Awaitable[None]],
    event: str,
    is_stored: bool,
    log: Log,
    tmp_path: Path,
    quick: Callable[..., None],
) -> None:
    quick("randstream.worker.worker.SINK_RETRY_SECONDS")
    damaged = tmp_path / f"{WORKER}-{DAMAGED}"
    damaged.mkdir()
    (damaged / f"{0:020d}.numbers").write_bytes(b"no header\n")
    sink = DurableSink(tmp_path, WORKER) if is_stored else None
    async with a_worker(sink, accept_raw=visit is raw_visit) as worker:
        for number in range(3 * LINES_A_MINUTE):
            async with dialled(worker) as peer:
                await visit(peer, number)
                if not is_stored:
                    await peer.rest()
            await until(lambda: worker.line.holder is None and not worker.line.waiting)
    assert 1 <= len(log.of(event)) <= LINES_A_MINUTE


CONTRADICTING = open_line(stream="6ae2a63a0ac05109", numbers="bits64")


@pytest.mark.parametrize("words", [b"", b"hello\n", CONTRADICTING], ids=["silent", "malformed", "other numbers"])
async def test_a_connection_is_freed_as_soon_as_it_is_over(words: bytes, log: Log) -> None:
    """Neither its timer nor a reference cycle keeps it alive: OpenSSL alone holds tens of KiB for each."""
    ends: list[weakref.ref[Connection]] = []
    async with a_worker(Memory()) as worker, dialled(worker) as live:
        await live.start()
        gc.disable()
        try:
            for _ in range(5):
                async with dialled(worker) as peer:
                    await peer.line()
                    (session,) = worker.admission.present.keys() - {worker.line.holder}
                    assert isinstance(session, Session)
                    ends.append(weakref.ref(session.connection))
                    del session
                    peer.say(words)
                    if words:
                        await peer.rest()
                await until(lambda: list(worker.admission.present) == [worker.line.holder])
            await until(lambda: not any(end() for end in ends))
        finally:
            gc.enable()
