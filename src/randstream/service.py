"""Service: runs one role as a process: the loop, signals, the order of shutdown, what is said at the end."""

from __future__ import annotations

import asyncio
import os
import platform
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final, Protocol

import structlog

from . import __version__
from .errors import SettingsError
from .observe.logs import flush_logs
from .observe.status import ObservedRole
from .settings import Address, CommonSettings

HEAP_BYTES: Final = 16 * 2**20
"""Allocated and freed once: it raises glibc's marks for giving memory back, so that the kernel need not clear the same
pages again for every run."""

log = structlog.get_logger("randstream")


class Role(ObservedRole, Protocol):
    """A producer or a worker."""

    async def run(self) -> None:
        """Work until `stop`, end gracefully, return."""

    def stop(self) -> None:
        """Begin the graceful end."""


def run_service(make_role: Callable[[], Role], settings: CommonSettings) -> int:
    """Run the role that `make_role` makes on the loop; the exit status.

    Raises:
        SettingsError: the role cannot work as it is set.
    """
    bytearray(HEAP_BYTES)
    kind = type(settings).__name__.removesuffix("Settings").lower()
    with asyncio.Runner(loop_factory=_loop_factory(settings.loop)) as runner:
        log.info(
            "service.started", role=kind, name=settings.name, version=__version__, pid=os.getpid(),
            loop=settings.loop, python=platform.python_version(),
        )  # fmt: skip
        try:
            runner.run(_run(make_role, settings.admin))
        except BaseExceptionGroup as group:
            _tell(_only_cause(group), settings.log_level)
            return 1
        except SettingsError:
            raise
        except Exception as error:
            _tell(error, settings.log_level)
            return 1
        log.info("service.stopped", role=kind)
    return 0


async def _run(make_role: Callable[[], Role], admin: Address | None) -> None:
    loop = asyncio.get_running_loop()
    role = make_role()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, role, number)
    try:
        async with AsyncExitStack() as stack:
            if admin is not None:
                from .observe.admin import serve_admin  # aiohttp: 0.2 s

                await stack.enter_async_context(serve_admin(role, admin))
            await role.run()
    except BaseExceptionGroup as group:
        raise _only_cause(group) from None


def _on_signal(role: Role, number: signal.Signals) -> None:
    log.info("service.stopping", signal=number.name, advice="a second signal ends at once")
    role.stop()
    for again in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(again, _end_at_once)


def _end_at_once() -> None:
    log.warning("service.killed", advice="ended at once on the second signal")
    flush_logs()
    os._exit(1)


def _only_cause(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup) and len(group.exceptions) == 1:
        group = group.exceptions[0]
    return group


def _tell(error: BaseException, level: str) -> None:
    details = {"exc_info": error} if level == "debug" else {"advice": "--log-level debug shows where"}
    log.error("service.failed", error=f"{type(error).__name__}: {error}", **details)


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop" and sys.platform != "win32":
        try:
            import uvloop
        except ImportError:
            log.warning("service.no_uvloop", advice="pip install uvloop, or say --loop asyncio")
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop
