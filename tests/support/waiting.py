"""Waiting for conditions that have no event of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from tests.simulation.virtual import running_virtual_loop

PATIENCE: Final = 100.0
"""Seconds after which a test gives up waiting. On an overloaded machine a process may take thirty to start."""
VIRTUAL_PATIENCE: Final = 100.0
"""The same on virtual time, which costs nothing: more than any limit of the protocol."""


def patience() -> float:
    """How long to wait on the running loop."""
    return PATIENCE if running_virtual_loop() is None else VIRTUAL_PATIENCE


async def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until `condition()` holds, and return what it returned."""
    time = asyncio.get_running_loop().time
    deadline = time() + patience()
    while not (held := condition()):
        if time() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0.002)
    return held
