"""Memory: what the package itself allocates and keeps while a test looks."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import randstream

_PACKAGE = [tracemalloc.Filter(True, str(Path(randstream.__file__).parent / "*"))]


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Gives a function that says how many bytes were allocated by code of the package since, and are still held.

    What the test, the runner and threads of their own allocate meanwhile is not in it.
    """
    gc.collect()
    tracemalloc.start()
    try:
        yield _held
    finally:
        tracemalloc.stop()


def _held() -> int:
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(_PACKAGE)
    return sum(trace.size for trace in snapshot.traces)
