"""Waiting for what has no event of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

PATIENCE: Final = 10.0
"""Seconds after which a test gives up on what it waits for."""


async def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until `condition()` holds, and return what it returned."""
    deadline = monotonic() + PATIENCE
    while not (held := condition()):
        if monotonic() > deadline:
            raise AssertionError(f"never came true: {what or condition}")
        await asyncio.sleep(0.002)
    return held
