"""Worker: listens, admits one connection at a time to its sink, lets a newer one take over, drains. Embeddable."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from random import SystemRandom
from time import monotonic
from typing import Any, Final

import structlog

from ..errors import PeerClosed, Reason, SettingsError, SinkError, reason_of
from ..net.connection import AcceptedConnection
from ..net.credentials import Credentials
from ..net.timers import TimerWheel
from ..observe.throttle import LINES_A_MINUTE, Throttle
from ..protocol.frames import Open
from ..protocol.receiver import Receiver
from ..settings import Address, WorkerSettings
from ..sinks import Sink
from ..sinks.immediate import DiscardSink, ImmediateSink
from .intake import Intake
from .session import Session

UNOPENED_LIMIT: Final = 16
"""Connections before their `#open`. Enough for any rightful producer; a stranger with more only displaces strangers."""
PARTINGS_LIMIT: Final = 16
"""Peers that have time to read why their connection ends: a thousand refused ones must not hold a thousand sockets."""
BACKLOG: Final = 64
"""Connections that the kernel may hold for us."""

log = structlog.get_logger("randstream")


class Worker:
    """Takes one stream into its sink until `stop`.

    `sink` replaces the one that the settings name, for a program that embeds the worker.
    """

    role: Final = "worker"

    def __init__(self, settings: WorkerSettings, sink: Sink | None = None) -> None:
        self.settings = settings
        self.sink: Sink = sink or make_sink(settings)
        self.live: Session | None = None
        self.sink_error: SinkError | None = None
        self.address: tuple[str, int] | None = None
        self._credentials = Credentials(settings) if settings.uses_tls else None
        self.intake = Intake(settings.name, self.sink, lambda: self.sink_problem)
        # What an observer asks of a role: see `ObservedRole`.
        self.name = settings.name
        self.links = (self.intake,)
        self.tally, self.journal, self.tap = self.intake.tally, self.intake.journal, self.intake.tap
        self._random = SystemRandom()
        self.partings = asyncio.Semaphore(PARTINGS_LIMIT)
        self._unopened: set[Session] = set()
        self._sessions: set[Session] = set()
        self._group: asyncio.TaskGroup | None = None
        self._wheel: TimerWheel | None = None
        self._listening = asyncio.Event()
        self._stopping = asyncio.Event()
        self.link_lines, self.unproven_lines = Throttle(LINES_A_MINUTE), Throttle(LINES_A_MINUTE)
        self._stranger_lines = Throttle(LINES_A_MINUTE)
        self._sink_lines = Throttle(LINES_A_MINUTE)
        self._bug: Exception | None = None

    @property
    def numbers(self) -> str | None:
        """The distribution of the stream; None before the first."""
        return None if self.intake.offered is None else self.intake.offered.numbers

    @property
    def problem(self) -> str | None:
        """Why the worker is not ready, for an operator; None while it is."""
        if not self._listening.is_set() or self._stopping.is_set():
            return "not listening"
        return self.sink_problem

    @property
    def sink_problem(self) -> str | None:
        """Why the sink takes no numbers now; None while it does."""
        return self.sink.problem or (str(self.sink_error) if self.sink_error else None)

    async def wait_listening(self) -> tuple[str, int]:
        """The address that the worker listens on, as soon as it does."""
        await self._listening.wait()
        assert self.address is not None
        return self.address

    def stop(self) -> None:
        """Begin the graceful end: take what the next beat proves, acknowledge it, `#close`. Idempotent."""
        self._stopping.set()

    async def run(self) -> None:
        """Listen and take numbers until `stop`, or until the sink can never take any again.

        Raises:
            SettingsError: the address cannot be bound, or the sink cannot work as set.
        """
        await self.sink.start()
        self._wheel = TimerWheel(asyncio.get_running_loop(), self._on_bug)
        try:
            with closing(await self._bind()) as server:
                async with asyncio.TaskGroup() as group:
                    self._group = group
                    await self._listen(server)
                    minding = group.create_task(self._mind_sink())
                    await self._stopping.wait()
                    server.close()
                    await self._drain()
                    minding.cancel()
        finally:
            self._wheel.close()
            await self.sink.close()
        if self._bug is not None:
            raise self._bug

    async def _bind(self) -> asyncio.Server:
        listen = self.settings.listen
        try:
            return await asyncio.start_server(
                self._accept, listen.host, listen.port, backlog=BACKLOG, start_serving=False
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {listen}: {error.strerror or error}; give another --listen HOST:PORT"
            ) from error

    async def _listen(self, server: asyncio.Server) -> None:
        await server.start_serving()
        self.address = server.sockets[0].getsockname()[:2]
        self._listening.set()
        log.info("worker.listening", worker=self.settings.name, address=str(Address(*self.address)))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._wheel is not None
        if self._stopping.is_set():
            writer.transport.abort()
            return
        if len(self._unopened) >= UNOPENED_LIMIT:
            self._random.choice(list(self._unopened)).end(Reason.BUSY)
        receiver = Receiver(self.settings.name, now=monotonic(), accepts_raw=self.settings.accept_raw)
        end = receiver if self._credentials is None else self._credentials.secure(receiver)
        wheel = self._wheel
        session = Session(self, receiver, lambda owner: AcceptedConnection(end, owner, wheel, writer))
        self._unopened.add(session)
        self._sessions.add(session)
        self.spawn(session.run())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """See `Host`."""
        assert self._group is not None
        return self._group.create_task(work)

    def admit(self, session: Session, offered: Open) -> bool:
        """See `Host`."""
        self._unopened.discard(session)
        older = self.live
        if older is not None:
            if older.offered is not None and older.offered.stream != offered.stream:
                return False
            older.end(Reason.TAKEOVER)
        self.live = session
        return True

    def admit_raw(self, session: Session) -> ImmediateSink | None:
        """See `Host`."""
        self._unopened.discard(session)
        if self.live is not None or not isinstance(self.sink, ImmediateSink):
            return None
        self.live = session
        return self.sink

    def note_sink(self, error: SinkError | None) -> None:
        """See `Host`."""
        now = monotonic()
        if error is not None and str(error) != str(self.sink_error):
            self.intake.journal.note("sink.failing", self.settings.name, str(error))
            advice = "nothing is acknowledged until this is mended"
            self._sink_lines.say(log.error, "sink.failing", now, error=str(error), advice=advice)
        if error is None and self.sink_error is not None:
            self._sink_lines.say(log.info, "sink.recovered", now)
        self.intake.tally.sink_failures += error is not None
        self.sink_error = error

    def note_end(self, session: Session, error: Exception | None) -> None:
        """See `Host`."""
        self._unopened.discard(session)
        self._sessions.discard(session)
        was_live = self.live is session
        if was_live:
            self.live = None
            reason = reason_of(error) if error else Reason.CUT
            self.intake.note_end(reason, str(error or "the peer ended the connection without a word"))
        fields: dict[str, object] = {"reason": str(reason_of(error)) if error else str(Reason.CUT)}
        if error is not None:
            fields["error"] = str(error)
        if not was_live:
            self._stranger_lines.say(session.log.info, "peer.left", monotonic(), **fields)
            return
        if not session.is_raw:
            fields |= {"offset": session.receiver.offset, "acked": session.receiver.acked_offset}
        has_said_goodbye = isinstance(error, PeerClosed) and error.reason is not Reason.CUT
        if has_said_goodbye or (session.is_raw and error is None):
            self.link_lines.say(session.log.info, "link.closed", monotonic(), **fields)
        else:
            self.link_lines.say(session.log.warning, "link.lost", monotonic(), **fields)

    async def _mind_sink(self) -> None:
        await self.sink.run()
        if self.live is not None:
            self.live.end(Reason.SHUTDOWN)  # to wait for its next beat would be in vain
        self.stop()

    async def _drain(self) -> None:
        for session in self._sessions - {self.live}:
            session.end(Reason.SHUTDOWN)
        if self.live is None:
            return
        live = self.live
        live.drain()
        try:
            async with asyncio.timeout(self.settings.grace_period):
                await live.wait_over()
        except TimeoutError:
            live.end(Reason.SHUTDOWN)

    def _on_bug(self, bug: Exception) -> None:
        self._bug = self._bug or bug
        self._stopping.set()


def make_sink(settings: WorkerSettings) -> Sink:
    """The sink that the settings name."""
    if settings.store is not None:
        from ..store import DurableSink

        return DurableSink(
            settings.store,
            settings.name,
            segment_bytes=settings.segment_bytes,
            retain_bytes=settings.retain_bytes,
        )
    if settings.discard:
        return DiscardSink()
    if settings.command:
        from ..sinks.command import CommandSink

        return CommandSink(settings.command)
    from ..sinks.pipe import StdoutSink

    return StdoutSink()
