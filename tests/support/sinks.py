"""Sinks: one that keeps what it takes, and what a sink reports to."""

from __future__ import annotations

from tests.support.stream import NUMBERS, WORKER
from tests.support.waiting import until

from randstream.clock import Clock
from randstream.observe.journal import Journal
from randstream.observe.sink_report import SinkReport
from randstream.observe.tally import Tally
from randstream.protocol.frames import Lines, Open
from randstream.sinks.immediate import ImmediateSink


class Memory(ImmediateSink):
    """An immediate sink that keeps everything it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""
        self.runs: list[tuple[int, bytes]] = []
        """Each run and its offset in the stream."""

    def remember(self, stream_id: str, offset: int) -> Memory:
        """Pretend that it took the numbers of `stream_id` up to `offset` before."""
        self._taken, self._offset = Open(WORKER, stream_id, NUMBERS, "producer-0", 1.0), offset
        return self

    @property
    def count(self) -> int:
        """How many numbers it has taken."""
        return self.taken.count(b"\n")

    def _pass_on(self, lines: Lines, counted: int) -> None:
        self.runs.append((self._offset - counted, bytes(lines)))
        self.taken += lines

    async def wait_count(self, count: int) -> None:
        await until(lambda: self.count >= count, f"{count} numbers, not {self.count}")


def a_report() -> SinkReport:
    """What a sink is given to report to."""
    return SinkReport(WORKER, Tally(), Journal(Clock()))
