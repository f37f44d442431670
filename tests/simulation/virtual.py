"""Tests on virtual time: a loop for pytest-asyncio on which a test, and everything it starts, has a world of its own.

The world has one machine, 127.0.0.1, and is seeded with the test's name: every run is the same. Nothing waits in wall
time. A test that would wait for ever fails at once, and so does one that leaves an exception unhandled.

A folder's `conftest.py` imports `pytest_asyncio_loop_factories` to run its tests on virtual time, except those that
are marked `kernel`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, Final

import pytest
from tests.simulation.loop import Loop
from tests.simulation.machines import Names, WorldClock
from tests.simulation.network import LOOPBACK, Host, Network
from tests.simulation.world import Pace, Process, Stuck, World

STEPS: Final = 1_000_000
"""Callbacks and events after which a test counts as an endless loop: some ten seconds of a core."""
TURN: Final = 0.00005
"""Seconds that a turn of the loop takes, as with a real one: a program that writes as fast as it can takes time, and
one that polls does not stop the clock."""


class VirtualLoop(Loop):
    """What `asyncio.Runner` and a test ask of a loop, and the world around it: `host`, `network`, `clock`, `names`."""

    def __init__(self, seed: str) -> None:
        self._closing = ExitStack()
        world = self._closing.enter_context(World(seed))
        self.network = Network(world)
        self.host: Host = self.network.host(LOOPBACK)
        process = Process(world, "the test", _nothing, self.host, Pace(turn=TURN))
        super().__init__(process)
        process.loop = self
        world.processes.append(process)
        self.clock = WorldClock(world)
        self.names = Names(world, world.random)
        """What host names resolve to."""
        self.names.addresses["localhost"] = [LOOPBACK]
        self._is_stopping = False

    def block(self, seconds: float) -> None:
        """Pretend that the calling callback took this long: what came due in that time is late."""
        self.world.now += seconds

    # ---- what asyncio.Runner asks ------------------------------------------------------------------------------------

    def run_until_complete(self, future: Awaitable[Any]) -> Any:
        """Run until it is done, as fast as possible.

        Raises:
            Stuck: it never will be. The cause shows where it waits.
        """
        task = asyncio.ensure_future(future, loop=self)
        try:
            why = self._run(task.done)
            if why:
                task.cancel(why)
                self._run(task.done)
                self._raise_stuck(task, why)
            result = task.result()
        except BaseException as error:
            for bug in self._take_bugs():
                error.add_note(f"Before that, nobody handled: {bug}")
            raise
        bugs = self._take_bugs()
        if bugs:
            raise AssertionError("nobody handled: " + "\n".join(bugs))
        return result

    def run_forever(self) -> None:
        """Run until `stop`, or until nothing is left to do."""
        try:
            self._run(lambda: self._is_stopping)
        finally:
            self._is_stopping = False

    def stop(self) -> None:
        self._is_stopping = True

    def close(self) -> None:
        if self.is_running():
            raise RuntimeError("cannot close a running loop")
        if not self.dead:
            self.process.end()
            self._closing.close()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Call the handler that the test has set; without one, the test fails."""
        handler = self.get_exception_handler()
        if self.dead:
            return
        if handler is None:
            super().call_exception_handler(context)
        else:
            handler(self, context)

    def _run(self, is_over: Callable[[], object]) -> str:
        """Run until something holds; otherwise return why it never will."""
        if self.dead:
            raise RuntimeError("the loop is closed")
        try:
            if self.world.run(is_over, STEPS):
                return ""
            return "waits for ever: nobody has anything left to do"
        except Stuck:
            return f"gets nowhere: it took {STEPS} steps"
        except BaseException:  # a signal's: KeyboardInterrupt, or the end of pytest-timeout's patience
            self.on_turn_over()
            raise

    def _raise_stuck(self, task: asyncio.Future[Any], why: str) -> None:
        problem = Stuck(f"the test {why}, {self.time():.3f} s on the world's clock")
        if not task.done():
            raise problem
        try:
            task.result()
        except BaseException as error:
            raise problem from error
        raise problem

    def _take_bugs(self) -> list[str]:
        bugs = [bug.text for bug in self.world.bugs]
        self.world.bugs.clear()
        return bugs


def pytest_asyncio_loop_factories(item: pytest.Item) -> dict[str, Callable[[], VirtualLoop]] | None:
    """pytest-asyncio's hook. None passes the question on to the next one, which has the real loops."""
    return None if item.get_closest_marker("kernel") else {"virtual": partial(VirtualLoop, item.nodeid)}


async def _nothing() -> None:
    """A test's process has no program but the test."""


def running_virtual_loop() -> VirtualLoop | None:
    """The loop that runs, if it is a virtual one."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return loop if isinstance(loop, VirtualLoop) else None


def virtual_loop() -> VirtualLoop:
    """The loop that runs, in a test that is on virtual time for sure."""
    loop = running_virtual_loop()
    assert loop is not None, "only on virtual time"
    return loop
