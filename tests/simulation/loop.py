"""An event loop without a selector: what is ready waits in a queue until the world gives it a turn.

It does for asyncio programs what asyncio's own loop does, in the same order, but the time is the world's, sockets are
those of the process's host, and a thread is a delay. What it does not offer raises NotImplementedError.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
import traceback
import weakref
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappush
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.burial import bury

if TYPE_CHECKING:
    from tests.simulation.world import Process, World

AbstractLoop: Any = asyncio.AbstractEventLoop
"""Untyped: otherwise everything that a loop without pipes and subprocesses lacks would have to be listed here."""
DEFAULT_THREADS: Final = 8
"""Threads of the executor `None`: as many as asyncio's has on a machine of four cores."""


class Task(asyncio.Task[Any]):
    """asyncio's own, except that the order of a set of tasks, such as a TaskGroup's, is the same in every run."""

    __slots__ = ("_number",)

    def __init__(self, coro: Any, *, loop: Loop, name: object = None, **options: Any) -> None:
        self._number = number = loop.world.count()
        super().__init__(coro, loop=loop, name=f"Task-{number}" if name is None else str(name), **options)

    def __hash__(self) -> int:
        return self._number


class Future(asyncio.Future[Any]):
    """asyncio's own, except that the order of a set of them is the same in every run."""

    __slots__ = ("_number",)

    def __init__(self, *, loop: Loop) -> None:
        self._number = loop.world.count()
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class Loop(AbstractLoop):
    """The event loop of one process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.world: World = process.world
        self.ready: deque[asyncio.Handle] = deque()
        self.late: list[asyncio.Handle] = []
        """Timers that came due while the process was frozen: the selector reports data before them."""
        self.queued = False
        """Whether a turn is coming, or no turn may come."""
        self.frozen = False
        self.dead = False
        self.silenced = False
        """Whether it was killed, so that nothing may hear from it any more either."""
        self.transports: dict[Any, None] = {}
        self.servers: dict[Any, None] = {}
        self.tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        """Those of `create_task`, done or not: asyncio would look through those of all loops."""
        self.signals: dict[int, asyncio.Handle] = {}
        self._asyncgens: weakref.WeakSet[Any] = weakref.WeakSet()
        self._pools: dict[Any, Pool] = {}
        self._exception_handler: Callable[[Loop, dict[str, Any]], object] | None = None
        self._task_factory: Any = None

    def __repr__(self) -> str:
        return f"<Loop of {self.process.name}>"

    # ---- the world's side --------------------------------------------------------------------------------------------

    def turn(self) -> int:
        """Run what is ready now, but not what that makes ready; return the number of callbacks."""
        count = len(self.ready)
        popleft = self.ready.popleft
        handle = None
        events._set_running_loop(self)
        sys.set_asyncgen_hooks(self._asyncgens.add, self._on_asyncgen_freed)
        try:
            for _ in range(count):
                handle = popleft()
                if not handle._cancelled:
                    handle._run()
        except IndexError:
            pass  # the process killed itself in this turn, and its queue is empty
        finally:
            events._set_running_loop(None)
            if self.silenced and handle is not None:  # it killed itself: what ran then could not be seen into
                bury(self, [handle, asyncio.all_tasks(self)])
            handle = None  # an exception's traceback may hold this frame
        return count

    def on_turn_over(self) -> None:
        """Another may follow."""
        if not self.dead:
            self.queued = False
            self.wake()

    def wake(self) -> None:
        """Ask for a turn if there is anything to do."""
        if self.ready and not self.queued and not self.frozen:
            self.queued = True
            self.world.runnable.append(self)

    def push(self, handle: asyncio.Handle) -> None:
        """Make a handle ready."""
        self.ready.append(handle)
        if not self.queued and not self.frozen:
            self.queued = True
            self.world.runnable.append(self)

    def end(self) -> None:
        """Never take a turn again."""
        self.dead = self.queued = True
        self.ready.clear()
        self.ready = deque(maxlen=0)
        self.late.clear()
        for each in self.transports, self.servers, self.signals, self._pools:
            each.clear()
        self._exception_handler = None

    # ---- callbacks and time ------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.world.now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = events.Handle(callback, args, self, context)
        self.ready.append(handle)
        if not self.queued and not self.frozen:
            self.queued = True
            self.world.runnable.append(self)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.world.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle: Any = events.TimerHandle(when, callback, args, self, context)
        if self.dead:
            handle.cancel()
            return handle
        world = self.world
        lateness = self.process.pace.timer_lateness
        if lateness and when < self.process.pace.late_until:
            when += lateness * world.random.random()
        handle._scheduled = True
        heappush(world.heap, (when, world.count(), None, handle))
        return handle

    def _timer_handle_cancelled(self, handle: Any) -> None:
        if handle._scheduled:
            self.world.on_timer_cancelled()

    # ---- futures, tasks and generators -------------------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        return Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        if self._task_factory is not None:
            return self._task_factory(self, coro, **options)
        task = Task(coro, loop=self, **options)
        self.tasks.add(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    async def shutdown_asyncgens(self) -> None:
        await asyncio.gather(*[each.aclose() for each in list(self._asyncgens)], return_exceptions=True)

    def _on_asyncgen_freed(self, generator: Any) -> None:
        if not self.dead:
            self.call_soon(self.create_task, generator.aclose())

    # ---- errors ------------------------------------------------------------------------------------------------------

    def set_exception_handler(self, handler: Any) -> None:
        self._exception_handler = handler

    def get_exception_handler(self) -> Any:
        return self._exception_handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Do nothing: the world already knows."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self.silenced:
            return
        error: BaseException | None = context.get("exception")
        lines = traceback.format_exception(error) if error is not None else []
        self.process.report(context["message"] + "\n" + "".join(lines))
        if self._exception_handler is not None:
            self._exception_handler(self, context)

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Debug mode reads the clock: there is none here."""

    # ---- state -------------------------------------------------------------------------------------------------------

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return self.dead

    # ---- threads -----------------------------------------------------------------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        if not self.dead:
            pool = self._pools.get(executor)
            if pool is None:
                threads = DEFAULT_THREADS if executor is None else getattr(executor, "_max_workers", 1)
                pool = self._pools[executor] = Pool(self, threads)
            pool.submit(future, func, args)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for the threads of the other executors, too: at its end the interpreter does."""
        for pool in list(self._pools.values()):
            await pool.join()

    # ---- signals -----------------------------------------------------------------------------------------------------

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        self.signals[sig] = events.Handle(callback, args, self, None)

    def remove_signal_handler(self, sig: int) -> bool:
        return self.signals.pop(sig, None) is not None

    # ---- sockets: the host's -----------------------------------------------------------------------------------------

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> list[Any]:
        addresses = self.process.place.resolve(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port or 0)) for each in addresses]

    def create_connection(self, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        return self.process.place.create_connection(self, *args, **options)

    def create_server(self, *args: Any, **options: Any) -> Coroutine[Any, Any, Any]:
        return self.process.place.create_server(self, *args, **options)

    def _start_serving(self, protocol_factory: Any, sock: Any, ssl: Any, server: Any, *limits: Any) -> None:
        """asyncio's Server calls this."""
        sock.serve(protocol_factory, server)

    def _stop_serving(self, sock: Any) -> None:
        """asyncio's Server calls this."""
        sock.close()


class Pool:
    """The threads of one executor. None exists: a call takes the time given by the process's pace."""

    __slots__ = ("free", "idle", "loop", "threads", "waiting")

    def __init__(self, loop: Loop, threads: int) -> None:
        self.loop = loop
        self.free = self.threads = threads
        self.idle: asyncio.Future[None] | None = None
        self.waiting: deque[tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]] = deque()

    def submit(self, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.waiting.append((future, function, args))
        if self.free:
            self.free -= 1
            self.next()

    def next(self) -> None:
        """A thread has nothing to do. A call that has found its thread is beyond cancellation."""
        world = self.loop.world
        while self.waiting:
            future, function, args = self.waiting.popleft()
            if not future.cancelled():
                world.after(world.between(self.loop.process.pace.call_delay), self.call, future, function, args)
                return
        self.free += 1
        if self.idle is not None and self.free == self.threads:
            self.loop.call_soon(_settle, self.idle, self.idle.set_result, None)

    async def join(self) -> None:
        """Wait until there is nothing to do."""
        while self.free < self.threads:
            self.idle = self.loop.create_future()
            await self.idle

    def call(self, future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """The thread's work, all of it at one instant."""
        loop = self.loop
        if loop.dead:
            return
        settle: Callable[[Any], None]
        outcome: Any
        try:
            settle, outcome = future.set_result, function(*args)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            settle, outcome = future.set_exception, error
        loop.world.after(loop.world.between(loop.process.pace.result_delay), self.deliver, future, settle, outcome)
        self.next()

    def deliver(self, future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
        self.loop.call_soon(_settle, future, settle, outcome)


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)
