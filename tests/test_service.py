"""Service: one role as a process, from its signal handlers to its last log line."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from randstream import service
from randstream.clock import Clock
from randstream.errors import SettingsError, SinkError
from randstream.net.descriptors import MOST_DESCRIPTORS
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.service import run_service
from randstream.settings.roles import CommonSettings, WorkerSettings


class Role:
    """Runs until `stop`. A test gives what else `run` and `stop` do."""

    def __init__(self, on_run: Callable[[], Any] = lambda: None, on_stop: Callable[[], Any] = lambda: None) -> None:
        self._on_run = on_run
        self._on_stop = on_stop
        self._stopping = asyncio.Event()
        self.clock = Clock()
        self.loop = type(asyncio.get_running_loop()).__module__

    async def run(self) -> None:
        self._on_run()
        await self._stopping.wait()

    def stop(self) -> None:
        self._on_stop()
        self._stopping.set()


@pytest.fixture(params=["asyncio", "uvloop"])
def settings(request: pytest.FixtureRequest) -> CommonSettings:
    return WorkerSettings(loop=request.param, discard=True)


def kill(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def run(settings: CommonSettings, make_role: Callable[[], Any]) -> tuple[int, list[Any]]:
    with capture_logs() as events:
        status = run_service(make_role, settings)
    return status, events


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_begins_the_graceful_end_and_the_exit_status_is_0(
    number: signal.Signals, settings: CommonSettings
) -> None:
    status, events = run(settings, lambda: Role(kill(number)))
    assert status == 0
    assert [event["event"] for event in events] == ["service.started", "service.stopping", "service.stopped"]
    assert events[1]["signal"] == number.name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once_with_status_1(
    number: signal.Signals, settings: CommonSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    roles: list[Role] = []

    class Deaf(Role):
        def stop(self) -> None:
            kill(number)()

    def exit_at_once(status: int) -> None:
        statuses.append(status)
        Role.stop(roles[0])  # otherwise the test would never end

    monkeypatch.setattr(os, "_exit", exit_at_once)

    def make() -> Role:
        roles.append(Deaf(kill(signal.SIGTERM)))
        return roles[0]

    _, events = run(settings, make)
    assert statuses == [1]
    assert "service.killed" in [event["event"] for event in events]


def test_the_role_runs_on_the_loop_that_is_set_and_the_log_says_which(settings: CommonSettings) -> None:
    roles: list[Role] = []

    def make() -> Role:
        roles.append(Role(kill(signal.SIGTERM)))
        return roles[0]

    _, events = run(settings, make)
    assert (settings.loop == "uvloop") == roles[0].loop.startswith("uvloop")
    assert events[0]["loop"] == settings.loop
    assert (events[0]["role"], events[0]["name"], events[0]["pid"]) == ("worker", settings.name, os.getpid())


def test_without_uvloop_the_role_runs_on_asyncio_and_the_log_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    status, events = run(WorkerSettings(discard=True), lambda: Role(kill(signal.SIGTERM)))
    assert status == 0
    assert [event["event"] for event in events[:2]] == ["service.no_uvloop", "service.started"]
    assert events[1]["loop"] == "asyncio"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (SinkError("the disk is gone"), "SinkError: the disk is gone"),
        (ValueError("a bug"), "ValueError: a bug"),
        (ExceptionGroup("", [ExceptionGroup("", [ValueError("a bug")])]), "ValueError: a bug"),
        (ExceptionGroup("", [ValueError("a bug"), OSError(5, "EIO")]), "ValueError: a bug; OSError: [Errno 5] EIO"),
        (
            ExceptionGroup("", [ValueError("a bug"), SettingsError("no port")]),
            "ValueError: a bug; SettingsError: no port",
        ),
        (BaseExceptionGroup("", [GeneratorExit("odd")]), "GeneratorExit: odd"),
    ],
)
def test_an_error_that_ends_a_role_is_logged_with_its_traceback_and_the_status_is_1(
    error: BaseException, told: str, settings: CommonSettings
) -> None:
    status, events = run(settings, lambda: Role(raising(error)))
    assert status == 1
    assert (events[-1]["event"], events[-1]["log_level"], events[-1]["error"]) == ("service.failed", "error", told)
    assert events[-1]["exc_info"] is error


def test_a_full_queue_of_log_lines_is_written_before_the_last_word(
    settings: CommonSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "flush_logs", lambda: service.log.info("flushed"))
    _, events = run(settings, lambda: Role(raising(ValueError("a bug"))))
    assert [event["event"] for event in events[-2:]] == ["flushed", "service.failed"]


@pytest.mark.parametrize(
    "error",
    [
        SettingsError("port taken"),
        ExceptionGroup("", [SettingsError("port taken")]),
        ExceptionGroup("", [SettingsError("port"), ExceptionGroup("", [SettingsError("taken")])]),
    ],
)
def test_settings_that_cannot_work_are_left_to_the_command_line(error: Exception, settings: CommonSettings) -> None:
    with pytest.raises(SettingsError, match=r"port;? taken"):
        run(settings, lambda: Role(raising(error)))


def test_an_error_while_a_role_is_made_is_logged_too(settings: CommonSettings) -> None:
    status, events = run(settings, raising(ValueError("a bug")))
    assert (status, events[-1]["error"]) == (1, "ValueError: a bug")


def test_the_admin_server_is_up_before_the_role_runs_and_down_after(settings: CommonSettings) -> None:
    with_admin = WorkerSettings(loop=settings.loop, discard=True, admin="127.0.0.1:0")

    def make() -> Any:
        from randstream.worker.worker import Worker

        role = Worker(with_admin)
        asyncio.get_running_loop().call_soon(role.stop)
        return role

    status, events = run(with_admin, make)
    names = [event["event"] for event in events]
    assert status == 0
    assert names.index("admin.listening") < names.index("service.stopped")


def lack_things() -> None:
    loop = asyncio.get_running_loop()
    for number in (errno.EMFILE, errno.ENOBUFS):
        for _ in range(100):
            error = OSError(number, os.strerror(number))
            loop.call_exception_handler(
                {"message": "socket.accept() out of system resource\nsocket: 7", "exception": error}
            )
    kill(signal.SIGTERM)()


def test_what_the_loop_lacks_is_told_so_many_times_a_minute_and_in_words_of_its_own(settings: CommonSettings) -> None:
    status, events = run(settings, lambda: Role(lack_things))
    told = [event for event in events if event["event"] == "service.shortage"]
    assert (status, len(told)) == (0, LINES_A_MINUTE)
    assert told[0]["message"] == "socket.accept() out of system resource"
    assert told[0]["error"].startswith("this process has no file descriptor left")
    assert {event["event"] for event in events} == {
        "service.started", "service.shortage", "service.stopping", "service.stopped",
    }  # fmt: skip


def test_the_log_says_how_many_descriptors_there_may_be(settings: CommonSettings) -> None:
    _, events = run(settings, lambda: Role(kill(signal.SIGTERM)))
    assert events[0]["descriptors"] == min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], MOST_DESCRIPTORS)
