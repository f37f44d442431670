"""Sender: the producing end of a link. Pure: never reads a clock.

The stream's bytes come from outside, as runs; this end counts and checks them, beats, and keeps the window.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from ..errors import LocalProtocolError, Reason, RemoteProtocolError
from . import (
    MAX_INTERVAL_BYTES,
    MAX_OFFSET,
    MAX_UNWRITTEN_ANSWERS,
    MAX_WORDS_A_SECOND,
    SILENCE_HEARTBEATS,
    WINDOW_BYTES,
)
from .end import End, Silence
from .events import Acknowledged, Event, Greeted, Resumed, Waited
from .frames import Ack, Beat, Close, Frame, Hello, Lines, Numbers, Open, Resume, Wait, encode, extend_crc
from .states import Role, State

_EARLY: Final = 0.25
"""The part of a heartbeat that a beat may go early, to share a write with numbers."""
_MICROSECONDS: Final = 1e6
_ANSWER: Final = encode(Wait())


@dataclass(frozen=True, slots=True)
class _Sent:
    """A beat that moved the offset and is not acked yet."""

    offset: int
    bytes_total: int
    sent_at: float


class Sender(End):
    """Says which stream it offers, then sends numbers within the window and beats on time.

    `heartbeat` is in seconds; `now`, here and below, in seconds of the driver's monotonic clock. `instance` is the
    link's secret, with which this connection ends an older one of the same link. `silence_hint` is added to the error
    if the worker never says anything.
    """

    role = Role.PRODUCER

    def __init__(
        self, *, producer: str, heartbeat: float, now: float, instance: str | None = None, silence_hint: str = ""
    ) -> None:
        super().__init__(now)
        self._silence_hint = silence_hint
        self.heartbeat = heartbeat
        self.offset = 0
        self.acked_offset = 0
        self._producer = producer
        self._instance = instance
        self._answers = 0
        self._worker = ""
        self._first_offset = 0
        self._unacked: deque[_Sent] = deque()
        self._idle_beat: Lines | None = None
        """The last beat that proves no numbers."""
        self._words = 0
        self._words_since = now

    @property
    def room(self) -> int:
        """How many more number bytes the window allows now."""
        if self.state is not State.STREAMING:
            return 0
        return WINDOW_BYTES - (self._number_bytes - self._acked_bytes)

    @property
    def unacked_since(self) -> float | None:
        """When the oldest beat with unacked numbers went out; None if all numbers are acked."""
        return self._unacked[0].sent_at if self._unacked else None

    @property
    def is_settled(self) -> bool:
        """Whether every number sent is acked."""
        return self.state is State.STREAMING and self.acked_offset == self.offset

    def open(self, stream: str, numbers: str, *, first_offset: int, now: float) -> None:
        """Answer `Greeted`: offer a stream. `first_offset` is for a worker that names none, now or in a `#wait`.

        Does nothing if the worker has closed in the same breath (`#hello`, then `#close reason=busy`).
        """
        if self.state is State.CLOSED:
            return
        self._first_offset = first_offset
        self._send(Open(self._worker, stream, numbers, self._producer, self.heartbeat, self._instance))
        self._silence = Silence(now, SILENCE_HEARTBEATS * self.heartbeat)

    def send_numbers(self, lines: Lines, count: int, now: float) -> None:
        """Send the `count` lines of `lines`, which are numbers `offset` to `offset + count - 1`.

        Raises LocalProtocolError: more than `room`, an interval or the stream allows.
        """
        if len(lines) > self.room or len(lines) > MAX_INTERVAL_BYTES or count > MAX_OFFSET - self.offset:
            raise LocalProtocolError(f"{len(lines)} bytes do not fit")
        if self._interval_bytes + len(lines) > MAX_INTERVAL_BYTES:
            self._beat(now)
        self._advance(Numbers)
        self._out.append(lines)
        self.offset += count
        self._crc = extend_crc(self._crc, lines)
        self._interval_bytes += len(lines)
        self._number_bytes += len(lines)
        if now >= self._next_duty - _EARLY * self.heartbeat:
            self._beat_on_time(now)

    def send_final_beat(self, now: float) -> None:
        """Beat out of turn, so that everything sent is acked soon. `is_settled` tells when it is."""
        self._beat(now)

    def data_to_send(self) -> list[Lines]:
        """Take everything that is to be written now."""
        self._write_answers()
        return super().data_to_send()

    def _write_answers(self) -> None:
        if self._answers:
            self._out.append(self._answers * _ANSWER)
            self._answers = 0

    def _close_for(self, reason: Reason) -> None:
        self._write_answers()
        super()._close_for(reason)

    def _receive(self, frame: Frame, now: float, emit: Callable[[Event], None]) -> None:
        match frame:
            case Hello(worker):
                self._worker = worker
                emit(Greeted(worker))
            case Wait(by, offset, stream, why):
                self._count_word(now)
                self._answers += 1
                if self._answers > MAX_UNWRITTEN_ANSWERS:
                    raise RemoteProtocolError(Reason.TOO_LONG, "it asks, and does not read the answers")
                self._first_offset = max(self._first_offset, offset or 0)
                emit(Waited(by, offset, stream, why))
            case Resume(offset, after):
                self._write_answers()
                self.offset = self.acked_offset = self._first_offset if offset is None else offset
                self._beat(now)
                self._next_duty = now + self.heartbeat
                emit(Resumed(self.offset, after))
            case Ack():
                self._count_word(now)
                emit(self._acknowledged(frame, now))
            case Open() | Numbers() | Beat() | Close():
                raise AssertionError(f"the table lets no worker send {frame}")
            case _:
                assert_never(frame)

    def _count_word(self, now: float) -> None:
        if now - self._words_since >= 1.0:
            self._words, self._words_since = 0, now
        self._words += 1
        if self._words > MAX_WORDS_A_SECOND:
            raise RemoteProtocolError(Reason.TOO_LONG, f"over {MAX_WORDS_A_SECOND} acks and waits in a second")

    def _acknowledged(self, ack: Ack, now: float) -> Acknowledged:
        beaten = self._unacked[-1].offset if self._unacked else self.acked_offset
        if not self.acked_offset <= ack.offset <= beaten:
            between = f"{self.acked_offset} and {beaten}"
            raise RemoteProtocolError(Reason.MALFORMED, f"an ack of {ack.offset}, not between {between}")
        self.acked_offset = ack.offset
        while self._unacked and self._unacked[0].offset <= ack.offset:
            self._acked_bytes = self._unacked.popleft().bytes_total
        round_trip = None if ack.t is None else now - int(ack.t) / _MICROSECONDS
        if round_trip is not None and round_trip < 0:
            round_trip = None  # a `t` we never sent: it proves nothing, and does no harm
        return Acknowledged(ack.offset, round_trip, ack.why)

    def _perform_duty(self, now: float, emit: Callable[[Event], None]) -> None:
        self._beat_on_time(now)

    def _beat_on_time(self, now: float) -> None:
        self._beat(now)
        self._next_duty += self.heartbeat
        if self._next_duty <= now:  # the process was held up: skip what was missed, never catch up with a burst
            self._next_duty = now + self.heartbeat

    def _beat(self, now: float) -> None:
        if not self._interval_bytes and self._out and self._out[-1] is self._idle_beat:
            self._out.pop()  # the newest says it all: they must not pile up for a peer that does not read
        self._send(Beat(self.offset, self._crc, str(int(now * _MICROSECONDS))))
        if self._interval_bytes:
            self._unacked.append(_Sent(self.offset, self._number_bytes, now))
        else:
            self._idle_beat = self._out[-1]
        self._crc = 0
        self._interval_bytes = 0
