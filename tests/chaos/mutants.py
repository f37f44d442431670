"""Mutants: randstream with one rule broken, to prove that this suite would notice.

`python -m tests.chaos.mutants NAME ARGUMENTS` is `python -m randstream ARGUMENTS` with the mutant NAME. Each breaks
what a real mistake would break, in a real process, and nothing else. Nothing in src knows of them.
`honest` breaks nothing. All leave no line out of their logs: a storm counts what they say.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from randstream.protocol.frames import Beat, Open

LATE_SECONDS: Final = 0.15
"""How long the write lags behind the ack: most of a heartbeat of the storm, as with a write-back cache."""


def ack_before_the_write() -> None:
    """The sink says that everything is stored, and begins to store it a moment later."""
    from randstream.store import DurableSink

    honest_open, honest_prove, honest_commit = DurableSink.open, DurableSink.prove, DurableSink.commit
    proven: dict[DurableSink, int] = {}
    late: set[asyncio.Task[int]] = set()

    async def open_(self: DurableSink, offered: Open) -> int:
        proven[self] = await honest_open(self, offered)
        return proven[self]

    def prove(self: DurableSink, beat: Beat) -> bool:
        proven[self] = beat.offset
        return honest_prove(self, beat)

    async def commit(self: DurableSink) -> int:
        async def write() -> int:
            await asyncio.sleep(LATE_SECONDS)
            return await honest_commit(self)

        late.add(asyncio.create_task(write()))
        return proven[self]

    DurableSink.open, DurableSink.prove, DurableSink.commit = open_, prove, commit


def no_crc_check() -> None:
    """The worker counts the numbers up to a beat, but takes any checksum for theirs."""
    from randstream.protocol import receiver

    class AnyCrc(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    receiver.extend_crc = lambda crc, lines: AnyCrc()  # type: ignore[attr-defined] # what it imports, replaced there


def offset_of_another_stream() -> None:
    """After a resume, the producer makes a stream's numbers from where another of its streams stands."""
    from randstream.numbers import known_answers
    from randstream.numbers.stream import NumberStream

    honest_view, honest_check = NumberStream.view, known_answers.check_known_answers
    ends: dict[str, int] = {}
    shifts: dict[str, int] = {}

    def view(self: NumberStream, offset: Any, count: Any) -> bytes | memoryview:
        if ends.get(self.id) != offset:
            shifts[self.id] = max([offset, *ends.values()]) - offset
        ends[self.id] = offset + count
        return honest_view(self, offset + shifts[self.id], count)

    def check_known_answers() -> None:
        """They do not depend on other streams, so the mistake must not change them."""
        honest_check()
        NumberStream.view = view

    known_answers.check_known_answers = check_known_answers


def interruptions_from_noticing() -> None:
    """The time before the loss of a connection is noticed does not count as interrupted."""
    from randstream.errors import Reason
    from randstream.observe.interruptions import Interruptions

    honest_lost = Interruptions.lost

    def lost(self: Interruptions, reason: Reason, now: float) -> None:
        honest_lost(self, reason, now)
        if self._begun is not None and self._begun.noticed_at == now:
            self._begun = replace(self._begun, since=now)

    Interruptions.lost = lost


def honest() -> None:
    """No mutant."""


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (ack_before_the_write, no_crc_check, offset_of_another_stream)
}
CHECK_MUTANTS: Final = {each.__name__: each for each in (interruptions_from_noticing,)}
"""What tests/chaos/test_check.py would notice, and a storm would not."""

if __name__ == "__main__":
    from randstream.cli.entry import main
    from randstream.observe.throttle import Throttle

    Throttle.admit = lambda self, now: 0
    {**MUTANTS, **CHECK_MUTANTS, "honest": honest}[sys.argv.pop(1)]()
    main()
