"""Descriptors: how many files and sockets this process may have open, and whether one is left."""

from __future__ import annotations

import asyncio
import os
import resource
from typing import Final

MOST_DESCRIPTORS: Final = 2**20
"""Enough for a hundred times as many links as were ever tried. A limit in the billions, as some containers have, is
costly for programs that loop over all descriptors when they start."""


def raise_descriptor_limit() -> int:
    """Raise this process's limit as far as it may itself, and return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):  # macOS has a lower limit that it does not report
        return soft
    return wanted


def check_descriptors() -> None:
    """Raise OSError if none is left: resolvers then report that there is no such name, and uvloop reports nothing."""
    os.close(os.dup(0))


def tell_if_used_up() -> None:
    """Call the loop's exception handler if no descriptor is left for the next connection, as asyncio's loop does when
    that connection comes. uvloop accepts and closes it without a word.
    """
    try:
        check_descriptors()
    except OSError as error:
        message = "no file descriptor is left for the next connection"
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})
