"""Relay: a path to a worker that the demo can cut."""

from __future__ import annotations

import asyncio
import contextlib


class Relay:
    """A path to a worker that can be cut like a network: without a goodbye."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._is_closed = False

    async def start(self, group: asyncio.TaskGroup) -> int:
        """Listen, and return the port."""

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._is_closed:  # the kernel had it already
                writer.transport.abort()
            else:
                self._writers.add(writer)  # at once: the task may be cancelled before it begins
                group.create_task(self._pass_both_ways(reader, writer))

        self._server = await asyncio.start_server(accept, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def close(self) -> None:
        """Stop listening, and cut every connection."""
        self._is_closed = True
        if self._server is not None:
            self._server.close()
        self.cut()

    async def _pass_both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            ends.add(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass(reader, far_writer))
                group.create_task(_pass(far_reader, writer))
        except OSError:  # nobody listens there
            pass
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
