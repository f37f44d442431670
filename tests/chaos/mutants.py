"""Mutants: randstream with one rule broken, to prove that the suite has teeth.

`python -m tests.chaos.mutants NAME ARGUMENTS` is `python -m randstream ARGUMENTS` with the mutant NAME. Each breaks
what a real mistake would break, as a real process, and nothing else. Nothing in src knows of them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

LATE_SECONDS: Final = 0.15
"""How far the write lags behind the ack: most of a heartbeat of the storm, as a write-back cache may."""


def ack_before_the_write() -> None:
    """The sink says that all is stored, and begins to store it a moment later."""
    from randstream.store import DurableSink

    honest = DurableSink.commit
    late: set[asyncio.Task[int]] = set()

    async def commit(self: DurableSink) -> int:
        async def write() -> int:
            await asyncio.sleep(LATE_SECONDS)
            return await honest(self)

        late.add(asyncio.create_task(write()))
        return self._proven_offset

    DurableSink.commit = commit


def no_crc_check() -> None:
    """The worker counts the numbers up to a beat, but believes whatever they are."""
    from randstream.protocol.receiver import Receiver

    honest = Receiver._check

    def check(self: Receiver, beat: Any) -> None:
        self._crc = beat.crc
        honest(self, beat)

    Receiver._check = check


def offset_of_another_stream() -> None:
    """The producer makes the numbers of one worker from where another worker's stream stands."""
    from randstream.producer.stream_session import StreamSession

    original = StreamSession._resume

    def resume(self: Any, offset: int, now: float) -> None:
        others = [other for name, other in self._context.acked_offsets.items() if name != self._stream.id]
        self._sender.offset = max([offset, *others])
        original(self, self._sender.offset, now)

    StreamSession._resume = resume


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    each.__name__: each for each in (ack_before_the_write, no_crc_check, offset_of_another_stream)
}

if __name__ == "__main__":
    from randstream.cli.commands import main

    MUTANTS[sys.argv.pop(1)]()
    main()
