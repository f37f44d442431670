"""Session: one accepted connection of a worker, from `#hello` to its end: deliver, commit, acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, assert_never

from ..errors import (
    LocalProtocolError,
    PeerClosed,
    RawLineError,
    Reason,
    RemoteProtocolError,
    SinkError,
    is_polite,
    reason_of,
    silent_end,
)
from ..net.accepted import AcceptedConnection
from ..net.timers import TimerWheel
from ..numbers.distributions import is_canonical
from ..observe.sink_report import SinkReport
from ..protocol.events import Acknowledged, AskDue, Closed, Event, Greeted, Opened, Proved, Resumed, Started, Waited
from ..protocol.frames import Beat, Numbers, Open, Resume, Wait
from ..protocol.receiver import Receiver
from ..protocol.states import State
from ..sinks import Sink
from ..sinks.immediate import ImmediateSink
from .admission import Admission
from .intake import Intake
from .line import Line
from .patience import Patience

SINK_RETRY_SECONDS: Final = 1.0
"""How long to leave a failed sink alone before the next attempt."""
CHECKPOINT_SECONDS: Final = 10.0
"""At most one `worker.checkpoint` in this time: a sign of life, not a diary."""


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a worker share."""

    wheel: TimerWheel
    sink: Sink
    sink_report: SinkReport
    intake: Intake
    admission: Admission
    line: Line
    patience: Patience
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class Session:
    """Drives one `Receiver` between a connection and the worker's sink. Implements `Owner`, `Guest` and `Member`.

    `connect` makes the connection that calls this session.
    """

    def __init__(
        self, context: SessionContext, receiver: Receiver, connect: Callable[[Session], AcceptedConnection]
    ) -> None:
        self._context = context
        self._clock = context.wheel.clock
        self._sink = context.sink
        self._offered: Open | None = None
        self.receiver = receiver
        self._raw_sink: ImmediateSink | None = None
        self._raw_numbers = 0
        """How many of a raw peer's numbers are in the sink."""
        self._has_last_words = False
        """Whether to give the peer time to read why its connection ends."""
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._over = asyncio.Event()
        self._is_resumed_by_name = False
        self._after: str | None = None
        self._proved = asyncio.Event()
        self.is_draining = False
        self._drained_offset: int | None = None
        self._checkpoint = (0.0, 0)
        self._bug: Exception | None = None
        self.connection = connect(self)
        self._report = context.intake.report.about(peer=self.connection.peer)

    async def run(self) -> None:
        """Serve the connection to its end. Raises nothing but bugs."""
        partings = self._context.admission.partings
        try:
            await self._over.wait()
        finally:
            self._finish(None, self._clock.now())
            if self._has_last_words and not partings.locked():
                async with partings:
                    await self.connection.wait_parted()
            self.connection.close()
        if self._bug is not None:
            raise self._bug

    @property
    def offered(self) -> Open:
        """What it opened with."""
        assert self._offered is not None
        return self._offered

    @property
    def owes_answer(self) -> bool:
        return self.receiver.owed_answers > 0

    @property
    def is_started(self) -> bool:
        return self.receiver.is_started

    def end(self, reason: Reason, now: float) -> None:
        """Close the connection politely, now. Nothing that comes late from it reaches the sink."""
        if self._raw_sink is None:  # a raw peer would take our word for a number
            self.receiver.close(reason)
        self._finish(PeerClosed(reason, "this worker"), now)

    def ask(self, wait: Wait, period: float, now: float) -> None:
        self.receiver.ask(wait, period, now)
        self.connection.flush()

    def ask_within(self, period: float, now: float) -> None:
        self.receiver.ask_within(period, now)
        self.connection.flush()

    def serve(self, resume: Resume, now: float) -> None:
        self._is_resumed_by_name = resume.offset is not None
        self._context.intake.set_opening(self._report)
        self._after = resume.after
        self.receiver.resume(resume, now)
        self.connection.flush()
        self._spawn(self._commit())

    async def wait_over(self) -> None:
        """Wait until the session has ended."""
        await self._over.wait()

    def drain(self, now: float) -> None:
        """End at the next beat, once everything it proves is in the sink and acknowledged."""
        if self.receiver.state is State.STREAMING:
            self.is_draining = True
        else:
            self.end(Reason.SHUTDOWN, now)

    def on_made(self, now: float) -> None:
        """See `Owner`. The receiver has its greeting ready."""

    def on_event(self, event: Event, now: float) -> None:
        if self._over.is_set():
            return
        match event:
            case Opened(offered):
                self._join(offered, now)
            case AskDue():
                self._context.line.ask(self, now)
            case Started(offset):
                self._start(offset, now)
            case Numbers():
                self._take(event, now)
            case Proved(beat):
                self._prove(beat, now)
            case Closed(error):
                if isinstance(error, RemoteProtocolError) and self.receiver.offset is not None:
                    self._rewind(now)
                self._has_last_words |= isinstance(error, RawLineError)
                self._finish(error, now)
            case Greeted() | Waited() | Resumed() | Acknowledged():
                raise LocalProtocolError(f"a receiver reports {event}")
            case _:
                assert_never(event)

    def on_writable(self, now: float) -> None:
        """See `Owner`. A session speaks only when asked."""

    def on_lost(self, error: Exception | None, now: float) -> None:
        if isinstance(error, OSError | None):
            self._finish(error, now)
        else:
            self._bug = error
            self._finish(None, now)

    def _join(self, offered: Open, now: float) -> None:
        context = self._context
        context.admission.note_opened(self)
        self._offered = offered
        self._has_last_words = True
        self._report = self._report.about(producer=offered.producer, stream=offered.stream)
        if self.receiver.state is State.CLOSED:  # what came in the same breath has ended it; that event is next
            return
        if not is_canonical(offered.numbers):
            self.end(Reason.MALFORMED, now)
            return
        served = context.line.served if context.line.serving is not None else None
        if served is not None and served.stream != offered.stream:
            self._report.other_stream(now, served=served.stream, served_by=served.producer)
        context.line.join(self, now)

    def _start(self, offset: int, now: float) -> None:
        if not self._is_resumed_by_name:
            self._sink.begin(offset)
        self._checkpoint = (now, offset)
        self._context.line.note_start(offset)
        self._context.intake.set_streaming(offset, now, self._after, self.receiver)

    def _take(self, numbers: Numbers, now: float) -> None:
        intake = self._context.intake
        if self._offered is not None:
            if self._drained_offset is None:
                self._sink.append(numbers.lines, numbers.count)
                intake.note_numbers(numbers.lines, numbers.count)
            return
        if self._raw_sink is None:
            self._context.admission.note_opened(self)
            if not (isinstance(self._sink, ImmediateSink) and self._context.line.join_raw(self)):
                self.receiver.refuse_raw()
                self._has_last_words = True
                self._finish(PeerClosed(Reason.REFUSED, "this worker"), now)
                return
            self._raw_sink = self._sink
            intake.set_raw(self._report, now, self.connection.peer)
            self._spawn(self._follow_raw())
        self._raw_sink.append_raw(numbers.lines)
        self._raw_numbers += numbers.count
        self._proved.set()
        intake.note_numbers(numbers.lines, numbers.count, is_raw=True)
        self.connection.pause_reading()
        self._spawn(self._read_on(self._raw_sink))

    async def _read_on(self, sink: ImmediateSink) -> None:
        """Resume reading once the sink has room: a raw peer knows no window."""
        await sink.wait_room()
        self.connection.resume_reading()

    async def _follow_raw(self) -> None:
        """Check that the sink takes a raw peer's numbers, too, although there are no beats and no acks."""
        while True:
            await self._commit_proved()

    def _prove(self, beat: Beat, now: float) -> None:
        if self._drained_offset is not None:
            return
        is_done = self._sink.prove(beat)
        self._context.intake.note_beat(now)
        if self.is_draining:
            self._drained_offset = beat.offset
        if self.receiver.acked_offset != beat.offset:
            if not is_done:
                self._context.intake.interruptions.unproven(now, self.receiver)
                self._proved.set()
                return
            self._acknowledge(beat.offset, 0.0, now)
        else:  # the receiver has acknowledged it: there are no numbers to wait for
            self._context.intake.note_proof(now, self.receiver)
            self._note_ack(beat.offset, now)
        if self.is_draining:
            self.end(Reason.SHUTDOWN, now)

    async def _commit(self) -> None:
        while True:
            offset, seconds, now = await self._commit_proved()
            self._acknowledge(offset, seconds, now)
            if self._over.is_set():
                return
            self.connection.flush()
            if self._drained_offset is not None and offset >= self._drained_offset:
                self.end(Reason.SHUTDOWN, now)
                return  # `end` cancels the other tasks, not the one that calls it

    async def _commit_proved(self) -> tuple[int, float, float]:
        """Wait until something is proved and the sink has it: the sink's offset, the seconds that took, and the time.

        A sink that fails is left alone for a while, and asked again.
        """
        clock, report = self._clock, self._context.sink_report
        while True:
            await self._proved.wait()
            self._proved.clear()
            started_at = clock.now()
            try:
                with self._context.patience.waiting(self.receiver.heartbeat):
                    offset = await self._sink.commit()
            except SinkError as error:
                report.failed(str(error), clock.now(), retry_in=SINK_RETRY_SECONDS)
                await asyncio.sleep(SINK_RETRY_SECONDS)
                self._proved.set()
            else:
                now = clock.now()
                report.worked(now, self._sink.warning)
                return offset, now - started_at, now

    def _acknowledge(self, offset: int, seconds: float, now: float) -> None:
        """Everything below `offset` is in the sink, which took `seconds` to make it durable."""
        intake, receiver = self._context.intake, self.receiver
        acked_before = receiver.acked_offset
        receiver.acknowledge(offset, now)
        intake.note_commit(offset, seconds)
        if receiver.acked_offset != acked_before and not self._over.is_set():
            intake.note_proof(now, receiver)
            if not receiver.is_settled:
                intake.interruptions.unproven(now, receiver)
        self._note_ack(offset, now)

    def _note_ack(self, offset: int, now: float) -> None:
        """An ack has answered a beat: yield now if a better producer waits."""
        self._say_checkpoint(offset, now)
        if self._context.line.note_ack(offset, now) and not self.is_draining:
            self.end(Reason.YIELD, now)

    def _rewind(self, now: float) -> None:
        unproven = self._sink.rewind()
        if unproven is not None:
            self._report.unproven(*unproven, now)

    def _say_checkpoint(self, offset: int, now: float) -> None:
        at, before = self._checkpoint
        if now - at >= CHECKPOINT_SECONDS:
            self._checkpoint = (now, offset)
            self._report.checkpoint(offset, rate=round((offset - before) / (now - at), 1))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._context.spawn(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    def _finish(self, error: Exception | None, now: float) -> None:
        if self._over.is_set():
            return
        self._over.set()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        ended = error or silent_end()
        context, receiver = self._context, self.receiver
        context.admission.leave(self)
        if not context.line.leave(self, reason_of(ended), now):
            self._report.stranger_left(ended, now)
        elif self._raw_sink is not None:  # a raw peer's only goodbye is to end without a word
            fields: dict[str, object] = {"taken": self._raw_numbers}
            if not isinstance(error, RawLineError) and (unfinished := receiver.unfinished_number):
                fields["unfinished"] = unfinished
            is_goodbye = error is None or isinstance(error, PeerClosed)
            context.intake.set_waiting(ended, now, is_polite=is_goodbye, **fields)
        else:
            context.intake.set_waiting(
                ended, now, is_polite=is_polite(ended), offset=receiver.offset, acked=receiver.acked_offset
            )
