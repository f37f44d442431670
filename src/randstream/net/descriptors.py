"""Descriptors: how many files and sockets this process may have open, and whether one is left."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import Final

MOST_DESCRIPTORS: Final = 2**20
"""Enough for a hundred times as many links as were ever tried; a limit of thousands of millions, as some containers
have, costs programs dearly that go through all of them when they start."""


def raise_descriptor_limit() -> int:
    """Let this process have as many descriptors as it may give itself; how many it may have now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a lower limit that it does not tell
        return soft
    return wanted


def check_descriptors() -> None:
    """Raises OSError if none is left: resolvers then say that there is no such name, and uvloop says nothing."""
    os.close(os.dup(0))


def tell_if_used_up() -> None:
    """Call the loop's exception handler if no descriptor is left for the next connection, as asyncio's loop does when
    that comes. uvloop takes it and closes it without a word.
    """
    try:
        check_descriptors()
    except OSError as error:
        message = "no file descriptor is left for the next connection"
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
