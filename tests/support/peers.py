"""Peers: one end of a connection, spoken by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import cast

from tests.protocol.network import beat_line, checked, open_line
from tests.support.stream import WORKER, stream
from tests.support.waiting import patience

from randstream.worker.worker import Worker


class Peer:
    """One connection, with what a test needs to read and to say there."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def transport(self) -> asyncio.Transport:
        """The socket, whose reading can be paused."""
        return cast(asyncio.Transport, self.writer.transport)

    async def line(self) -> bytes:
        """The next line; b"" at the end of the connection."""
        async with asyncio.timeout(patience()):
            return await self.reader.readline()

    async def line_starting(self, start: bytes) -> bytes:
        """The next line with this `start`; skips all before it."""
        while not (line := await self.line()).startswith(start):
            assert line, f"ended without {start!r}"
        return line

    async def rest(self) -> bytes:
        """Everything up to the end of the connection, which may be a reset."""
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

    # ---- as a producer

    async def join(self, **offer: str) -> None:
        """Read the greeting and offer a stream."""
        assert (await self.line()).startswith(b"#hello randstream/1 worker=")
        self.say(offer_line(**offer))

    async def stand_by(self, **offer: str) -> bytes:
        """Offer a stream to a worker that another serves, answer its first `#wait` and return that."""
        await self.join(**offer)
        line = await self.line()
        assert line.startswith(b"#wait by=")
        self.say(b"#wait\n")
        return line

    async def turn(self) -> bytes:
        """Answer each `#wait` of the worker; return its next other line."""
        while (line := await self.line()).startswith(b"#wait"):
            self.say(b"#wait\n")
        return line

    async def open(self, **offer: str) -> bytes:
        """Offer a stream; return the worker's first answer that is not `#wait`."""
        await self.join(**offer)
        return await self.turn()

    async def start(self, offset: int = 0, **offer: str) -> None:
        """Do all up to the ack of the opening beat. The worker must ask for `offset`, or leave the choice to us."""
        await self.join(**offer)
        await self.serve(offset)

    async def serve(self, offset: int = 0) -> None:
        """As `start`, if a stream was offered before."""
        answer = await self.turn()
        assert answer.startswith((b"#resume after=", b"#resume offset=%d after=" % offset)), answer
        self.say(beat_line(offset))
        assert await self.line_starting(b"#ack ") == b"#ack offset=%d t=1\n" % offset

    # ---- as a worker

    async def greet(self, name: str = WORKER) -> bytes:
        """Greet; return the offer that answers."""
        self.say(b"#hello randstream/1 worker=%s\n" % name.encode())
        offer = await self.line()
        assert offer.startswith(b"#open "), offer
        return offer

    async def hold(self, wait: bytes) -> None:
        """Say `wait`, and read the answer."""
        self.say(wait)
        assert await self.line() == b"#wait\n"

    async def accept(self, resume: bytes = b"#resume offset=0\n", name: str = WORKER) -> bytes:
        """Greet, read the offer and answer with `resume`; return the opening beat."""
        await self.greet(name)
        self.say(resume)
        beat = await self.line()
        assert beat.startswith(b"#beat ")
        return beat


def offer_line(instance: str | None = None, **offer: str) -> bytes:
    """An `#open` of `stream`, if no other is given."""
    line = open_line(**{"stream": stream().id, **offer})
    return line if instance is None else checked(f"{line.decode().rpartition(' check=')[0]} instance={instance}")


def key(line: bytes, name: str) -> str:
    """The value of `name=` in a control line."""
    return dict(word.split("=") for word in line.decode().split()[1:] if "=" in word)[name]


def ack_of(beat: bytes) -> bytes:
    """The ack that answers `beat`."""
    return f"#ack offset={key(beat, 'offset')} t={key(beat, 't')}\n".encode()


@asynccontextmanager
async def dialled(worker: Worker) -> AsyncIterator[Peer]:
    """A connection to `worker`, cut when the block ends."""
    assert worker.address is not None
    peer = Peer(*await asyncio.open_connection(*worker.address))
    try:
        yield peer
    finally:
        peer.cut()


class Listener:
    """A target for a producer's links, and the connections they made to it, oldest first."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: asyncio.Queue[Peer] = asyncio.Queue()
        self.accepted: list[Peer] = []

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def peer(self) -> Peer:
        """The next connection, once a link has made it."""
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
    """A `Listener` on a free port, if none is given."""
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
