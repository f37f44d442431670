"""RawLink: a link to a peer that speaks no protocol, such as `nc -lk`: number lines and nothing else."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final, cast

from .connection import close_soon, set_socket_options
from .link import Link, LinkContext
from .observe.status import LinkState
from .settings import Target
from .stream import NumberStream

WRITE_BYTES: Final = 2**16
"""The most that is written before the kernel has taken all of the last: so little can be cut in two."""


class RawLink(Link, asyncio.Protocol):
    """The numbers of the worker that the target's address names. Nobody acknowledges: what the kernel took is sent."""

    def __init__(self, target: Target, context: LinkContext) -> None:
        super().__init__(target, context)
        settings = context.settings
        self.worker = target.raw_worker
        self.stream = NumberStream(settings.seed, self.worker, settings.numbers)
        self._transport: asyncio.Transport | None = None
        self._is_writable = False
        self._writing = context.wheel.alarm(self._write)

    def finish(self) -> None:
        """See `Link`."""
        super().finish()
        if self._transport is not None:
            close_soon(self._transport)
        self._set_finished()

    def abort(self) -> None:
        """See `Link`."""
        if self._transport is not None:
            self._transport.abort()
        self._set_finished()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is connected."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._is_writable = True
        set_socket_options(transport)
        self._transport.set_write_buffer_limits(0)  # resume_writing then means that the kernel has taken all
        assert self.stream is not None
        self.state = LinkState.STREAMING
        now = monotonic()
        self._begin_pumping(self.stream, self.acked_offset, now)
        self._say("link.resumed", now, stream=self.stream.id, offset=self.acked_offset, raw=True)
        self._note("link.resumed", f"at offset {self.acked_offset}, raw")
        self._write()

    def pause_writing(self) -> None:
        """asyncio: the kernel has not taken all yet."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """asyncio: now it has."""
        self._is_writable = True
        self._note_taken()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        self._transport = None
        self._is_writable = False
        self._writing.set(float("inf"))
        self.on_lost(exc)

    async def _connect(self, address: str) -> None:
        await self._loop.create_connection(lambda: self, address, self.target.port)

    def _write(self) -> None:
        pump, transport = self._pump, self._transport
        if pump is None or transport is None:
            return
        now = monotonic()
        self.offset = self.acked_offset
        while self._is_writable and (run := pump.next_run(now, WRITE_BYTES)) is not None:
            lines, count = run
            self.offset += count
            transport.write(lines)
            self._context.tally.numbers += count
            self._context.tally.number_bytes += len(lines)
            if self._is_writable:
                self._note_taken()
                self._backoff.reset()
        self._writing.set(pump.next_due())

    def _note_taken(self) -> None:
        """The kernel has all that was written: as near to an ack as a raw peer comes."""
        self._context.tally.acked_numbers += self.offset - self.acked_offset
        self.acked_offset = self.offset

    def _on_drawn(self) -> None:
        self._write()
