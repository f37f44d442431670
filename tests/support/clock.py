"""Clock: time that a test can move on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from tests.protocol.network import START
from tests.simulation.virtual import running_virtual_loop

from randstream.clock import Clock
from randstream.net.timers import TimerWheel


def clock_of_loop() -> Clock:
    """A clock on the time of the running loop, real or virtual."""
    loop = running_virtual_loop()
    return Clock() if loop is None else loop.clock


def a_wheel() -> TimerWheel:
    """A timer wheel on that clock, for alarms that have no bugs."""

    def raise_bug(bug: Exception) -> None:
        raise bug

    return TimerWheel(clock_of_loop(), raise_bug)


class StoppedClock(Clock):
    """Time that only the test moves on; it also turns the wheel by hand."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(3600, callback)


class JumpingClock(Clock):
    """The running loop's time, plus all jumps so far. Pass it to roles and timer wheels."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._pending: list[tuple[asyncio.TimerHandle, Callable[[], None]]] = []

    def now(self) -> float:
        loop = running_virtual_loop()
        return (monotonic() if loop is None else loop.time()) + self.ahead

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        handle = asyncio.get_running_loop().call_at(when - self.ahead, callback)
        self._pending = [each for each in self._pending if not each[0].cancelled()][-100:]
        self._pending.append((handle, callback))
        return handle

    def jump(self, seconds: float) -> None:
        """Let `seconds` pass at once. Timers that are now due fire in the loop's next turn."""
        self.ahead += seconds
        pending, self._pending = self._pending, []
        for handle, callback in pending:
            if not handle.cancelled():
                handle.cancel()
                asyncio.get_running_loop().call_soon(callback)
