"""RawLink: a link to a peer that speaks no protocol, such as `nc -lk`: number lines and nothing else."""

from __future__ import annotations

from time import monotonic

from ..backoff import LONGEST_DELAY
from ..errors import LocalProtocolError
from ..net.connection import Connection
from ..numbers.stream import NumberStream
from ..protocol.end import NEVER
from ..protocol.events import Event
from ..protocol.frames import Lines
from ..settings import Target
from .link import Link, LinkContext


class RawSender:
    """The end of a connection to a raw peer: nothing that comes means anything, and silence is no failure."""

    deadline = NEVER

    def __init__(self) -> None:
        self._out: list[Lines] = []

    def send_numbers(self, run: Lines) -> None:
        """Send the lines of `run`."""
        self._out.append(run)

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """See `End`."""
        return []

    def handle_timer(self, now: float) -> list[Event]:
        """See `End`."""
        return []

    def data_to_send(self) -> list[Lines]:
        """See `End`."""
        out, self._out = self._out, []
        return out


class RawLink(Link):
    """The numbers of the worker that the target's address names. Nobody acknowledges: what the kernel took is sent."""

    def __init__(self, target: Target, context: LinkContext) -> None:
        super().__init__(target, context)
        settings = context.settings
        self.worker = target.raw_worker
        self.stream: NumberStream = NumberStream(context.seed.text, self.worker, settings.numbers)
        self._sender = RawSender()

    def on_made(self) -> None:
        """The socket is connected."""
        now = monotonic()
        self._begin_pumping(self.stream, self.acked_offset, now)
        self._say("link.resumed", now, stream=self.stream.id, offset=self.acked_offset, raw=True)
        self._note("link.resumed", f"at offset {self.acked_offset}, raw")
        self.on_writable(now)

    def on_event(self, event: Event, now: float) -> None:
        """See `Owner`."""
        raise LocalProtocolError(f"a raw peer means {event}")

    def on_writable(self, now: float) -> None:
        """See `Link`."""
        super().on_writable(now)
        if self._connection is not None:
            self._connection.flush()
        if self._connection is not None and self._connection.is_writable:
            self._note_taken()
            if self._is_finishing:
                self._connection.close()
                self._set_finished()

    def on_lost(self, error: Exception | None) -> None:
        """See `Link`."""
        if self._up_since is not None and monotonic() - self._up_since >= LONGEST_DELAY:
            self._backoff.reset()  # nobody acks, but a peer that stays means it
        super().on_lost(error)

    def _make_connection(self, now: float) -> Connection:
        self._sender = RawSender()
        # Without a buffer of ours, writable means that the kernel has taken all.
        return Connection(self._sender, self, self._context.wheel, high_water=0)

    def _part(self, connection: Connection, now: float) -> None:
        self.on_writable(now)

    def _send(self, lines: Lines, count: int, now: float) -> None:
        self._note_taken()
        self._sender.send_numbers(lines)
        self.offset += count

    def _note_taken(self) -> None:
        """The kernel has all that was written: as near to an ack as a raw peer comes."""
        self._context.tally.acked_numbers += self.offset - self.acked_offset
        self.acked_offset = self.offset
