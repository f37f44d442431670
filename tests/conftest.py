"""What all folders share: hypothesis without chance, both loops, captured logs, a clock that jumps."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from hypothesis import settings
from structlog.testing import capture_logs
from tests.support.clock import JumpingClock
from tests.support.log import Log

from randstream import speedups

settings.register_profile("randstream", deadline=None, derandomize=True)
settings.load_profile("randstream")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every `async def test_` runs on each. `@pytest.mark.asyncio(loop_factories=["asyncio"])` picks."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
    if sys.platform != "win32":
        import uvloop

        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture
def log() -> Iterator[Log]:
    """What was logged, as a list of dictionaries; `log.of("link.lost")` picks."""
    with capture_logs() as events:
        yield Log(events)


@pytest.fixture
def clock() -> JumpingClock:
    """Time that can be moved on: `clock.jump(60)`. Hand it to whatever should follow it."""
    return JumpingClock()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`quick("randstream.sinks.pipe.RETRY_SECONDS")` makes that wait 10 ms, or as long as is given."""

    def set_wait(name: str, seconds: Any = 0.01) -> None:
        monkeypatch.setattr(name, seconds)

    return set_wait


@pytest.fixture(scope="module", params=["compiled", "not compiled"])
def speedups_or_not(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of the module runs with the speed-ups and without."""
    is_wanted = request.param == "compiled"
    if is_wanted and not speedups.ARE_COMPILED:
        pytest.skip(
            "there was no C compiler when this was installed: apt-get install gcc libc6-dev; make clean-venv setup"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speedups, "ARE_COMPILED", is_wanted)
        yield
