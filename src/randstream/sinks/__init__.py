"""Sinks: where a worker's numbers go, and who remembers how many went there."""

from __future__ import annotations

from typing import Protocol

from ..observe.sink_report import SinkReport
from ..protocol.frames import Beat, Lines, Open
from ..protocol.troubles import Taker


class Sink(Protocol):
    """Takes one stream's numbers and owns its offset. All methods are called on the loop's thread; none blocks it.

    The worker's order of calls, for each connection: `open`, `begin` if the producer chose the offset, then
    `append` for each run and `prove` at each beat that held; beside them `commit`, one at a time.
    After a connection that broke the grammar or failed a beat: `rewind`.
    """

    @property
    def taker(self) -> str:
        """What takes the numbers from it, in words for an operator: `the command sleep`."""

    @property
    def taker_kind(self) -> Taker:
        """The same in a word that producers understand."""

    @property
    def problem(self) -> str | None:
        """Why the sink cannot take numbers now, for an operator; None while it can. Feeds readiness."""

    @property
    def is_full(self) -> bool:
        """Whether the problem is that the disk has no room."""

    @property
    def warning(self) -> str | None:
        """What does not stop it from taking numbers, but needs a person; None: nothing."""

    async def start(self) -> None:
        """Acquire what the sink holds for life (a lock, a thread). Raises SettingsError: it can never work as set."""

    async def open(self, offered: Open) -> int | None:
        """Prepare for a connection of this stream and return the offset of the number that it must send first.

        Waits for a commit that still runs; drops what an older connection appended and is in no commit yet.
        None: nothing of this stream is held, the producer may choose.

        Raises SinkError: not now; the worker says `#wait` and calls again. OfferError: never.
        """

    def begin(self, offset: int) -> None:
        """The producer chose to start at `offset`, because `open` returned None."""

    def append(self, lines: Lines, count: int) -> None:
        """Take `count` whole number lines. A revocable sink only keeps them in memory, unproven."""

    def prove(self, beat: Beat) -> bool:
        """A beat held: everything appended so far, up to `beat.offset`, is as the producer sent it.

        True: and all of it is where it belongs, so there is nothing to commit.
        """

    async def commit(self) -> int:
        """Make all that is proven as durable as this sink promises; return the offset below which everything now is.

        May be cancelled; what has begun then continues, and `open` waits for it.

        Raises SinkError: not now; nothing is lost, the worker does not acknowledge and calls again.
        """

    def rewind(self) -> tuple[int, int] | None:
        """The connection broke the rules: trust nothing past the last proven offset.

        Returns the range of offsets (first, end) that had been passed on unproven and will come again, if any.
        """

    async def run(self, report: SinkReport) -> None:
        """Do what the sink has to do all its life besides being called, such as watching a command.

        Tells `report` of failures that no call by the worker sees. Returns when the sink can never take numbers again
        and the worker may end: a closed standard output.
        """

    async def close(self) -> None:
        """Release what `start` acquired, after the last commit has ended."""
