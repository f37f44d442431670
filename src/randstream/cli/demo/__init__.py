"""Demo: a newcomer's first minute. Real processes on loopback; two are killed, a connection is cut; then the proof."""

from __future__ import annotations

import asyncio
import secrets

from .demo import Demo
from .proof import STOPPED


def run_demo(seconds: float | None) -> int:
    """The demo command. Raises SettingsError and OSError: it cannot go on."""

    async def run() -> int:
        return await Demo(seconds, seed=secrets.token_hex(4)).run()

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        return STOPPED
    except ExceptionGroup as group:
        raise _first(group) from None


def _first(error: Exception) -> Exception:
    return _first(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error
