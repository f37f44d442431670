"""The faults of the proxy are what their names say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from tests.chaos.ledger import Ledger
from tests.chaos.plan import CORRUPTIONS, Fault, Kind
from tests.chaos.proxy import LOOPBACK, FaultProxy

pytestmark = [pytest.mark.chaos, pytest.mark.asyncio(loop_factories=["asyncio"])]

HEARTBEAT = 0.05
LINES = b"".join(b"%d\n" % n for n in range(1000))


class Ends:
    """A producer's and a worker's socket, with the proxy between them."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.arrived: asyncio.Queue[asyncio.StreamReader] = asyncio.Queue()
        self.writers: list[asyncio.StreamWriter] = []

    async def dial(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        """A new connection: the producer's writer and the worker's reader."""
        _, writer = await asyncio.open_connection(LOOPBACK, self.proxy.port)
        self.writers.append(writer)
        return writer, await self.arrived.get()


@pytest.fixture
async def ends(ledger: Ledger) -> AsyncIterator[Ends]:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.writers.append(writer)
        made.arrived.put_nowait(reader)

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    proxy = FaultProxy("worker-0", server.sockets[0].getsockname()[1], ledger, heartbeat=HEARTBEAT)
    made = Ends(proxy)
    async with proxy.running():
        yield made
        for writer in made.writers:
            writer.transport.abort()
    server.close()


def a_fault(kind: Kind, seed: int = 0, *, hits_worker: bool = True) -> Fault:
    return Fault(kind, 0.0, 0.0, False, hits_worker, False, False, seed)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the proxy is not to carry an event for its tests
        await asyncio.sleep(0)


async def read_all(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Everything up to the end, and whether that was a reset."""
    data = b""
    try:
        while piece := await reader.read(2**16):
            data += piece
    except ConnectionResetError:
        return data, True
    return data, False


async def test_without_a_fault_every_byte_passes(ends: Ends) -> None:
    writer, reader = await ends.dial()
    writer.write(LINES)
    assert await reader.readexactly(len(LINES)) == LINES


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [Kind.CUT_RST, Kind.CUT_FIN])
async def test_a_cut_ends_the_connection_within_a_line(ends: Ends, kind: Kind, seed: int) -> None:
    writer, reader = await ends.dial()
    ends.proxy.arm(a_fault(kind, seed))
    writer.write(LINES)
    data, was_reset = await read_all(reader)
    assert LINES.startswith(data)
    assert not data.endswith(b"\n")
    assert was_reset is (kind is Kind.CUT_RST)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", sorted(CORRUPTIONS))
async def test_corruption_changes_one_byte(ends: Ends, kind: Kind, seed: int) -> None:
    writer, reader = await ends.dial()
    harm = ends.proxy.arm(a_fault(kind, seed))
    writer.write(LINES)
    size = len(LINES) + {Kind.FLIP: 0, Kind.INSERT: 1, Kind.DELETE: -1}[kind]
    data = await reader.readexactly(size)
    at = next(index for index, (left, right) in enumerate(zip(data, LINES, strict=False)) if left != right)
    assert data != LINES
    assert data[at + (kind is not Kind.DELETE) :] == LINES[at + (kind is not Kind.INSERT) :]
    assert harm.struck.is_set()


async def test_a_duplicate_repeats_part_of_a_chunk(ends: Ends) -> None:
    writer, reader = await ends.dial()
    ends.proxy.arm(a_fault(Kind.DUPLICATE, 3))
    writer.write(LINES)
    data = await reader.readexactly(len(LINES) + 1)
    assert data[: len(LINES)] != LINES


async def test_reset_ends_every_connection_at_once(ends: Ends) -> None:
    _, reader = await ends.dial()
    _, other = await ends.dial()
    await until(lambda: len(ends.proxy.connections) == 2)
    assert ends.proxy.reset() == 2
    assert await read_all(reader) == (b"", True)
    assert await read_all(other) == (b"", True)


async def test_a_blackhole_passes_nothing_tells_nobody_and_delivers_late(ends: Ends) -> None:
    writer, reader = await ends.dial()
    writer.write(b"1\n")
    assert await reader.readline() == b"1\n"
    assert ends.proxy.shut() == 1
    writer.write(b"2\n")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            pytest.fail(f"{await reader.read(1)!r} came through")
    other_writer, other = await ends.dial()
    other_writer.write(b"3\n")
    assert await other.readline() == b"3\n"
    ends.proxy.unshut(reset=False)
    assert await reader.readline() == b"2\n"


@pytest.mark.parametrize("mood", ["is_sliced", "is_throttled"])
async def test_slow_ways_pass_every_byte(ends: Ends, mood: str) -> None:
    writer, reader = await ends.dial()
    setattr(ends.proxy.mood, mood, True)
    ends.proxy.tighten()
    writer.write(LINES)
    assert await reader.readexactly(len(LINES)) == LINES


async def test_promises_are_read_from_what_the_worker_wrote_before_a_fault_changes_it(
    ends: Ends, ledger: Ledger
) -> None:
    await ends.dial()
    worker = ends.writers[-1]
    worker.write(b"#hello randstream/1 worker=worker-0\n#resume offset=10\n#ack offset=10 t=1\n#ack off")
    worker.write(b"set=20\n")
    await until(lambda: ledger.acked["worker-0"] == 20)
    worker.write(b"#resume offset=19\n")
    await until(lambda: bool(ledger.findings))
    assert ledger.findings == ["lost: worker-0 acknowledged 20 and then resumed at 19"]


async def test_a_forged_ack_is_not_taken_for_one_that_the_worker_wrote(ends: Ends, ledger: Ledger) -> None:
    await ends.dial()
    ends.proxy.arm(a_fault(Kind.DELETE, 6, hits_worker=False))
    ends.writers[-1].write(b"#ack offset=111111111111111111 t=1\n#close reason=takeover\n")
    await until(lambda: ledger.counts["worker said #close takeover"] == 1 and bool(ledger.forged))
    assert ledger.acked["worker-0"] == 111111111111111111
    ledger.claim("worker-0", {"event": "link.lost", "acked": 11111111111111111}, "a producer")
    assert ledger.promised("worker-0") == (111111111111111111, "an ack on the wire")
