"""Receiver: the consuming end of a link. Pure: never reads a clock.

It counts and checks what arrives. The driver passes the numbers to the sink, and says when the sink has them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, assert_never

from ..errors import LocalProtocolError, RawLineError, Reason, RemoteProtocolError
from . import (
    MAX_INTERVAL_BYTES,
    MAX_OFFSET,
    MAX_UNACKED_BEATS,
    MAX_WORDS_A_SECOND,
    RAW_SILENCE_LIMIT,
    SILENCE_HEARTBEATS,
    WINDOW_BYTES,
)
from .end import NEVER, End, Silence
from .events import AskDue, Event, Opened, Proved, Started
from .frames import Ack, Beat, Close, Frame, Hello, Lines, Numbers, Open, Resume, Wait, encode, extend_crc
from .raw import FirstLineDecoder
from .states import Role, State

_ACK_PERIOD: Final = 1.25
"""Heartbeats after which an ack is repeated: a beat may come a quarter early, and the next is then that far off."""
_WORD_PERIOD: Final = 2.0 / MAX_WORDS_A_SECOND
"""Seconds between acks or asks in a flood: half the allowed rate, as a network may bring two seconds' worth in one."""
_WORDS_AT_ONCE: Final = MAX_WORDS_A_SECOND // 4
"""How many may go out at once after a rest: enough that no sound producer ever makes one wait."""
_LEAD: Final = _WORDS_AT_ONCE * _WORD_PERIOD


@dataclass(frozen=True, slots=True)
class _Heard:
    """A beat that held and is not acked yet."""

    offset: int
    t: str
    bytes_total: int


class Receiver(End):
    """Greets, takes the offer, names the offset, checks every beat and acks what the driver says is in the sink.

    `worker` is the name to greet with; `now`, here and below, in seconds of the driver's monotonic clock. `trouble`
    says what is wrong with the sink now, in one word for the wire: see `troubles`.
    """

    role = Role.WORKER

    def __init__(
        self,
        worker: str,
        *,
        now: float,
        accepts_raw: bool = False,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        super().__init__(now)
        self._worker = worker
        self._accepts_raw = accepts_raw
        self._trouble = trouble
        if accepts_raw:
            self._decoder = FirstLineDecoder()
        self.offset: int | None = None
        """That of the next number; None until `resume` or the opening beat gives it."""
        self.acked_offset: int | None = None
        self.is_started = False
        """Whether the opening beat has come."""
        self.owed_answers = 0
        """Asks that the producer has not answered yet."""
        self._ask_period = self.heartbeat
        self._unacked: deque[_Heard] = deque()
        self._word = b""
        self._said_at = now
        """When `_word` was said, or when the timer last came."""
        self._paid_until = now
        """The time up to which the written words count, a period each; if it is `_LEAD` ahead, the next word waits."""
        self._send(Hello(worker))

    @property
    def deadline(self) -> float:
        deadline = super().deadline
        return deadline if self.state is State.CLOSED or self._may_write else min(deadline, self._paid_until - _LEAD)

    @property
    def is_settled(self) -> bool:
        """Whether every beat that held is acked."""
        return not self._unacked

    def ask(self, wait: Wait, period: float, now: float) -> None:
        """Answer `Opened` or `AskDue`: say `wait` at once; the next is due in `period` seconds.

        Does nothing if the producer has closed, or broken a rule, in the same breath as its `#open`.
        """
        if self.state is State.CLOSED:
            return
        self._advance(Wait)
        self._say(wait if wait.by is not None else replace(wait, why=self._trouble()), now)
        self._ask_period = period
        self._silence.set_limit(SILENCE_HEARTBEATS * period, now)
        self._next_duty = now + period

    def ask_within(self, period: float, now: float) -> None:
        """Let the next `AskDue` come in `period` seconds, unless one is due before."""
        if self.state is State.WAITING:
            self._next_duty = min(self._next_duty, now + period)

    def resume(self, resume: Resume, now: float) -> None:
        """Answer `Opened`: ask for numbers from an offset on. The producer's silence keeps counting."""
        self._word = b""
        self._send(resume)
        self.offset = self.acked_offset = offset = resume.offset
        self._next_duty = NEVER if offset is None else now + _ACK_PERIOD * self.heartbeat

    def refuse_raw(self) -> None:
        """Answer the first `Numbers` of a raw peer: refuse them; what follows them does not matter."""
        if self.state is State.CLOSED:  # a bad line came in the same breath; do not report it to the peer
            self._out.pop()
        self._close_for(Reason.REFUSED)

    @property
    def unfinished_number(self) -> str:
        """The start of an unfinished line, without its comment."""
        return self._decoder.tail.partition(b"#")[0].strip().decode("latin-1")

    def acknowledge(self, offset: int, now: float) -> None:
        """Ack the newest beat at or below `offset`: the sink has all before it, as durably as it promises.

        Does nothing if there is no such beat that is not acked yet.
        """
        newest = None
        while self._unacked and self._unacked[0].offset <= offset:
            newest = self._unacked.popleft()
        if newest is not None and self.state is State.STREAMING:
            self.acked_offset = newest.offset
            self._acked_bytes = newest.bytes_total
            self._say_ack(newest.t, now)

    def handle_timer(self, now: float) -> list[Event]:
        self._said_at = now
        return super().handle_timer(now)

    def data_to_send(self) -> list[Lines]:
        """Take everything that is to be written now. At most one `#wait` or `#ack` waits, the newest."""
        if self._may_write:
            self._flush_word()
        return super().data_to_send()

    @property
    def _may_write(self) -> bool:
        """Whether the limit on acks and asks lets one out now."""
        return not self._word or self._said_at >= self._paid_until - _LEAD

    def _say(self, frame: Wait | Ack, now: float) -> None:
        self._word = encode(frame)
        self._said_at = now

    def _flush_word(self) -> None:
        if self._word:
            self._out.append(self._word)
            self._word = b""
            self._paid_until = max(self._paid_until, self._said_at) + _WORD_PERIOD
            self.owed_answers += self.state is State.WAITING

    @property
    def _grace(self) -> float:
        return self._ask_period if self.state in (State.WAITING, State.PROVING) else self.heartbeat

    def _close_because_of(self, error: RemoteProtocolError) -> None:
        self._close_for(error.reason)
        if isinstance(error, RawLineError):  # a raw peer knows no reasons, and a person may be reading
            numbers = "number" if error.taken == 1 else "numbers"
            why = f"# {error}; {error.advice}; {error.taken} {numbers} before it taken\n"
            self._out.append(why.encode() + self._out.pop())

    def _close_for(self, reason: Reason) -> None:
        self._flush_word()
        super()._close_for(reason)

    def _perform_duty(self, now: float, emit: Callable[[Event], None]) -> None:
        if self.state is State.WAITING:
            self._next_duty = now + self._ask_period
            emit(AskDue())
        else:
            self._say_ack(None, now)

    def _receive(self, frame: Frame, now: float, emit: Callable[[Event], None]) -> None:
        match frame:
            case Open():
                if frame.worker != self._worker:
                    raise RemoteProtocolError(Reason.MALFORMED, f"#open for another worker: {frame.worker}")
                self.heartbeat = self._ask_period = frame.heartbeat
                self._silence = Silence(now, SILENCE_HEARTBEATS * self.heartbeat)
                self._next_duty = now + self.heartbeat
                emit(Opened(frame))
            case Wait():
                if not self.owed_answers:
                    raise RemoteProtocolError(Reason.MALFORMED, "a #wait that answers none")
                self.owed_answers -= 1
            case Numbers() if self.state is State.RAW:
                if not self._accepts_raw:
                    raise RemoteProtocolError(Reason.MALFORMED, "numbers without #open; this worker takes no raw peers")
                self._silence = Silence(now, RAW_SILENCE_LIMIT)
                emit(frame)
            case Numbers():
                self._take(frame)
                emit(frame)
            case Beat():
                if self.owed_answers:
                    raise RemoteProtocolError(Reason.MALFORMED, "the opening beat before a #wait that is still owed")
                self._check(frame)
                if self.is_started:
                    emit(Proved(frame))
                else:
                    self.is_started = True
                    self._silence = Silence(now, SILENCE_HEARTBEATS * self.heartbeat)
                    emit(Started(frame.offset))
                if self._unacked and self._unacked[-1].offset == frame.offset:
                    self._unacked.pop()
                self._unacked.append(_Heard(frame.offset, frame.t, self._number_bytes))
                if len(self._unacked) > MAX_UNACKED_BEATS:
                    raise RemoteProtocolError(Reason.TOO_LONG, f"over {MAX_UNACKED_BEATS} beats past the last ack")
                if frame.offset == self.acked_offset:
                    self.acknowledge(frame.offset, now)
            case Hello() | Resume() | Ack() | Close():
                raise AssertionError(f"the table lets no producer send {frame}")
            case _:
                assert_never(frame)

    def _take(self, numbers: Numbers) -> None:
        assert self.offset is not None
        self.offset += numbers.count
        self._crc = extend_crc(self._crc, numbers.lines)
        self._interval_bytes += len(numbers.lines)
        self._number_bytes += len(numbers.lines)
        if self.offset > MAX_OFFSET:
            raise RemoteProtocolError(Reason.MALFORMED, "numbers past the end of the stream")
        if self._interval_bytes > MAX_INTERVAL_BYTES:
            raise RemoteProtocolError(Reason.TOO_LONG, f"over {MAX_INTERVAL_BYTES} bytes of numbers without a beat")
        if self._number_bytes - self._acked_bytes > WINDOW_BYTES:
            raise RemoteProtocolError(Reason.TOO_LONG, f"over {WINDOW_BYTES} bytes of numbers past the last ack")

    def _check(self, beat: Beat) -> None:
        if self.offset is None:
            self.offset = self.acked_offset = beat.offset
        if beat.offset != self.offset:
            raise RemoteProtocolError(Reason.MISMATCH, f"a beat at offset {beat.offset}, {self.offset} expected")
        if beat.crc != self._crc:
            raise RemoteProtocolError(
                Reason.MISMATCH, f"a beat at offset {beat.offset} with crc {beat.crc:08x}, {self._crc:08x} computed"
            )
        self._crc = 0
        self._interval_bytes = 0

    def _say_ack(self, t: str | None, now: float) -> None:
        if self.acked_offset is None:
            raise LocalProtocolError("an ack before any offset is known")
        self._advance(Ack)
        self._say(Ack(self.acked_offset, t, self._trouble() if t is None else None), now)
        self._next_duty = now + _ACK_PERIOD * self.heartbeat
