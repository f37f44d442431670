"""StreamSession: one connection to a randstream worker, from the dial to its end. It speaks through a `Sender`."""

from __future__ import annotations

from typing import Final, assert_never

from ..errors import LocalProtocolError, Reason
from ..net.connection import Connection
from ..numbers.stream import NumberStream
from ..observe.status import LinkState
from ..protocol import SILENCE_HEARTBEATS
from ..protocol.events import Acknowledged, AskDue, Closed, Event, Greeted, Opened, Proved, Resumed, Started, Waited
from ..protocol.frames import Lines, Numbers
from ..protocol.sender import Sender
from ..protocol.states import State
from ..protocol.troubles import sentence_of
from .context import LinkContext
from .link import Link
from .pacing import Pacer
from .pump import Pump

WAITS_OF_THE_STEADY: Final = 4
"""After this many asks on one connection, a producer stands in line for good, and its backoff starts over."""


class StreamSession:
    """Sends the numbers of whichever worker answers, from the offset that its sink names. Implements `Session`."""

    is_greeted: Final = True

    def __init__(self, link: Link, context: LinkContext, now: float) -> None:
        settings = context.settings
        self._link = link
        self._context = context
        credentials = context.credentials
        may_want_tls = credentials is None and link.worker is None  # it has never said a word in plain text
        self._sender = Sender(
            producer=settings.name,
            heartbeat=settings.heartbeat_interval,
            now=now,
            instance=link.instance,
            silence_hint="; perhaps the worker waits for TLS" if may_want_tls else "",
        )
        end = self._sender if credentials is None else credentials.secure(self._sender, link.target.host)
        self.connection = Connection(end, self, context.wheel, context.budget)
        self._stream: NumberStream  # known from the greeting on
        self._pump: Pump | None = None
        self._moved_at = now
        self._waits = 0
        self._is_finishing = False

    def finish(self, now: float) -> None:
        self._is_finishing = True
        self._pump = None
        if self._sender.state is State.STREAMING:
            self._sender.send_final_beat(now)
            self.connection.flush()
        else:
            self._say_goodbye(now)

    def leave(self) -> None:
        self._sender.close(Reason.SHUTDOWN)
        self.connection.close()

    def on_made(self, now: float) -> None:
        """The socket is connected; the worker speaks first."""
        self._link.set_opening()

    def on_event(self, event: Event, now: float) -> None:
        """The worker said something."""
        match event:
            case Greeted(worker):
                self._offer(worker, now)
            case Waited():
                self._wait(event, now)
            case Resumed(offset, after):
                self._resume(offset, after, now)
            case Acknowledged():
                self._note_ack(event, now)
            case Closed(error):
                self.connection.close()
                self._link.on_lost(error, now)
            case Opened() | AskDue() | Started() | Proved() | Numbers():
                raise LocalProtocolError(f"a sender reports {event}")
            case _:
                assert_never(event)

    def on_writable(self, now: float) -> None:
        if self._pump is None:
            return
        self._pump.push(self._sender.offset, self._sender.room, now)
        since = self._sender.unacked_since
        limit = SILENCE_HEARTBEATS * self._sender.heartbeat
        if since is not None and now - max(since, self._moved_at) > limit and self._link.state is not LinkState.STALLED:
            self._link.set_stalled(sentence_of(None), now)

    def on_lost(self, error: Exception | None, now: float) -> None:
        self._link.on_lost(error, now)

    def _offer(self, worker: str, now: float) -> None:
        link = self._link
        self._stream = link.set_worker(worker)
        holder = link.claim()
        if holder is link:
            numbers = self._context.settings.numbers
            self._sender.open(self._stream.id, numbers, first_offset=link.start_offset(), now=now)
        else:
            self._sender.close(Reason.REFUSED)
            self.connection.close()
            link.set_resting(holder, now)

    def _wait(self, waited: Waited, now: float) -> None:
        if waited.offset is not None:
            self._link.note_known(waited.offset)
        self._waits += 1
        if self._waits == WAITS_OF_THE_STEADY:
            self._link.prove()
        if waited.by is None:
            self._link.served_by = None
            self._link.set_stalled(sentence_of(waited.why), now)
            self._link.interruptions.unproven(now, self._sender)
            return
        self._link.set_standing_by(waited.by, waited.offset, now, self._sender)
        if waited.stream is not None:
            self._link.warn_of_stream(waited.stream, waited.by, now)

    def _resume(self, offset: int, after: str | None, now: float) -> None:
        self._moved_at = now
        pacer = Pacer(self._context.settings.rate, now)
        self._pump = Pump(self._stream, pacer, self.connection, self._send, self._context.tally)
        self._link.set_streaming(self._stream, offset, now, after)
        self.on_writable(now)

    def _send(self, lines: Lines, count: int, now: float) -> None:
        self._sender.send_numbers(lines, count, now)
        self._link.offset = self._sender.offset

    def _note_ack(self, ack: Acknowledged, now: float) -> None:
        link, unacked_since = self._link, self._sender.unacked_since
        link.heard_at = now
        if ack.round_trip is not None:
            link.note_round_trip(ack.round_trip)
        has_moved = ack.offset > link.acked_offset
        if has_moved:
            self._moved_at = now
            link.note_acked(ack.offset)
            link.prove()
        if has_moved or (ack.why is None and (unacked_since is None or not link.is_proved)):
            link.note_proof(now, self._sender)
        else:
            link.interruptions.unproven(now if unacked_since is None else unacked_since, self._sender)
        if ack.why is not None:
            link.set_stalled(sentence_of(ack.why), now)
        if has_moved and self._pump is not None and self._pump.waits_for_room:
            self.on_writable(now)
        if self._is_finishing and self._sender.is_settled:
            self._say_goodbye(now)

    def _say_goodbye(self, now: float) -> None:
        self.leave()
        self._link.set_finished(now)
