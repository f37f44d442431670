"""Roles in this process, peers that speak by hand, real processes, and ways to wait for what they do."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, Final, cast

from tests.protocol.network import beat_line, open_line
from tests.simulation.virtual import running_virtual_loop

from randstream.clock import Clock
from randstream.numbers.stream import NumberStream
from randstream.observe.journal import Journal
from randstream.observe.report import SinkReport
from randstream.observe.tally import Tally
from randstream.producer.dns import Dns
from randstream.producer.producer import Producer
from randstream.settings.roles import ProducerSettings, WorkerSettings
from randstream.sinks import Sink
from randstream.sinks.immediate import ImmediateSink
from randstream.worker.worker import Worker

SEED: Final = "42"
WORKER: Final = "worker-0"
NUMBERS: Final = "integers:1:100"
HEARTBEAT: Final = 0.1
"""Seconds. Short, so that beats come soon; long, so that a busy machine is not taken for a dead peer."""
PATIENCE: Final = 10.0
"""Seconds after which what a test waits for counts as never coming."""
VIRTUAL_PATIENCE: Final = 100.0
"""The same on virtual time, which costs nothing: more than any limit of the protocol."""


def stream(worker: str = WORKER) -> NumberStream:
    return NumberStream(SEED, worker, NUMBERS)


async def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until `condition()` holds, and return what it returned."""
    time = asyncio.get_running_loop().time
    deadline = time() + patience()
    while not (held := condition()):
        if time() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0.002)
    return held


def patience() -> float:
    """For how long to wait on the running loop."""
    return PATIENCE if running_virtual_loop() is None else VIRTUAL_PATIENCE


def clock_of_loop() -> Clock:
    """The time that the running loop has."""
    loop = running_virtual_loop()
    return Clock() if loop is None else loop.clock


# ---- what a test sees of the logs and of time ------------------------------------------------------------------------


class Log:
    """Log events, in order."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def of(self, event: str) -> list[Any]:
        return [each for each in self.events if each["event"] == event]

    async def wait(self, event: str, count: int = 1) -> Any:
        """The `count`th event of this name."""
        await until(lambda: len(self.of(event)) >= count, f"{event} in {self.events}")
        return self.of(event)[count - 1]


class JumpingClock(Clock):
    """Ahead of the real monotonic time by as much as was jumped. Hand it to roles and wheels."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._pending: list[tuple[asyncio.TimerHandle, Callable[[], None]]] = []

    def now(self) -> float:
        return monotonic() + self.ahead

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.get_running_loop().call_at(when - self.ahead, callback)
        self._pending = [each for each in self._pending if not each[0].cancelled()][-100:]
        self._pending.append((handle, callback))
        return handle

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass at once; whatever became due rings in the loop's next turn."""
        self.ahead += seconds
        pending, self._pending = self._pending, []
        for handle, callback in pending:
            if not handle.cancelled():
                handle.cancel()
                asyncio.get_running_loop().call_soon(callback)


# ---- sinks -----------------------------------------------------------------------------------------------------------


class Memory(ImmediateSink):
    """An immediate sink that keeps all it took, and where in the stream each run was."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""
        self.runs: list[tuple[int, bytes]] = []

    def remember(self, stream_id: str, offset: int) -> Memory:
        """As after a life in which it took the numbers of `stream_id` up to `offset`."""
        self._stream, self._offset = stream_id, offset
        return self

    @property
    def count(self) -> int:
        return self.taken.count(b"\n")

    def _pass_on(self, run: bytes, counted: int) -> None:
        self.runs.append((self._offset - counted, run))
        self.taken += run

    async def wait_count(self, count: int) -> None:
        await until(lambda: self.count >= count, f"{count} numbers, not {self.count}")


def a_report() -> SinkReport:
    """What a sink is given to report to."""
    return SinkReport(WORKER, Tally(), Journal(Clock()))


# ---- roles in this process -------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(role: Producer | Worker) -> AsyncIterator[asyncio.Task[None]]:
    """Run `role` for the block, then let it end gracefully."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(role.run())
        try:
            yield task
        finally:
            role.stop()


@asynccontextmanager
async def a_worker(
    sink: Sink | None = None,
    *,
    port: int = 0,
    clock: Clock | None = None,
    random: Random | None = None,
    **settings: Any,
) -> AsyncIterator[Worker]:
    """A worker on a free port, with a `Memory` if no sink is given nor set."""
    given: dict[str, Any] = {"name": WORKER, "listen": f"127.0.0.1:{port}", "grace_period": 0.5, **settings}
    if sink is None and "command" not in settings:
        sink = Memory()
    loop = running_virtual_loop()
    if loop is not None:
        clock, random = clock or loop.clock, random or loop.world.random
    worker = Worker(WorkerSettings(**given), sink, clock=clock, random=random)
    async with running(worker):
        await worker.wait_listening()
        yield worker


def address_of(target: str | Worker | Listener) -> str:
    if isinstance(target, Worker):
        assert target.address is not None
        return f"127.0.0.1:{target.address[1]}"
    return target.target if isinstance(target, Listener) else target


def a_producer(
    *targets: str | Worker | Listener, clock: Clock | None = None, dns: Dns | None = None, **settings: Any
) -> Producer:
    """A producer of the test's seed, not running yet."""
    workers = [address_of(target) for target in targets]
    given: dict[str, Any] = {
        "workers": ",".join(workers), "name": "producer-0", "seed": SEED, "numbers": NUMBERS, "rate": 1000,
        "heartbeat_interval": HEARTBEAT, "grace_period": 2.0, **settings,
    }  # fmt: skip
    loop, random = running_virtual_loop(), None
    if loop is not None:
        clock, random, dns = clock or loop.clock, loop.world.random, dns or loop.names
    return Producer(ProducerSettings(**given), clock=clock, random=random, dns=dns)


@asynccontextmanager
async def producing(*targets: str | Worker | Listener, **settings: Any) -> AsyncIterator[Producer]:
    """A running producer. The connections of listeners among its targets are cut before it ends."""
    producer = a_producer(*targets, **settings)
    async with running(producer):
        await until(lambda: producer.links)
        yield producer
        for target in targets:
            if isinstance(target, Listener):
                target.cut()


# ---- peers that speak by hand ----------------------------------------------------------------------------------------


class Peer:
    """One socket's life, by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def transport(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self.writer.transport)

    async def line(self) -> bytes:
        """The next line, or b"" at the end."""
        async with asyncio.timeout(patience()):
            return await self.reader.readline()

    async def line_starting(self, start: bytes) -> bytes:
        """The next line that starts so; others are passed over."""
        while not (line := await self.line()).startswith(start):
            assert line, f"ended without {start!r}"
        return line

    async def rest(self) -> bytes:
        """All until the end, also if the end is a reset."""
        got = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(patience()):
                while data := await self.reader.read(2**16):
                    got += data
        return got

    def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(lines))

    def cut(self) -> None:
        self.writer.transport.abort()

    # -- as a producer

    async def open(self, **offer: str) -> bytes:
        """Take the greeting, offer a stream; the worker's answer, past any `#wait`."""
        assert (await self.line()).startswith(b"#hello randstream/1 worker=")
        self.say(open_line(**{"stream": stream().id, **offer}))
        while (line := await self.line()) == b"#wait\n":
            pass
        return line

    async def start(self, offset: int = 0, **offer: str) -> None:
        """Up to the ack of the opening beat at `offset`, which the worker has named, or let us choose."""
        answer = await self.open(**offer)
        assert answer in (b"#resume\n", b"#resume offset=%d\n" % offset)
        self.say(beat_line(offset))
        assert await self.line_starting(b"#ack ") == b"#ack offset=%d t=1\n" % offset

    # -- as a worker

    async def accept(self, resume: bytes = b"#resume offset=0\n", name: str = WORKER) -> bytes:
        """Greet, take the offer, let it resume; the opening beat."""
        self.say(b"#hello randstream/1 worker=%s\n" % name.encode())
        assert (await self.line()).startswith(b"#open ")
        self.say(resume)
        beat = await self.line()
        assert beat.startswith(b"#beat ")
        return beat


def key(line: bytes, name: str) -> str:
    """The value of `name=` in a control line."""
    return dict(word.split("=") for word in line.decode().split()[1:] if "=" in word)[name]


def ack_of(beat: bytes) -> bytes:
    return f"#ack offset={key(beat, 'offset')} t={key(beat, 't')}\n".encode()


@asynccontextmanager
async def dialled(worker: Worker) -> AsyncIterator[Peer]:
    """A connection to `worker`, by hand."""
    assert worker.address is not None
    peer = Peer(*await asyncio.open_connection(*worker.address))
    try:
        yield peer
    finally:
        peer.cut()


class Listener:
    """Where links dial, and the connections they made, in order."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.accepted: list[Peer] = []

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def peer(self) -> Peer:
        """The next connection that was made."""
        async with asyncio.timeout(patience()):
            return await self.peers.get()

    def cut(self) -> None:
        """Cut every connection."""
        for peer in self.accepted:
            peer.cut()

    def on_connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.accepted.append(peer)
        self.peers.put_nowait(peer)


@asynccontextmanager
async def a_listener(port: int = 0) -> AsyncIterator[Listener]:
    """A listening socket whose other side is spoken by hand."""
    listener = Listener()
    server = await asyncio.start_server(listener.on_connected, "127.0.0.1", port)
    listener.port = server.sockets[0].getsockname()[1]
    try:
        yield listener
    finally:
        server.close()
        for _ in range(5):  # turns of the loop: a connection that was accepted last is still being made
            await asyncio.sleep(0)
        listener.cut()


def free_port() -> int:
    """A port that nobody listens on, and that nobody else is given while this process lives.

    The socket stays bound, which refuses every dial and keeps the kernel from handing the port to another. As it does
    not listen, a server that sets SO_REUSEADDR, as those of asyncio and uvloop do, may still take it.
    """
    loop = running_virtual_loop()
    if loop is not None:
        return loop.host.free_port()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    sock.detach()
    return port


# ---- real processes --------------------------------------------------------------------------------------------------


class Process:
    """`python -m randstream ...`, its log as it comes, and its standard output once it has ended."""

    def __init__(self, *arguments: str, stdout: int | None = subprocess.PIPE) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RANDSTREAM_")}
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "randstream", *arguments], stdout=stdout, stderr=subprocess.PIPE, env=environment
        )
        self.log: list[dict[str, Any]] = []
        self.out = b""
        self._news = threading.Condition()
        self._readers = [threading.Thread(target=self._read_log, daemon=True)]
        if stdout == subprocess.PIPE:
            self._readers.append(threading.Thread(target=self._read_out, daemon=True))
        for reader in self._readers:
            reader.start()

    def wait_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first log event of this name with these fields."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((each for each in self.log if wanted.items() <= each.items()), None)

        with self._news:
            self._news.wait_for(found, PATIENCE)
            event_found = found()
        assert event_found is not None, f"no {event} in {self.log}"
        return event_found

    def wait_out(self, is_enough: Callable[[bytes], Any]) -> bytes:
        """What was written to standard output, once it is enough."""
        with self._news:
            assert self._news.wait_for(lambda: is_enough(self.out), PATIENCE), f"only {self.out[-100:]!r}"
            return self.out

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and wait for the end: the exit status."""
        self.popen.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        status = self.popen.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        return status

    def _read_log(self) -> None:
        assert self.popen.stderr is not None
        with self.popen.stderr as lines:
            for line in lines:
                with self._news:
                    self.log.append(json.loads(line) if line.startswith(b"{") else {"event": line})
                    self._news.notify_all()

    def _read_out(self) -> None:
        assert self.popen.stdout is not None
        with self.popen.stdout as out:
            while data := out.read1(2**16):
                with self._news:
                    self.out += data
                    self._news.notify_all()


@contextmanager
def processes() -> Iterator[Callable[..., Process]]:
    """Starts processes that do not outlive the block."""
    started: list[Process] = []

    def start(*arguments: str, **more: Any) -> Process:
        started.append(Process(*arguments, **more))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            if process.popen.poll() is None:
                process.popen.kill()
            process.wait()


@contextmanager
def a_program(text: str, port: int, folder: Path) -> Iterator[Path]:
    """A page's Python program on `port` instead of 9000, killed at the end of the block: where its output goes."""
    out = folder / "out.txt"
    python = [sys.executable, "-uc", text.replace(":9000", f":{port}")]
    with out.open("wb") as file, subprocess.Popen(python, cwd=folder, stdout=file) as process:
        try:
            yield out
        finally:
            process.kill()
