"""StreamLink: a link to a randstream worker. It speaks randstream/1 through a `Sender`."""

from __future__ import annotations

from time import monotonic
from typing import assert_never

from .connection import CallbackConnection
from .errors import LocalProtocolError, Reason
from .link import Link, LinkContext
from .observe.status import LinkState
from .protocol import SILENCE_HEARTBEATS
from .protocol.events import Acknowledged, Closed, Event, Greeted, Opened, Proved, Resumed, Started, Waited
from .protocol.frames import Numbers
from .protocol.sender import Sender
from .protocol.states import State
from .settings import Target
from .stream import NumberStream


class StreamLink(Link):
    """The numbers of whichever worker answers at the target, from the offset its sink names."""

    def __init__(self, target: Target, context: LinkContext) -> None:
        super().__init__(target, context)
        self._connection: CallbackConnection | None = None
        self._sender: Sender | None = None
        self._first_offset = 0
        self._is_finishing = False

    def finish(self) -> None:
        """See `Link`."""
        super().finish()
        self._is_finishing = True
        if self._sender is None or self._connection is None:
            self._set_finished()
        elif self._sender.state is State.STREAMING:
            self._sender.send_final_beat(monotonic())
            self._connection.flush()
        else:
            self._say_goodbye(self._sender, self._connection)

    def abort(self) -> None:
        """See `Link`."""
        if self._connection is not None:
            self._connection.abort()
        self._set_finished()

    async def _connect(self, address: str) -> None:
        settings = self._context.settings
        sender = Sender(
            producer=settings.name, heartbeat=settings.heartbeat_interval, now=monotonic()
        )
        connection = CallbackConnection(sender, self, self._context.wheel)
        self._sender, self._connection = sender, connection
        try:
            await self._loop.create_connection(lambda: connection, address, self.target.port)
        except BaseException:
            connection.abort()
            self._sender = self._connection = None
            raise

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
                self.on_lost(error)
            case Opened() | Started() | Proved() | Numbers():
                raise LocalProtocolError(f"a sender reports {event}")
            case _:
                assert_never(event)

    def on_lost(self, error: Exception | None) -> None:
        """See `Link`."""
        self._sender = self._connection = None
        if self._is_finishing:
            self._set_finished()
        super().on_lost(error)

    def on_writable(self, now: float) -> None:
        """Send what is due, as far as the window and the write buffer go."""
        sender, connection, pump = self._sender, self._connection, self._pump
        if sender is None or connection is None or pump is None or self._is_finishing:
            return
        while connection.is_writable and (run := pump.next_run(now, sender.room)) is not None:
            lines, count = run
            sender.send_numbers(lines, count, now)
            self._context.tally.numbers += count
            self._context.tally.number_bytes += len(lines)
            connection.flush()
        self.offset = sender.offset
        connection.poke(pump.next_due())
        since = sender.unacked_since
        if since is not None and now - since > SILENCE_HEARTBEATS * sender.heartbeat:
            self._set_stalled("no ack moves, the worker's sink is behind")

    def _offer(self, sender: Sender, worker: str, now: float) -> None:
        settings = self._context.settings
        if worker != self.worker:
            self.worker = worker
            self.stream = NumberStream(settings.seed, worker, settings.numbers)
            self._log = self._log.bind(worker=worker)
            self._context.on_named(self)
        assert self.stream is not None
        sender.open(
            self.stream.id,
            settings.numbers,
            first_offset=self._context.acked_offsets.get(self.stream.id, 0),
            now=now,
        )

    def _resume(self, offset: int, now: float) -> None:
        assert self.stream is not None
        self.state = LinkState.STREAMING
        self.offset = self.acked_offset = self._first_offset = offset
        self._begin_pumping(self.stream, offset, now)
        self._say("link.resumed", now, stream=self.stream.id, offset=offset)
        self._note("link.resumed", f"at offset {offset}")

    def _note_ack(self, ack: Acknowledged, sender: Sender, now: float) -> None:
        assert self.stream is not None
        self.heard_at = now
        if ack.round_trip is not None:
            self.round_trip = ack.round_trip
            self._context.tally.round_trips.observe(ack.round_trip)
        if ack.offset > self.acked_offset:
            self._context.tally.acked_numbers += ack.offset - self.acked_offset
            self.acked_offset = ack.offset
            known = self._context.acked_offsets.get(self.stream.id, 0)
            self._context.acked_offsets[self.stream.id] = max(known, ack.offset)
            if ack.offset > self._first_offset:
                self._backoff.reset()
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

    def _say_goodbye(self, sender: Sender, connection: CallbackConnection) -> None:
        sender.close(Reason.SHUTDOWN)
        connection.flush()
        connection.detach()
        self._set_finished()

    def _on_drawn(self) -> None:
        if self._connection is not None:
            self.on_writable(monotonic())
