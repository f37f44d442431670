"""Memory: what some of the package's code allocates and keeps while a test looks."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import randstream

_PACKAGE = Path(randstream.__file__).parent


@contextmanager
def traced(part: str) -> Iterator[Callable[[], int]]:
    """Yield a function that returns how many bytes the code in `part` has allocated since then and still holds.

    `part` is a module or a folder: `store/sink.py` or `store`. It leaves out what the test, the runner and their own
    threads allocate in that time, and what another test's threads, not yet at their end, do in other parts.
    """
    path = _PACKAGE / part
    filters = [tracemalloc.Filter(True, str(path / "*" if path.is_dir() else path))]
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: _held(filters)
    finally:
        tracemalloc.stop()


def _held(filters: list[tracemalloc.Filter]) -> int:
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    return sum(trace.size for trace in snapshot.traces)
