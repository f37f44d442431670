"""Shared by all folders: derandomized hypothesis, both loops, captured logs, a clock that jumps."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import coverage
import pytest
import structlog
from hypothesis import settings
from structlog.testing import capture_logs
from tests.support.clock import JumpingClock
from tests.support.isolation import leave_the_network
from tests.support.log import Log

from randstream import speedups
from randstream.observe.logs import flush_logs

settings.register_profile("randstream", deadline=None, derandomize=True)
settings.load_profile("randstream")


def pytest_configure() -> None:
    """Isolate test processes that run side by side, and undo what a shell has done.

    It lets background processes ignore Ctrl-C, and nohup lets them ignore SIGHUP. Tests need both.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        leave_the_network()
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every `async def test_` runs on each of these; `@pytest.mark.asyncio(loop_factories=["asyncio"])` selects."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if sys.platform != "win32":
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
def log() -> Iterator[Log]:
    """The events that are logged during the test; `log.of("link.lost")` selects."""
    with capture_logs() as events:
        yield Log(events)


@pytest.fixture
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets a test set up logs as a process does."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.WARNING)
    configured = structlog.get_config()
    yield
    flush_logs()
    logging.captureWarnings(False)
    structlog.configure(**configured)


@pytest.fixture(autouse=True)
def _logs_stay_as_they_are() -> Iterator[None]:
    """What a test leaves set up would keep events from every test after it."""
    before = structlog.get_config()
    yield
    assert structlog.get_config() == before, "set up logs with the fixture own_logs"


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """For tests that run the same code over and over: coverage would take as long again, and count it as tested."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()


@pytest.fixture
def clock() -> JumpingClock:
    """A clock that can jump: `clock.jump(60)`. Hand it to whatever should follow it."""
    return JumpingClock()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`quick("randstream.sinks.pipe.RETRY_SECONDS")` sets that constant to 10 ms, or to what is given."""

    def set_wait(name: str, seconds: Any = 0.01) -> None:
        monkeypatch.setattr(name, seconds)

    return set_wait


@pytest.fixture(scope="module", params=["compiled", "not compiled"])
def speedups_or_not(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs every test of the module with the speed-ups and without."""
    is_wanted = request.param == "compiled"
    if is_wanted and not speedups.ARE_COMPILED:
        pytest.skip(
            "there was no C compiler when this was installed: apt-get install gcc libc6-dev; make clean-venv setup"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speedups, "ARE_COMPILED", is_wanted)
        yield
