"""Session: one accepted connection of a worker, from `#hello` to its end: deliver, commit, acknowledge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, assert_never

import structlog

from ..errors import LocalProtocolError, PeerClosed, Reason, RemoteProtocolError, SinkError
from ..net.connection import AcceptedConnection
from ..observe.throttle import Throttle
from ..protocol.events import Acknowledged, Closed, Event, Greeted, Opened, Proved, Resumed, Started, Waited
from ..protocol.frames import Beat, Numbers, Open
from ..protocol.receiver import Receiver
from ..protocol.states import State
from ..sinks import Sink
from ..sinks.immediate import ImmediateSink
from .intake import Intake

SINK_RETRY_SECONDS: Final = 1.0
"""How long a sink that failed is left alone before the next attempt."""
CHECKPOINT_SECONDS: Final = 10.0
"""At most one `worker.checkpoint` line in so long: a sign of life, not a diary."""


class Host(Protocol):
    """What a session asks of its worker."""

    @property
    def sink(self) -> Sink:
        """Where numbers go."""

    @property
    def partings(self) -> asyncio.Semaphore:
        """How many sessions may wait for their peers to read why they end; the others just end."""

    @property
    def intake(self) -> Intake:
        """Who counts what passes."""

    @property
    def link_lines(self) -> Throttle:
        """How many more log lines there may be about the link."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a part of the session, in the worker's care."""

    @property
    def unproven_lines(self) -> Throttle:
        """And about numbers that went out unproven: those are not to be lost among the others."""

    def admit(self, session: Session, offered: Open) -> bool:
        """Whether the session may have the sink; an older one of the same stream has then been ended."""

    def admit_raw(self, session: Session) -> ImmediateSink | None:
        """The sink for a raw peer's numbers; None: it may not have any."""

    def note_sink(self, error: SinkError | None) -> None:
        """The sink failed, or worked."""

    def note_end(self, session: Session, error: Exception | None) -> None:
        """The session is over; None: the peer ended the connection without a word."""


class Session:
    """Drives one `Receiver` between a connection and the worker's sink.

    `connect` makes the connection that is to tell this session, its `Owner`, what comes.
    """

    def __init__(self, host: Host, receiver: Receiver, connect: Callable[[Session], AcceptedConnection]) -> None:
        self.receiver = receiver
        self.offered: Open | None = None
        self._host = host
        self._raw_sink: ImmediateSink | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._is_resumed_by_name = False
        self._proved = asyncio.Event()
        self._is_draining = False
        self._drained_offset: int | None = None
        self._checkpoint = (0.0, 0)
        self._bug: Exception | None = None
        self._connection = connect(self)
        self.peer = self._connection.peer
        self.log = structlog.get_logger("randstream").bind(peer=self.peer)

    async def run(self) -> None:
        """Serve the connection to its end. Raises nothing but bugs."""
        try:
            await self._over.wait()
        finally:
            self._finish(None)
            if self.offered is not None and not self._host.partings.locked():
                async with self._host.partings:
                    await self._connection.wait_parted()
            self._connection.close()
        if self._bug is not None:
            raise self._bug

    def end(self, reason: Reason) -> None:
        """Close the connection politely, now. Nothing that comes late from it reaches the sink."""
        self.receiver.close(reason)
        self._finish(PeerClosed(reason, "this worker"))

    async def wait_over(self) -> None:
        """Wait until the session has ended."""
        await self._over.wait()

    def drain(self) -> None:
        """End at the next beat, once all that it proves is in the sink and acknowledged."""
        if self.receiver.state is State.STREAMING:
            self._is_draining = True
        else:
            self.end(Reason.SHUTDOWN)

    @property
    def is_raw(self) -> bool:
        """Whether the peer sends number lines and nothing else: its end without a word is a polite one."""
        return self._raw_sink is not None

    def on_made(self) -> None:
        """See `Owner`. The receiver has its greeting ready."""

    def on_event(self, event: Event, now: float) -> None:
        """See `Owner`."""
        if not self._over.is_set():
            self._handle(event)

    def on_writable(self, now: float) -> None:
        """See `Owner`. A session speaks when it is asked."""

    def on_lost(self, error: Exception | None) -> None:
        """See `Owner`."""
        if isinstance(error, OSError | None):
            self._finish(error)
        else:
            self._bug = error
            self._finish(None)

    def _handle(self, event: Event) -> None:
        match event:
            case Opened(offered):
                self._offer(offered)
            case Started(offset):
                self._start(offset)
            case Numbers():
                self._take(event)
            case Proved(beat):
                self._prove(beat)
            case Closed(error):
                if isinstance(error, RemoteProtocolError) and self.receiver.offset is not None:
                    self._rewind()
                self._finish(error)
            case Greeted() | Waited() | Resumed() | Acknowledged():
                raise LocalProtocolError(f"a receiver reports {event}")
            case _:
                assert_never(event)

    def _offer(self, offered: Open) -> None:
        self.offered = offered
        self.log = self.log.bind(producer=offered.producer, stream=offered.stream)
        if self._host.admit(self, offered):
            self._host.intake.note_open(offered)
            self._spawn(self._open(offered))
        else:
            self.end(Reason.REFUSED)

    async def _open(self, offered: Open) -> None:
        offset = await self._open_sink(offered)
        self._is_resumed_by_name = offset is not None
        self.receiver.resume(offset, self._connection.now)
        self._connection.flush()
        await self._commit()

    async def _open_sink(self, offered: Open) -> int | None:
        while True:
            try:
                offset = await self._host.sink.open(offered)
            except SinkError as error:
                self._host.note_sink(error)
                self.receiver.wait(self._connection.now)
                self._connection.flush()
                await asyncio.sleep(SINK_RETRY_SECONDS)
            else:
                self._host.note_sink(None)
                return offset

    def _start(self, offset: int) -> None:
        if not self._is_resumed_by_name:
            self._host.sink.begin(offset)
        self._checkpoint = (self._connection.now, offset)
        self._host.intake.note_start(offset, self._connection.now)
        self._say(self.log.info, "link.resumed", offset=offset, numbers=self.offered and self.offered.numbers)

    def _take(self, numbers: Numbers) -> None:
        if self.offered is not None:
            if self._drained_offset is None:
                self._host.sink.append(numbers.run, numbers.count)
                self._host.intake.note_numbers(numbers.run, numbers.count)
            return
        if self._raw_sink is None:
            self._raw_sink = self._host.admit_raw(self)
            if self._raw_sink is None:
                self.end(Reason.REFUSED)
                return
            self._host.intake.note_raw()
            self._say(self.log.info, "raw.accepted")
        self._raw_sink.append_raw(numbers.run)
        self._host.intake.note_numbers(numbers.run, numbers.count, is_raw=True)
        self._connection.pause_reading()
        self._spawn(self._read_on(self._raw_sink))

    async def _read_on(self, sink: ImmediateSink) -> None:
        """A raw peer knows no window: it waits until the sink has room."""
        await sink.wait_room()
        self._connection.resume_reading()

    def _prove(self, beat: Beat) -> None:
        if self._drained_offset is not None:
            return
        is_done = self._host.sink.prove(beat)
        now = self._connection.now
        self._host.intake.note_beat(now)
        self._say_checkpoint(beat.offset)
        if self._is_draining:
            self._drained_offset = beat.offset
        if self.receiver.acked_offset != beat.offset:
            if not is_done:
                self._proved.set()
                return
            self.receiver.acknowledge(beat.offset, now)
            self._host.intake.note_commit(beat.offset, 0.0)
        if self._is_draining:
            self.end(Reason.SHUTDOWN)

    async def _commit(self) -> None:
        while True:
            await self._proved.wait()
            self._proved.clear()
            started_at = self._connection.now
            try:
                offset = await self._host.sink.commit()
            except SinkError as error:
                self._host.note_sink(error)
                await asyncio.sleep(SINK_RETRY_SECONDS)
                self._proved.set()
                continue
            self._host.note_sink(None)
            now = self._connection.now
            self.receiver.acknowledge(offset, now)
            self._host.intake.note_commit(offset, now - started_at)
            self._connection.flush()
            if self._drained_offset is not None and offset >= self._drained_offset:
                self.end(Reason.SHUTDOWN)
                return  # `end` cancels the other tasks, not the one that calls it

    def _rewind(self) -> None:
        unproven = self._host.sink.rewind()
        if unproven is not None:
            first, end = unproven
            self._host.unproven_lines.say(
                self.log.warning, "worker.unproven", self._connection.now, first=first, end=end,
                advice="these numbers went out unproven and come again",
            )  # fmt: skip

    def _say_checkpoint(self, offset: int) -> None:
        now = self._connection.now
        at, before = self._checkpoint
        if now - at >= CHECKPOINT_SECONDS:
            self._checkpoint = (now, offset)
            self.log.info("worker.checkpoint", offset=offset, rate=round((offset - before) / (now - at), 1))

    def _say(self, write: Callable[..., object], event: str, **fields: object) -> None:
        self._host.link_lines.say(write, event, self._connection.now, **fields)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._host.spawn(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _finish(self, error: Exception | None) -> None:
        if self._over.is_set():
            return
        self._over.set()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._host.note_end(self, error)
