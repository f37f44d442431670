"""RawSession: one connection to a peer that speaks no protocol, such as `nc -lk`: number lines and nothing else."""

from __future__ import annotations

import math
from typing import Final

from ..backoff import LONGEST_DELAY
from ..errors import LocalProtocolError
from ..net.connection import Connection
from ..protocol.end import NEVER
from ..protocol.events import Event
from ..protocol.frames import Lines
from .context import LinkContext
from .link import Link
from .pacing import Pacer
from .pump import Pump

DOUBT_SECONDS: Final = 1.0
"""A peer that has ended its direction may be gone; TCP shows this only in reply to the next numbers."""


class RawSender:
    """The end of a connection to a raw peer, whose words mean nothing and whose silence or end is not a failure."""

    writes_on = True

    def __init__(self) -> None:
        self.deadline = NEVER
        self.is_doubtful = False
        """Whether the peer has ended its direction and not yet proved that it reads on."""
        self._out: list[Lines] = []

    def send_numbers(self, lines: Lines, now: float) -> None:
        """Send `lines`."""
        self._out.append(lines)
        if self.is_doubtful and self.deadline == NEVER:
            self.deadline = now + DOUBT_SECONDS

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        return []

    def receive_eof(self, now: float) -> list[Event]:
        self.is_doubtful = True
        return []

    def handle_timer(self, now: float) -> list[Event]:
        if now >= self.deadline:
            self.is_doubtful, self.deadline = False, NEVER
        return []

    def data_to_send(self) -> list[Lines]:
        out, self._out = self._out, []
        return out


class RawSession:
    """Sends the numbers of the worker that the target's address names. Implements `Session`.

    There are no acks: what the kernel has taken counts as arrived, except while the sender doubts that the peer reads.
    """

    is_greeted: Final = False

    def __init__(self, link: Link, context: LinkContext, now: float) -> None:
        self._link = link
        self._context = context
        self._sender = RawSender()
        # Without a buffer of our own, writable means that the kernel has taken everything.
        self.connection = Connection(self._sender, self, context.wheel, context.budget, high_water=0)
        self._pump: Pump | None = None
        self._made_at = math.inf
        self._is_finishing = False

    def finish(self, now: float) -> None:
        self._is_finishing = True
        self._pump = None
        self.on_writable(now)

    def leave(self) -> None:
        self.connection.close()

    def on_made(self, now: float) -> None:
        """The socket is connected."""
        self._made_at = now
        stream = self._link.set_worker(self._link.target.raw_worker)
        pacer = Pacer(self._context.settings.rate, now)
        self._pump = Pump(stream, pacer, self.connection, self._send, self._context.tally)
        self._link.set_streaming(stream, self._link.acked_offset, now, raw=True)
        self._link.note_proof(now, None)
        self.on_writable(now)

    def on_event(self, event: Event, now: float) -> None:
        raise LocalProtocolError(f"a raw peer means {event}")

    def on_writable(self, now: float) -> None:
        if self._sender.is_doubtful and (error := self.connection.pending_error()) is not None:
            self.connection.abort()
            self.on_lost(error, now)
            return
        if self._pump is not None:
            self._pump.push(self._link.offset, math.inf, now)
        self.connection.flush()
        if self.connection.is_writable:
            self._note_taken()
            if self._is_finishing:
                self.connection.close()
                self._link.set_finished(now)

    def on_lost(self, error: Exception | None, now: float) -> None:
        if now - self._made_at >= LONGEST_DELAY:
            self._link.prove()  # without acks, staying connected is the only proof
        self._link.on_lost(error, now)

    def _note_taken(self) -> None:
        """The kernel has taken everything that was sent."""
        if not self._sender.is_doubtful:
            self._link.note_acked(self._link.offset)

    def _send(self, lines: Lines, count: int, now: float) -> None:
        self._note_taken()  # there was room, so the kernel has everything before this
        self._sender.send_numbers(lines, now)
        self._link.offset += count
