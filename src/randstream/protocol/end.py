"""End: what both ends of a connection share: the state, the decoder, the output, the silence deadline. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import ClassVar, Final

from ..errors import LocalProtocolError, PeerClosed, PeerTimeout, Reason, RemoteProtocolError
from . import HANDSHAKE_LIMIT, INTERRUPTION_HEARTBEATS
from .decoder import Decoder
from .events import Closed, Event
from .frames import Close, ControlFrame, Frame, Lines, encode
from .raw import FirstLineDecoder
from .states import Role, State, next_state

NEVER: Final = float("inf")
_SILENCES: Final = {
    State.GREETING: "connected, but the peer says nothing",
    State.OPENING: "connected, but the peer opens no stream",
}
"""What a silence is called, for an operator, before a stream is open."""


class Silence:
    """Tells when the peer has been silent for `limit` seconds. Times are in seconds of the driver's clock."""

    def __init__(self, now: float, limit: float) -> None:
        self._limit = limit
        self._heard_at = now
        self.deadline = now + limit

    def heard(self, now: float) -> None:
        """Start the count over, because something arrived."""
        self._heard_at = now
        self.deadline = now + self._limit

    def set_limit(self, limit: float, now: float) -> None:
        """Change the limit. The count goes on, but a shorter limit may be used in full from now."""
        self.deadline = max(self._heard_at + limit, min(self.deadline, now + limit))
        self._limit = limit

    def is_over(self, now: float, grace: float) -> bool:
        """Whether the peer counts as dead at `now`.

        A call more than half a `grace` late means that the process itself was frozen. What the peer sent in that
        time may still be unread, so the deadline moves to `now` plus one `grace` instead.
        """
        if now < self.deadline:
            return False
        if now - self.deadline > grace / 2:
            self.deadline = now + grace
            return False
        return True


class End(ABC):
    """One end of one connection. Feed it bytes and the time; take from it events, bytes and the next deadline."""

    role: ClassVar[Role]
    writes_on: ClassVar[bool] = False
    """A connection with only one direction is of no use."""
    _silence_hint = ""
    """What to add to the error if the peer never says anything."""

    def __init__(self, now: float) -> None:
        self.state = State.GREETING
        self.heartbeat = 1.0
        self._decoder: Decoder | FirstLineDecoder = Decoder()
        self._out: list[Lines] = []
        self._next_duty = NEVER
        """When this end next has something to send unprompted."""
        self._crc = 0
        self._interval_bytes = 0
        """Number bytes since the last beat."""
        self._number_bytes = 0
        self._acked_bytes = 0
        self._silence = Silence(now, HANDSHAKE_LIMIT)
        self.heard_at = now
        """When the last byte came."""
        self.silent_since: float | None = None
        """When a silence began that was an interruption and is over. The driver records it and sets this to None."""

    @property
    def deadline(self) -> float:
        """When to call `handle_timer` next, in seconds of the driver's clock; infinity if never."""
        if self.state is State.CLOSED:
            return NEVER
        return min(self._silence.deadline, self._next_duty)

    @property
    def silence_deadline(self) -> float:
        """When the peer's silence has lasted too long."""
        return self._silence.deadline

    @property
    def _grace(self) -> float:
        """The period of what the peer sends: its beats, or its answers."""
        return self.heartbeat

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Return what `data` means. A peer's error is the last event, `Closed`, never an exception."""
        if self.state is State.CLOSED:
            return []
        if now - self.heard_at > INTERRUPTION_HEARTBEATS * self.heartbeat and self.silent_since is None:
            self.silent_since = self.heard_at
        self.heard_at = now
        if self.state not in (State.GREETING, State.OPENING):
            self._silence.heard(now)
        return self._receive_frames(self._decoder.decode(data), now)

    def receive_eof(self, now: float) -> list[Event]:
        """Return what the end of the peer's bytes means. It is up to the driver to end the connection."""
        return [] if self.state is State.CLOSED else self._receive_frames(self._decoder.decode_rest(), now)

    def _receive_frames(self, frames: Iterable[Frame], now: float) -> list[Event]:
        events: list[Event] = []
        try:
            for frame in frames:
                self._step(frame)
                if isinstance(frame, Close):
                    events.append(Closed(PeerClosed(frame.reason)))
                    break
                self._receive(frame, now, events.append)
        except RemoteProtocolError as error:
            self._close_because_of(error)
            events.append(Closed(error.with_traceback(None)))  # its frames would keep each other, and us, in memory
        return events

    def handle_timer(self, now: float) -> list[Event]:
        """Do what is due at `now`: beats, asks, repeated acks; and give up on a silent peer."""
        if self.state is State.CLOSED:
            return []
        if self._silence.is_over(now, self._grace):
            hint = self._silence_hint if self.state is State.GREETING else ""
            error = PeerTimeout(_SILENCES.get(self.state, "nothing heard for three heartbeats") + hint)
            self._close_for(Reason.TIMEOUT)
            return [Closed(error)]
        events: list[Event] = []
        if now >= self._next_duty:
            self._perform_duty(now, events.append)
        return events

    def close(self, reason: Reason) -> None:
        """End the connection in order: whatever was queued before goes out first. Idempotent."""
        if self.state is not State.CLOSED:
            self._close_for(reason)

    def data_to_send(self) -> list[Lines]:
        """Take everything that is to be written now, in order."""
        out, self._out = self._out, []
        return out

    @abstractmethod
    def _receive(self, frame: Frame, now: float, emit: Callable[[Event], None]) -> None:
        """Act on a frame that the table allows; the state has already advanced."""

    @abstractmethod
    def _perform_duty(self, now: float, emit: Callable[[Event], None]) -> None:
        """Send what is due at `_next_duty`, or have the driver send it, and set the next."""

    def _step(self, frame: Frame) -> None:
        before = self.state
        try:
            self.state = next_state(before, type(frame), self.role.peer)
        except KeyError:
            verb = type(frame).__name__.lower()
            raise RemoteProtocolError(Reason.MALFORMED, f"{verb} while {before.name.lower()}") from None

    def _advance(self, frame: type[Frame]) -> None:
        """Advance the state by a frame of our own."""
        try:
            self.state = next_state(self.state, frame, self.role)
        except KeyError:
            raise LocalProtocolError(f"{frame.__name__} sent while {self.state.name.lower()}") from None

    def _send(self, frame: ControlFrame) -> None:
        self._advance(type(frame))
        self._out.append(encode(frame))

    def _close_because_of(self, error: RemoteProtocolError) -> None:
        self._close_for(error.reason)

    def _close_for(self, reason: Reason) -> None:
        self._out.append(encode(Close(reason)))
        self.state = State.CLOSED
