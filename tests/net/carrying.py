"""Stand-ins for what surrounds a connection. Only the test moves time on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any

from randstream.protocol.events import Event
from randstream.protocol.sender import Sender


class Recording(asyncio.Transport):
    """Keeps each write, and never has to wait. It stands in for a stream's writer as well."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.transport = self
        self._protocol: asyncio.BaseProtocol = asyncio.Protocol()
        self._socket = socket.socket()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def writelines(self, chunks: Iterable[Any]) -> None:
        self.writes.append(b"".join(chunks))

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def abort(self) -> None:
        self._socket.close()


class Owning:
    """Sends a number at every `on_writable`, and keeps everything it is told."""

    def __init__(self, sender: Sender | None = None) -> None:
        self._sender = sender
        self.events: list[Event] = []

    def on_made(self, now: float) -> None:
        pass

    def on_event(self, event: Event, now: float) -> None:
        self.events.append(event)

    def on_writable(self, now: float) -> None:
        if self._sender is not None:
            self._sender.send_numbers(b"52\n", 1, now)

    def on_lost(self, error: Exception | None, now: float) -> None:
        raise AssertionError("nothing was lost")


def reraise(bug: Exception) -> None:
    raise bug
