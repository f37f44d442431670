"""An unbroken, reproducible stream of random numbers from one producer to every worker."""

from __future__ import annotations

import os
import sys

if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].endswith("randstream") and not sys.flags.safe_path:
    # `python -m randstream` must import nothing else that merely lies in the current folder, such as typing.py.
    try:  # noqa: SIM105 - contextlib may be such a file, where Python has not imported it before
        sys.path[:1] = [folder for folder in sys.path[:1] if folder != os.getcwd()]  # noqa: PTH109 - and pathlib
    except FileNotFoundError:  # the folder is gone, so it is not among them
        pass

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose import would delay the command line's first act: to heed signals
if TYPE_CHECKING:
    from typing import Any

    from .embed import Producer as Producer
    from .embed import Worker as Worker
    from .numbers.stream import NumberStream as NumberStream
    from .settings import ProducerSettings as ProducerSettings
    from .settings import WorkerSettings as WorkerSettings
    from .sinks.batches import Batch as Batch
    from .store import StoredNumbers as StoredNumbers
    from .store import open_store as open_store
    from .store import read_store as read_store

__version__ = "0.1.0"

_HOMES = {
    "NumberStream": "numbers.stream",
    "Batch": "sinks.batches",
    "Producer": "embed",
    "ProducerSettings": "settings",
    "Worker": "embed",
    "WorkerSettings": "settings",
    "StoredNumbers": "store",
    "open_store": "store",
    "read_store": "store",
}
__all__ = [
    "Batch",
    "NumberStream",
    "Producer",
    "ProducerSettings",
    "StoredNumbers",
    "Worker",
    "WorkerSettings",
    "__version__",
    "open_store",
    "read_store",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `randstream --help` needs none of them."""
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
