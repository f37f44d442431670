"""Service: runs one role as a process: the loop, signals, the order of shutdown, the last log event."""

from __future__ import annotations

import asyncio
import gc
import os
import platform
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol

import structlog

from . import __version__, speedups
from .children.orphans import reaping
from .clock import Clock
from .errors import SettingsError, shortage_of
from .net.descriptors import raise_descriptor_limit
from .observe.logs import flush_logs
from .observe.status import ObservedRole
from .observe.throttle import LINES_A_MINUTE, Throttle
from .settings import CommonSettings

HEAP_BYTES: Final = 16 * 2**20
"""Allocated and freed once: it raises glibc's thresholds for returning memory, so the kernel need not clear the same
pages again for every run."""

YOUNG_OBJECTS: Final = 50_000
"""New objects after which the garbage collector looks at them. A link is some hundred objects that live as long as it:
at the usual 700, ten thousand links that start are scanned again and again, a tenth of a second each time."""

LAST_WORD_SECONDS: Final = 0.2
"""How long the last log line has to get out when the second signal ends the process at once."""

log = structlog.get_logger("randstream")


class Role(ObservedRole, Protocol):
    """A producer or a worker."""

    async def run(self) -> None:
        """Work until `stop`, end gracefully, return."""

    def stop(self) -> None:
        """Begin the graceful end."""


def run_service(make_role: Callable[[], Role], settings: CommonSettings) -> int:
    """Run the role from `make_role` on the loop; return the exit status. Raises SettingsError: it cannot work so."""
    bytearray(HEAP_BYTES)
    gc.set_threshold(YOUNG_OBJECTS)
    descriptors = raise_descriptor_limit()
    kind = type(settings).__name__.removesuffix("Settings").lower()
    loop, new_loop = find_loop(settings.loop)
    log.info(
        "service.started", role=kind, name=settings.name, version=__version__, pid=os.getpid(),
        loop=loop, python=platform.python_version(), speedups=speedups.ARE_COMPILED, descriptors=descriptors,
    )  # fmt: skip
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_run(make_role, settings))
    except (Exception, BaseExceptionGroup) as error:
        causes = _causes(error)
        if all(isinstance(cause, SettingsError) for cause in causes):
            raise SettingsError("; ".join(map(str, causes))) from None
        flush_logs()  # a burst may have filled the queue, and this line must get in
        told = "; ".join(f"{type(cause).__name__}: {cause}" for cause in causes)
        log.error("service.failed", error=told, exc_info=error)
        return 1
    log.info("service.stopped", role=kind)
    return 0


async def _run(make_role: Callable[[], Role], settings: CommonSettings) -> None:
    loop = asyncio.get_running_loop()
    role = make_role()
    loop.set_exception_handler(Mishaps(role.clock))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, role, number)
    async with AsyncExitStack() as stack:
        if settings.admin is not None:
            from .admin.server import AdminServer, serve_admin  # aiohttp: 0.2 s

            server = AdminServer(
                role,
                settings.admin,
                names=settings.admin_host,
                token_file=settings.admin_token_file,
                certificate=settings.admin_certificate,
            )
            await stack.enter_async_context(serve_admin(server))
        stack.enter_context(reaping(role.clock))
        await role.run()


class Mishaps:
    """The loop's exception handler: logs what this process runs out of, throttled, with advice.

    All else is a bug, which asyncio logs. By itself, asyncio logs each connection that it cannot accept, thousands a
    second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines = Throttle(LINES_A_MINUTE)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        shortage = shortage_of(error) if isinstance(error, Exception) else None
        if shortage is None:
            loop.default_exception_handler(context)
            return
        told = context["message"].partition("\n")[0]
        self._lines.say(log.warning, "service.shortage", self._clock.now(), message=told, error=shortage)


def _on_signal(role: Role, number: signal.Signals) -> None:
    log.info("service.stopping", signal=number.name, advice="a second signal ends at once")
    role.stop()
    for again in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(again, _end_at_once)


def _end_at_once() -> None:
    log.warning("service.killed", advice="ended at once on the second signal")
    flush_logs(LAST_WORD_SECONDS)
    os._exit(1)


def _causes(error: BaseException) -> list[BaseException]:
    """The leaves of exception groups."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for each in error.exceptions for cause in _causes(each)]
    return [error]


def find_loop(name: str) -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The name of the loop that `name` means, or else of asyncio's own, and what makes it."""
    if name == "uvloop":
        try:
            import uvloop
        except ImportError:
            log.warning("service.no_uvloop", advice="pip install uvloop, or give --loop asyncio")
        else:
            return name, uvloop.new_event_loop
    return "asyncio", asyncio.new_event_loop
