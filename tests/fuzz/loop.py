"""Loop: asyncio's own, without a kernel. Time passes when a target says so, threads run at once, a transport is a list.

tests/simulation has a whole network of such; here only speed counts, and that an input means the same in every run.
"""

from __future__ import annotations

import asyncio
import socket
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from randstream.clock import Clock

MOST_TURNS: Final = 20_000
"""Of the loop, at one moment: then it goes round in circles."""
BaseLoop: Any = asyncio.base_events.BaseEventLoop
"""Untyped, as what it asks of those who implement it."""


class Loop(BaseLoop):
    """`turn_over` runs what is ready, `advance` lets time pass. `bugs` are exceptions that nobody handled."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = self
        self._seconds = 1000.0
        self.bugs: list[str] = []
        self.set_exception_handler(lambda _, context: self.bugs.append(f"{context!r}"))

    def __del__(self) -> None:
        """There is nothing to close."""

    def time(self) -> float:
        return self._seconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """As if the block were called by the loop. It logs nothing."""
        configured = structlog.get_config()
        structlog.configure(processors=[_drop])
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)
            structlog.configure(**configured)

    def turn_over(self) -> None:
        """Run until nothing is ready at this moment. AssertionError: it never ends, or something failed."""
        for _ in range(MOST_TURNS):
            if not self._ready and not (self._scheduled and self._scheduled[0].when() <= self._seconds):
                break
            self._run_once()
        else:
            raise AssertionError(f"{MOST_TURNS} turns of the loop without an end")
        assert not self.bugs, self.bugs

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass: every timer rings in time."""
        end = self._seconds + seconds
        self.turn_over()
        while self._scheduled and self._scheduled[0].when() <= end:
            self._seconds = max(self._seconds, self._scheduled[0].when())
            self.turn_over()
        self._seconds = end
        self.turn_over()

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """What a thread would do, at once."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    def select(self, timeout: float | None) -> list[Any]:
        """Asked by asyncio: nothing ever comes from outside."""
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class LoopClock(Clock):
    """The time of a `Loop`."""

    def __init__(self, loop: Loop) -> None:
        self.now = loop.time
        self.wall_time = loop.time


class _Socket:
    """What is asked of a socket beside its bytes."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def setsockopt(self, *option: object) -> None: ...
    def getsockopt(self, *option: object) -> int:
        return 0


class Wire(asyncio.Transport):
    """One end of a connection, whose other end is the target.

    `on_write` is told what `protocol` writes, when it does so. While the other end `is_deaf`, that fills a buffer.
    """

    def __init__(
        self, loop: Loop, protocol: asyncio.Protocol, on_write: Callable[[bytes], None] = lambda data: None
    ) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000), "sockname": ("127.0.0.1", 9000), "socket": _Socket()})
        self.loop = loop
        self.protocol = protocol
        self.on_write = on_write
        self.is_deaf = False
        self.is_cut = False
        """Whether the protocol has ended it, or was told that it is gone."""
        self._is_closing = False
        self._is_paused = False
        self._unread: list[bytes] = []
        self._unsent = 0
        self._high = 2**16
        self._has_told_of_full = False

    # ---- the target's side -------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Bytes for the protocol, which reads them unless it has paused; asyncio never tells it of none."""
        self._unread += [data] if data else []
        self._read()

    def end(self) -> None:
        """The target ends its direction."""
        if not self._is_closing and not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._unsent = 0
        self._end(error)

    def hear(self) -> None:
        """The target reads again, and first what it has missed."""
        self.is_deaf = False
        self._unsent = 0
        if self._has_told_of_full:
            self._has_told_of_full = False
            self.protocol.resume_writing()
        if self._is_closing:
            self._end(None)

    # ---- asyncio's side ----------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_cut or not data:
            return
        self.on_write(bytes(data))
        if self.is_deaf:
            self._unsent += len(data)
            if self._unsent > self._high and not self._has_told_of_full:
                self._has_told_of_full = True
                self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self._unsent:
                self._end(None)

    def abort(self) -> None:
        self._unsent = 0
        self._end(None)

    def write_eof(self) -> None: ...
    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self.loop.call_soon(self._read)

    def is_reading(self) -> bool:
        return not self._is_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 2**16 if high is None else high

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def _read(self) -> None:
        while self._unread and not self._is_paused and not self._is_closing:
            self.protocol.data_received(self._unread.pop(0))

    def _end(self, error: Exception | None) -> None:
        self._is_closing = True
        if not self.is_cut:
            self.is_cut = True
            self.loop.call_soon(self.protocol.connection_lost, error)


def _drop(logger: Any, method: str, event: Any) -> Any:
    raise structlog.DropEvent
