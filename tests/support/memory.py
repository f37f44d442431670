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
    """Yield a function that returns how many bytes the package's code has allocated since then and still holds.

    It leaves out what the test, the runner and their own threads allocate in that time.
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
