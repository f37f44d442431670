"""Orphans: process 1 of a container inherits all processes whose parent has died, and has to reap them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ..clock import Clock
from .spawn import is_ours

SWEEP_SECONDS: Final = 1.0
"""How long a process that has ended may stay in the kernel's table."""


@contextmanager
def reaping(clock: Clock) -> Iterator[None]:
    """Reap orphans during the block, on the running loop, if this is process 1 of a container."""
    if os.getpid() != 1:
        yield
        return

    timer: asyncio.TimerHandle | None = None

    def sweep() -> None:
        nonlocal timer
        reap_orphans()
        timer = clock.call_at(clock.now() + SWEEP_SECONDS, sweep)

    sweep()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def reap_orphans() -> int:
    """Reap what has ended and is not ours; return how many. The loop must learn itself how our own ended."""
    count = 0
    with suppress(ChildProcessError):  # there are none at all
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and not is_ours(ended.si_pid):
            os.waitpid(ended.si_pid, os.WNOHANG)
            count += 1
    return count
