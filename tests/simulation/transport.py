"""What a protocol is given: asyncio's transport over a simulated socket, with the same callbacks in the same order."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio import events, transports
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.loop import Loop

if TYPE_CHECKING:
    from tests.simulation.network import Sock

READ_SIZE: Final = 256 * 1024
"""Bytes that asyncio reads at a time."""
SERVER_COUNTS_TRANSPORTS: Final = sys.version_info >= (3, 13)
"""asyncio's Server wants to know which it has, not only how many."""


FlowControl: Any = transports._FlowControlMixin
"""Untyped: it is asyncio's own, and internal."""


class Transport(FlowControl):
    """asyncio's own flow control; the rest works like its transport for selectors."""

    def __init__(
        self,
        loop: Loop,
        sock: Sock,
        protocol: Any,
        *,
        server: Any = None,
        waiter: asyncio.Future[Any] | None = None,
    ) -> None:
        super().__init__({"socket": sock, "sockname": sock.getsockname(), "peername": sock.getpeername()}, loop)
        self._sock = sock
        self._protocol = protocol
        self._server = server
        self._buffer = bytearray()
        self._closing = False
        self._lost = False
        """Whether `connection_lost` was called or will be."""
        self._paused = False
        self._listening = False
        """Whether the loop would be asked to report data."""
        self._eof = False
        self._reader = events.Handle(self._on_reader, (), loop, None)
        self._writer = events.Handle(self._on_writer, (), loop, None)
        self._is_reader_ready = self._is_writer_ready = False
        sock.transport = self
        loop.transports[self] = None
        if server is not None:
            server._attach(*[self] * SERVER_COUNTS_TRANSPORTS)
        loop.call_soon(protocol.connection_made, self)
        loop.call_soon(self._listen)
        if waiter is not None:
            loop.call_soon(_wake, waiter)

    def __repr__(self) -> str:
        state = "lost" if self._lost else "closing" if self._closing else "open"
        return f"<Transport {self._sock.out} {state}>"

    # ---- the protocol's side -----------------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        if self.is_reading():
            self._paused = True
            self._listening = False

    def resume_reading(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            self._listen()

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if not data or self._lost:
            return
        if not self._buffer:
            try:
                sent = self._sock.send(data)
            except OSError as error:
                self._force_close(error)
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
        self._buffer += data
        self._sock.wants_room = True
        self._sock.out.watch()
        self._maybe_pause_protocol()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._closing or self._eof:
            return
        self._eof = True
        if not self._buffer:
            self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        self._listening = False
        if not self._buffer:
            self._lost = True
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self._force_close(None)

    # ---- the kernel's side -------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """There is data, an end or an error."""
        if self._listening and not self._is_reader_ready:
            self._is_reader_ready = True
            self._loop.push(self._reader)

    def on_writable(self) -> None:
        """There is room, or an error."""
        if not self._is_writer_ready:
            self._is_writer_ready = True
            self._loop.push(self._writer)

    def release(self) -> None:
        """The process is dead: its kernel closes the socket."""
        self._closing = self._lost = True
        self._listening = False
        self._buffer.clear()
        self._sock.close()

    # ---- callbacks of the loop ---------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self.is_reading():
            self._listening = True
            if self._sock.is_readable():
                self.on_readable()

    def _on_reader(self) -> None:
        self._is_reader_ready = False
        if self._lost or not self._listening:
            return
        try:
            data = self._sock.recv(READ_SIZE)
        except OSError as error:
            self._force_close(error)
            return
        if data:
            self._call("data_received", data)
            if self._sock.is_readable():
                self.on_readable()
        else:
            self._listening = False
            if not self._call("eof_received"):
                self.close()

    def _on_writer(self) -> None:
        self._is_writer_ready = False
        if self._lost or not self._buffer:
            return
        try:
            sent = self._sock.send(self._buffer)
        except OSError as error:
            self._force_close(error)
            return
        del self._buffer[:sent]
        self._maybe_resume_protocol()
        if self._buffer:
            self._sock.out.watch()
            return
        self._sock.wants_room = False
        if self._closing:
            self._lost = True
            self._lose(None)
        elif self._eof:
            self._sock.shutdown(socket.SHUT_WR)

    def _call(self, name: str, *args: Any) -> Any:
        callback: Callable[..., Any] = getattr(self._protocol, name)
        try:
            return callback(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"Fatal error: protocol.{name}() call failed."
            self._loop.call_exception_handler({"message": message, "exception": error, "transport": self})
            self._force_close(error)
            return True

    def _force_close(self, error: BaseException | None) -> None:
        if self._lost:
            return
        self._buffer.clear()
        self._sock.wants_room = False
        self._closing = self._lost = True
        self._listening = False
        self._loop.call_soon(self._lose, error)

    def _lose(self, error: BaseException | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._loop.transports.pop(self, None)
            self._sock.close()
            self._protocol = None
            if self._server is not None:
                self._server._detach(*[self] * SERVER_COUNTS_TRANSPORTS)
                self._server = None


def _wake(waiter: asyncio.Future[Any]) -> None:
    if not waiter.done():
        waiter.set_result(None)
