"""Worker: listens, gives each connection a session, looks after the sink, drains. Embeddable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack, closing
from random import Random, SystemRandom
from typing import Final

import structlog

from ..clock import Clock
from ..errors import OfferError, Reason, SettingsError, SinkError
from ..net.accepted import AcceptedConnection
from ..net.credentials import Credentials
from ..net.descriptors import tell_if_used_up
from ..net.listening import listen
from ..net.timers import TimerWheel
from ..observe.expiry import Certificate
from ..observe.journal import Journal
from ..observe.sink_report import SinkReport
from ..observe.tally import Tally
from ..protocol.receiver import Receiver
from ..protocol.troubles import Ailment, trouble_word
from ..settings import Address, WorkerSettings
from ..sinks import Sink
from ..sinks.immediate import DiscardSink, ImmediateSink
from .admission import Admission
from .intake import Intake
from .line import Line
from .patience import Patience
from .session import SINK_RETRY_SECONDS, Session, SessionContext

BACKLOG: Final = 64
"""Connections that the kernel may queue for us."""

log = structlog.get_logger("randstream")


class Worker:
    """Takes one stream into its sink until `stop`. Time and chance can be passed in.

    `sink` replaces the one in the settings, for a program that embeds the worker.
    """

    role: Final = "worker"

    def __init__(
        self,
        settings: WorkerSettings,
        sink: Sink | None = None,
        *,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or Clock()
        random = random or SystemRandom()
        self.sink: Sink = sink or make_sink(settings, self.clock, random)
        self.address: tuple[str, int] | None = None
        # What an observer asks a role for: see `ObservedRole`.
        self.name, self.rate = settings.name, None
        self.tally, self.journal = Tally(), Journal(self.clock)
        self.line = Line(settings.name, random)
        self.intake = Intake(
            settings.name, self.sink, self.tally, self.journal, self.line, self.clock, lambda: self.sink_problem
        )
        self.links, self.tap = (self.intake,), self.intake.tap
        self._sink_report = SinkReport(settings.name, self.tally, self.journal)
        self.admission = Admission(random)
        self._credentials = Credentials(settings, self.clock) if settings.uses_tls else None
        self._context: SessionContext | None = None
        self._listening = asyncio.Event()
        self._stopping = asyncio.Event()
        self._bug: Exception | None = None

    @property
    def numbers(self) -> str | None:
        """The distribution of the stream; None before the first stream."""
        return None if self.intake.offered is None else self.intake.offered.numbers

    @property
    def heartbeat(self) -> float | None:
        """Seconds between the producer's beats; None before the first stream."""
        return None if self.intake.offered is None else self.intake.offered.heartbeat

    @property
    def problem(self) -> str | None:
        """Why the worker is not ready, for an operator; None while it is."""
        if not self._listening.is_set() or self._stopping.is_set():
            return "not listening"
        return self.sink_problem

    @property
    def sink_problem(self) -> str | None:
        """Why the sink takes no numbers now; None while it does."""
        return self.sink.problem or self._sink_report.problem

    @property
    def trouble(self) -> str | None:
        """The same in one word, for the producer."""
        if self.sink_problem is None:
            return None
        if self.sink.is_full:
            ailment = Ailment.FULL
        elif self.sink.problem is None and self._sink_report.is_stalled:
            ailment = Ailment.STUCK
        else:
            ailment = Ailment.FAILING
        return trouble_word(self.sink.taker_kind, ailment)

    @property
    def warning(self) -> str | None:
        """A problem that does not stop the stream but needs a person; None if there is none."""
        doubles, warning = self.line.doubles(), self._sink_report.warning
        if doubles:
            named = f"several producers are named {', '.join(doubles)}; give each a --name of its own"
            return f"{named}; {warning}" if warning else named
        return warning

    @property
    def certificates(self) -> Sequence[Certificate]:
        """Those that end the use of the files for TLS."""
        return () if self._credentials is None else self._credentials.certificates()

    async def wait_listening(self) -> tuple[str, int]:
        """The address that the worker listens on, as soon as it does."""
        await self._listening.wait()
        assert self.address is not None
        return self.address

    def stop(self) -> None:
        """Begin the graceful end: take what the next beat proves, acknowledge it, `#close`. Idempotent."""
        self._stopping.set()

    def end_stream(self) -> None:
        """Say `#close` to the producer now, without waiting for its next beat."""
        if (session := self.line.holder) is not None:
            session.end(Reason.SHUTDOWN, self.clock.now())

    async def run(self) -> None:
        """Listen and take numbers until `stop`, or until the sink can never take any again.

        Raises:
            SettingsError: the address cannot be bound, or the sink cannot work as set.
        """
        await self.sink.start()
        wheel = TimerWheel(self.clock, self._on_bug)
        try:
            if self._credentials is not None:
                self._credentials.watch(wheel)
            with ExitStack() as listening:
                servers = [listening.enter_context(closing(server)) for server in await self._bind()]
                async with asyncio.TaskGroup() as group:
                    patience = Patience(wheel, self.sink, self._sink_report)
                    self._context = SessionContext(
                        wheel,
                        self.sink,
                        self._sink_report,
                        self.intake,
                        self.admission,
                        self.line,
                        patience,
                        group.create_task,
                    )
                    await self._listen(servers)
                    minding = group.create_task(self._mind_sink())
                    promoting = group.create_task(self._promote(patience))
                    await self._stopping.wait()
                    self.intake.interruptions.finish(self.clock.now())  # our own end is not an interruption
                    listening.close()
                    promoting.cancel()
                    await self._drain()
                    if self.settings.accept_raw and isinstance(self.sink, ImmediateSink):  # it will not come again
                        passing = group.create_task(self.sink.wait_passed())
                        await asyncio.wait(
                            {minding, passing}, timeout=self.settings.grace_period, return_when="FIRST_COMPLETED"
                        )
                        passing.cancel()
                    minding.cancel()
        finally:
            wheel.close()
            await self.sink.close()
        if self._bug is not None:
            raise self._bug

    async def _bind(self) -> list[asyncio.Server]:
        def make_server(host: str, port: int) -> Awaitable[asyncio.Server]:
            return asyncio.start_server(self._accept, host, port, backlog=BACKLOG, start_serving=False)

        try:
            return await listen(make_server, self.settings.listen)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {self.settings.listen}: {error.strerror or error}; give another --listen HOST:PORT"
            ) from error

    async def _listen(self, servers: list[asyncio.Server]) -> None:
        for server in servers:
            await server.start_serving()
        self.address = servers[0].sockets[0].getsockname()[:2]
        self._listening.set()
        log.info("worker.listening", worker=self.settings.name, address=str(Address(*self.address)))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tell_if_used_up()
        context = self._context
        assert context is not None
        if self._stopping.is_set():
            writer.transport.abort()
            return
        now = self.clock.now()
        receiver = Receiver(
            self.settings.name, now=now, accepts_raw=self.settings.accept_raw, trouble=lambda: self.trouble
        )
        end = receiver if self._credentials is None else self._credentials.secure(receiver)
        session = Session(context, receiver, lambda owner: AcceptedConnection(end, owner, context.wheel, writer))
        self.admission.enter(session, now)
        context.spawn(session.run())

    async def _mind_sink(self) -> None:
        await self.sink.run(self._sink_report)
        self.end_stream()  # its next beat could not be stored
        self.stop()

    async def _promote(self, patience: Patience) -> None:
        """Whenever no producer serves, open the sink for the next."""
        while True:
            offered = await self.line.next_offer()
            try:
                with patience.waiting(offered.heartbeat):
                    offset = await self.sink.open(offered)
            except OfferError as error:
                self.intake.report.refused(error, self.clock.now(), producer=offered.producer, stream=offered.stream)
                self.line.refuse(offered, self.clock.now())
            except SinkError as error:
                self._sink_report.failed(str(error), self.clock.now(), retry_in=SINK_RETRY_SECONDS)
                if error.needs_person:
                    self.line.set_aside(offered)
                await asyncio.sleep(SINK_RETRY_SECONDS)
            else:
                self._sink_report.worked(self.clock.now(), self.sink.warning)
                self.line.promote(offered, offset, self.clock.now())

    async def _drain(self) -> None:
        session = self.line.holder
        self.admission.end_all_but(session, Reason.SHUTDOWN, self.clock.now())
        if session is None:
            return
        session.drain(self.clock.now())
        try:
            async with asyncio.timeout(self.settings.grace_period):
                await session.wait_over()
        except TimeoutError:
            session.end(Reason.SHUTDOWN, self.clock.now())

    def _on_bug(self, bug: Exception) -> None:
        self._bug = self._bug or bug
        self._stopping.set()


def make_sink(settings: WorkerSettings, clock: Clock, random: Random) -> Sink:
    """The sink that the settings name."""
    if settings.store is not None:
        from ..store import DurableSink

        return DurableSink(
            settings.store,
            settings.name,
            segment_bytes=settings.segment_bytes,
            retain_bytes=settings.retain_bytes,
            clock=clock,
        )
    if settings.discard:
        return DiscardSink()
    if settings.command:
        from ..sinks.command import CommandSink

        return CommandSink(settings.command, clock, random)
    from ..sinks.stdout import StdoutSink

    return StdoutSink(clock)
