"""How a killed process leaves memory: freed as usual, but without running a single line of its code.

A coroutine that is freed while it waits runs its `finally` blocks, a stream writer closes its transport, a pending task
complains. SIGKILL lets no program do such things. CPython calls a finalizer only once and keeps a mark of that in
front of every object that the garbage collector tracks: an object that has the mark beforehand is freed in silence.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import io
import socket
import types
from collections.abc import Iterable
from typing import Any, Final

MARK_OFFSET: Final = -ctypes.sizeof(ctypes.c_size_t)
"""Bytes from an object to the word that holds its mark: the second of the two in front of it, CPython 3.11 to 3.13."""
FINALIZED: Final = 1
"""The mark's bit in that word, _PyGC_PREV_MASK_FINALIZED."""


class Outside:
    """What belongs to no program: the machinery around it, and the parts of a test that watch all of them."""

    __slots__ = ()


BORDER: Final = (Outside, types.ModuleType, type, types.CodeType, types.FrameType)
"""Behind these lies the whole interpreter, or another process."""
STILL_CLOSED: Final = (io.IOBase, socket.socket)
"""If these died in silence, a real descriptor would never be closed."""


def bury(loop: asyncio.AbstractEventLoop, dead: Iterable[Any]) -> None:
    """Silence everything that `dead` leads to, so that it can be freed. It must not be running."""
    seen: set[int] = set()
    unseen = list(dead)
    while unseen:
        thing = unseen.pop()
        if id(thing) in seen or not gc.is_tracked(thing) or isinstance(thing, BORDER):
            continue
        if isinstance(thing, asyncio.AbstractEventLoop) and thing is not loop:
            continue
        if isinstance(thing, asyncio.Future) and thing.get_loop() is not loop:
            continue
        seen.add(id(thing))
        if isinstance(thing, types.FunctionType):
            unseen.extend(thing.__closure__ or ())  # but not its globals
            continue
        if hasattr(type(thing), "__del__") and not isinstance(thing, STILL_CLOSED):
            silence(thing)
        unseen.extend(gc.get_referents(thing))


def silence(thing: object) -> None:
    """Let it be freed without its finalizer."""
    ctypes.c_size_t.from_address(id(thing) + MARK_OFFSET).value |= FINALIZED
    if not gc.is_finalized(thing):
        raise NotImplementedError("this Python keeps the mark elsewhere: see MARK_OFFSET")
