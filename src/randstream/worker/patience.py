"""Patience: how long a worker waits for its sink before it reports a stall: as long as the producer does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..net.timers import TimerWheel
from ..observe.sink_report import SinkReport
from ..protocol import SILENCE_HEARTBEATS
from ..protocol.end import Silence
from ..sinks import Sink


class Patience:
    """Reports a sink that does not answer. Every wait for the sink runs within `waiting`."""

    def __init__(self, wheel: TimerWheel, sink: Sink, report: SinkReport) -> None:
        self._wheel = wheel
        self._sink = sink
        self._report = report

    @contextmanager
    def waiting(self, heartbeat: float) -> Iterator[None]:
        """Report a stall if this takes longer than three times `heartbeat` (seconds), and its end once it is done.

        A wait that is abandoned proves nothing: the stall goes on.
        """
        clock = self._wheel.clock
        began = clock.now()
        silence = Silence(began, SILENCE_HEARTBEATS * heartbeat)

        def ring(now: float) -> None:
            if not silence.is_over(now, heartbeat):  # this process itself was frozen
                alarm.set(silence.deadline)
                return
            why = f": {self._sink.problem}" if self._sink.problem else ""
            self._report.stalled(self._sink.taker, now, since=clock.wall_time() - (now - began), why=why)

        alarm = self._wheel.alarm(ring)
        alarm.set(silence.deadline)
        try:
            yield
        finally:
            alarm.forget()
        self._report.went_on(clock.now())
