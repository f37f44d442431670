"""Clock: the time of a process, and its timers. It is handed to all that needs it; nothing else reads the time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Clock:
    """All times are in seconds."""

    now: Callable[[], float] = staticmethod(time.monotonic)
    """The monotonic time, which both loops' own clocks follow; uvloop's counts only whole milliseconds."""
    wall_time: Callable[[], float] = staticmethod(time.time)
    """Seconds since 1970, for people. It may step, so nothing is measured with it."""

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Have the running loop call `callback` at `when`, in monotonic time."""
        return asyncio.get_running_loop().call_at(when, callback)

    def call_soon(self, callback: Callable[[], None]) -> asyncio.Handle:
        """Have the running loop call `callback` in its next turn."""
        return asyncio.get_running_loop().call_soon(callback)
