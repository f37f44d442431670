"""StreamLink: a link to a randstream worker. It speaks randstream/1 through a `Sender`."""

from __future__ import annotations

from time import monotonic
from typing import assert_never

from ..errors import LocalProtocolError, Reason
from ..net.connection import Connection
from ..numbers.stream import NumberStream
from ..observe.status import LinkState
from ..protocol import SILENCE_HEARTBEATS
from ..protocol.events import Acknowledged, Closed, Event, Greeted, Opened, Proved, Resumed, Started, Waited
from ..protocol.frames import Lines, Numbers
from ..protocol.sender import Sender
from ..protocol.states import State
from ..settings import Target
from .link import Link, LinkContext


class StreamLink(Link):
    """The numbers of whichever worker answers at the target, from the offset its sink names."""

    def __init__(self, target: Target, context: LinkContext) -> None:
        super().__init__(target, context)
        self._sender: Sender | None = None
        self._moved_at = 0.0

    def on_made(self) -> None:
        """The socket is connected; the worker speaks first."""
        self.state = LinkState.OPENING

    def on_event(self, event: Event, now: float) -> None:
        """What the worker said."""
        assert self._sender is not None
        match event:
            case Greeted(worker):
                self._offer(self._sender, worker, now)
            case Waited():
                self._set_stalled("the worker's sink is not ready")
            case Resumed(offset):
                self._resume(offset, now)
            case Acknowledged():
                self._note_ack(event, self._sender, now)
            case Closed(error):
                if self._connection is not None:
                    self._connection.close()
                self.on_lost(error)
            case Opened() | Started() | Proved() | Numbers():
                raise LocalProtocolError(f"a sender reports {event}")
            case _:
                assert_never(event)

    def on_writable(self, now: float) -> None:
        """See `Link`."""
        super().on_writable(now)
        since = None if self._sender is None else self._sender.unacked_since
        limit = SILENCE_HEARTBEATS * self._context.settings.heartbeat_interval
        if self._pump is not None and since is not None and now - max(since, self._moved_at) > limit:
            self._set_stalled("no ack moves, the worker's sink is behind")

    def _make_connection(self, now: float) -> Connection:
        settings = self._context.settings
        self._sender = Sender(producer=settings.name, heartbeat=settings.heartbeat_interval, now=now)
        credentials = self._context.credentials
        end = self._sender if credentials is None else credentials.secure(self._sender, self.target.host)
        return Connection(end, self, self._context.wheel)

    def _part(self, connection: Connection, now: float) -> None:
        assert self._sender is not None
        if self._sender.state is State.STREAMING:
            self._sender.send_final_beat(now)
            connection.flush()
        else:
            self._say_goodbye(self._sender, connection)

    def _room(self) -> int:
        assert self._sender is not None
        return self._sender.room

    def _send(self, lines: Lines, count: int, now: float) -> None:
        assert self._sender is not None
        self._sender.send_numbers(lines, count, now)
        self.offset = self._sender.offset

    def _offer(self, sender: Sender, worker: str, now: float) -> None:
        settings = self._context.settings
        if worker != self.worker:
            self.worker = worker
            self.stream = NumberStream(self._context.seed.text, worker, settings.numbers)
            self._log = self._log.bind(worker=worker)
        assert self.stream is not None
        sender.open(
            self.stream.id,
            settings.numbers,
            first_offset=self._context.acked_offsets.get(self.stream.id, 0),
            now=now,
        )

    def _resume(self, offset: int, now: float) -> None:
        assert self.stream is not None
        self._moved_at = now
        self._begin_pumping(self.stream, offset, now)
        self._say("link.resumed", now, stream=self.stream.id, offset=offset)
        self._note("link.resumed", f"at offset {offset}")
        self._context.on_resumed(self)
        self.on_writable(now)

    def _note_ack(self, ack: Acknowledged, sender: Sender, now: float) -> None:
        assert self.stream is not None
        self.heard_at = now
        if ack.round_trip is not None:
            self.round_trip = ack.round_trip
            self._context.tally.round_trips.observe(ack.round_trip)
        if ack.offset > self.acked_offset:
            self._context.tally.acked_numbers += ack.offset - self.acked_offset
            self.acked_offset = ack.offset
            self._moved_at = now
            known = self._context.acked_offsets.get(self.stream.id, 0)
            self._context.acked_offsets[self.stream.id] = max(known, ack.offset)
            self._backoff.reset()
            if self._waits_for_room:
                self.on_writable(now)
            if self.state is LinkState.STALLED:
                self.state = LinkState.STREAMING
                self._say("link.recovered", now, acked=ack.offset)
                self._note("link.recovered", f"acknowledged up to {ack.offset}")
        if self._is_finishing and sender.is_settled and self._connection is not None:
            self._say_goodbye(sender, self._connection)

    def _set_stalled(self, why: str) -> None:
        if self.state is not LinkState.STALLED:
            self.state = LinkState.STALLED
            self._say("link.stalled", monotonic(), why=why, offset=self.offset, acked=self.acked_offset)
            self._note("link.stalled", why)

    def _say_goodbye(self, sender: Sender, connection: Connection) -> None:
        sender.close(Reason.SHUTDOWN)
        connection.close()
        self._set_finished()
