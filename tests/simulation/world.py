"""A world of asyncio programs in one OS process, on virtual time, in which a seed decides everything left to chance.

Models: FoundationDB's simulation and TigerBeetle's VOPR. The same seed gives the same run, to the last callback, as
long as the programs depend on nothing outside: not the real clock, not a global random, not the order of a set of plain
objects.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from asyncio import events
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import count
from random import Random
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol

from tests.simulation.burial import Outside, bury
from tests.simulation.loop import Loop

Main = Callable[[], Coroutine[Any, Any, Any]]

START: Final = 1000.0
"""Seconds. Not zero: a program that takes 0.0 for "never" would get away with it."""
COLLECT_STEPS: Final = 200_000
"""Callbacks between two garbage collections: a few per cent of the time, and memory only for their cycles."""
STALE_TIMERS: Final = 1000
"""Cancelled timers that the heap may hold before they are thrown out, once they are most of it."""


class Bug(NamedTuple):
    """An unhandled exception."""

    time: float
    process: str
    text: str


class Note(NamedTuple):
    """An entry of the trace."""

    time: float
    process: str
    text: str


class Stuck(AssertionError):
    """The run took more steps than it was given."""


class Place(Protocol):
    """Where a process runs, and its kernel: `network.Host`, or only a name."""

    address: str

    def resolve(self, host: Any) -> list[str]: ...

    def create_connection(self, loop: Loop, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]: ...

    def create_server(self, loop: Loop, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]: ...

    def release(self, loop: Loop) -> None:
        """The process is gone: close its sockets as a kernel does."""


@dataclass
class Pace:
    """How slow a process is, in seconds; a pair is a minimum and a maximum. Change it at any time."""

    timer_lateness: float = 0.0
    """The most that a timer is late."""
    late_until: float = math.inf
    """Timers due from then on are on time again."""
    call_delay: tuple[float, float] = (0.00001, 0.0005)
    """From the start of a call in a thread to its effect."""
    result_delay: tuple[float, float] = (0.00001, 0.0005)
    """From there until the loop hears of it."""
    turn: float = 0.0
    """How long one turn of the loop takes. Programs that poll need some, or their time stands still."""


@dataclass
class Leftovers:
    """What a process has not cleaned up. True if there is anything."""

    tasks: list[str] = field(default_factory=list)
    timers: list[str] = field(default_factory=list)
    transports: list[str] = field(default_factory=list)
    servers: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.tasks or self.timers or self.transports or self.servers)


class World(Outside):
    """Time, chance, events and processes. In a `with` block, garbage is always collected at the same steps, too."""

    def __init__(self, seed: int | str, *, tracing: bool = False) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.now = START
        self.steps = 0
        """Callbacks of processes and events of the world so far."""
        self.heap: list[tuple[float, int, Callable[..., object] | None, Any]] = []
        """(time, number, None, timer) or (time, number, function, its arguments)."""
        self.runnable: list[Loop] = []
        self.processes: list[Process] = []
        """Those alive, oldest first."""
        self.bugs: list[Bug] = []
        self.trace: list[Note] | None = [] if tracing else None
        self.count = count(1).__next__
        """The next number of an order in which things were made."""
        self._stale = 0
        self._next_collection = COLLECT_STEPS

    def __enter__(self) -> World:
        gc.disable()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
        gc.enable()

    def close(self) -> None:
        """Kill all processes and forget all future events."""
        for process in list(self.processes):
            process.kill()
        self.heap.clear()

    # ---- time and chance ---------------------------------------------------------------------------------------------

    def time(self) -> float:
        """`now`, to take the place of `time.monotonic`."""
        return self.now

    def at(self, when: float, function: Callable[..., object], *args: Any) -> None:
        """Call a function at a time, outside every process."""
        heappush(self.heap, (max(when, self.now), self.count(), function, args))

    def after(self, delay: float, function: Callable[..., object], *args: Any) -> None:
        """Call a function after that many seconds, outside every process."""
        heappush(self.heap, (self.now + delay, self.count(), function, args))

    def between(self, bounds: tuple[float, float]) -> float:
        """A random number of seconds."""
        low, high = bounds
        return low + (high - low) * self.random.random()

    def note(self, text: str, process: str = "") -> None:
        """Add a line to the trace, if there is one."""
        if self.trace is not None:
            self.trace.append(Note(self.now, process, text))

    # ---- processes ---------------------------------------------------------------------------------------------------

    def start(self, name: str, main: Main, place: Place | None = None, pace: Pace | None = None) -> Process:
        """Start a process, which lives until the coroutine from `main()` has ended, or until it is killed."""
        process = Process(self, name, main, place, pace or Pace())
        self.processes.append(process)
        process.loop.call_soon(process.begin)
        self.note("starts", name)
        return process

    # ---- running -----------------------------------------------------------------------------------------------------

    def run(self, until: float | Callable[[], object] = math.inf, steps: float = math.inf) -> bool:
        """Run to a time, or until something holds; return false if there was nothing left to do before that.

        More than `steps` steps raise `Stuck`.
        """
        holds = until if callable(until) else None
        end = math.inf if callable(until) else until
        last_step = self.steps + steps
        heap, runnable, random = self.heap, self.runnable, self.random.random
        outer_loop, outer_hooks = events._get_running_loop(), sys.get_asyncgen_hooks()
        events._set_running_loop(None)
        try:
            while holds is None or not holds():
                if self.steps > last_step:
                    raise Stuck(f"{steps} steps are over at {self.now}: {runnable}")
                if self.steps > self._next_collection:
                    self.collect()
                while heap and heap[0][0] <= self.now:
                    _, _, function, args = heappop(heap)
                    if function is None:
                        self._on_timer(args)
                    else:
                        self.steps += 1
                        function(*args)
                if runnable:
                    loop = runnable.pop()
                    if runnable:  # each may be the next
                        at = int(random() * (len(runnable) + 1))
                        if at < len(runnable):
                            runnable[at], loop = loop, runnable[at]
                    if not loop.frozen:
                        self.steps += loop.turn()
                        if loop.process.pace.turn:
                            self.after(loop.process.pace.turn, loop.on_turn_over)
                            continue
                    loop.on_turn_over()
                elif not heap:
                    self.now = max(self.now, end) if end < math.inf else self.now
                    return holds is None and end < math.inf
                elif heap[0][2] is None and heap[0][3]._cancelled:
                    self._on_timer(heappop(heap)[3])  # time does not move for it
                elif heap[0][0] > end:
                    self.now = max(self.now, end)
                    return True
                else:
                    self.now = heap[0][0]
            return True
        finally:
            events._set_running_loop(outer_loop)
            sys.set_asyncgen_hooks(*outer_hooks)

    def collect(self) -> None:
        """Collect garbage: exceptions that were never retrieved become bugs."""
        self._next_collection = self.steps + COLLECT_STEPS
        gc.collect()

    def on_timer_cancelled(self) -> None:
        """Timeouts are mostly cancelled: without this they would fill the heap until they are due."""
        self._stale += 1
        if self._stale > STALE_TIMERS and self._stale * 2 > len(self.heap):
            self.heap[:] = [each for each in self.heap if each[2] is not None or not each[3]._cancelled]
            heapify(self.heap)
            self._stale = 0

    def _on_timer(self, timer: Any) -> None:
        timer._scheduled = False
        if timer._cancelled:
            self._stale -= 1
            return
        loop: Loop = timer._loop
        if loop.frozen:
            loop.late.append(timer)
        else:
            loop.push(timer)


class Process(Outside):
    """A running program: a coroutine and everything it starts, on a loop of its own."""

    def __init__(self, world: World, name: str, main: Main, place: Place | None, pace: Pace) -> None:
        self.world = world
        self.name = name
        self.place: Any = place
        self.pace = pace
        self.main = main
        self.loop = Loop(self)
        self.result: Any = None
        """What `main()` returned."""
        self.left: Leftovers | None = None
        """What was left over when `main()` had ended, before the rest was cancelled."""

    def __repr__(self) -> str:
        return f"<Process {self.name}>"

    @property
    def alive(self) -> bool:
        return not self.loop.dead

    # ---- what is done to it ------------------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL: none of its code runs any more. A step that kills its own process ends at its next await."""
        if not self.alive:
            return
        self.world.note("is killed", self.name)
        loop = self.loop
        loop.silenced = True
        bury(loop, [loop.__dict__, asyncio.all_tasks(loop), self._timers()])
        self.end()

    def freeze(self) -> None:
        """SIGSTOP, or a paused virtual machine. Its kernel goes on."""
        self.world.note("is frozen", self.name)
        self.loop.frozen = True

    def thaw(self) -> None:
        """SIGCONT."""
        self.world.note("is thawed", self.name)
        loop = self.loop
        loop.frozen = False
        loop.ready.extend(loop.late)
        loop.late.clear()
        loop.wake()

    def signal(self, number: int) -> None:
        """A signal that it may handle; it is killed if it does not."""
        handle = self.loop.signals.get(number)
        if handle is None:
            self.kill()
        else:
            self.loop.push(handle)

    def restart(self, main: Main | None = None) -> Process:
        """Kill it, if it lives, and start a new one in its place."""
        self.kill()
        return self.world.start(self.name, main or self.main, self.place, replace(self.pace))

    # ---- what it does ------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first callback of its loop."""
        self.loop.create_task(self._live(), name="main")

    async def _live(self) -> None:
        """As asyncio.run does: run it, then cancel what it left."""
        try:
            self.result = await self.main()
        except SystemExit as end:
            self.result = end.code
        except BaseException as error:
            self.loop.call_exception_handler({"message": "main() failed", "exception": error})
        for _ in range(2):  # a lost transport hears of it in the next turn; asyncio.run has some left, too
            await asyncio.sleep(0)
        self.left = self.leftovers()
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and task.exception():
                context = {"message": "failed when cancelled at the end", "exception": task.exception()}
                self.loop.call_exception_handler(context)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()
        self.world.note("ends", self.name)
        self.end()

    def report(self, text: str) -> None:
        self.world.note("has a bug", self.name)
        self.world.bugs.append(Bug(self.world.now, self.name, text))

    def leftovers(self) -> Leftovers:
        """The tasks other than the caller's, timers, transports and servers that it has now."""
        return Leftovers(
            tasks=[f"{each.get_name()}: {each.get_coro().__qualname__}" for each in self._tasks()],
            timers=[f"{each._when}: {each._callback!r}" for each in self._timers()],
            transports=[repr(each) for each in self.loop.transports],
            servers=[repr(each) for each in self.loop.servers],
        )

    def _tasks(self) -> list[Any]:
        inside = events._get_running_loop() is self.loop
        current = asyncio.current_task(self.loop) if inside else None
        return sorted((each for each in asyncio.all_tasks(self.loop) if each is not current), key=hash)

    def _timers(self) -> list[Any]:
        timers = [each[3] for each in self.world.heap if each[2] is None and each[3]._loop is self.loop]
        return [each for each in timers if not each._cancelled]

    def end(self) -> None:
        """Take no more turns. The kernel closes the sockets."""
        loop = self.loop
        self.world.processes.remove(self)
        timers = self._timers()
        if self.place is not None:
            self.place.release(loop)
        loop.end()
        for timer in timers:
            timer.cancel()
