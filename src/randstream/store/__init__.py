"""The durable store: the file is the wire.

**The promise:** no matter what dies, or when, a stored stream is a byte-exact prefix of the stream (with retention:
of its rest from the oldest kept segment on), and contains every acknowledged number that retention has not removed.

    DurableSink          asynchronous: what a worker talks to
    └── Store            one worker's folder: open, commit, the next segment, retention
        ├── recovery     what is stored, after whatever happened
        ├── segment      one file: birth, append, cut-back
        └── files        the calls to the operating system
    reader, stored, verification     read what is there, and never write
    layout, walk, chain      what a segment, and a row of them, looks like: shared by all

Only `DurableSink` logs, and knows about a loop. `docs/protocol.md`, "The store", is the authority.
"""

from __future__ import annotations

from .check import StreamReport as StreamReport
from .layout import Damage as Damage
from .layout import DamagedStore as DamagedStore
from .reader import Gap as Gap
from .reader import StoreReader as StoreReader
from .recovery import Recovery as Recovery
from .sink import DurableSink as DurableSink
from .stored import StoredNumbers as StoredNumbers
from .stored import open_store as open_store
from .stored import read_runs as read_runs
from .stored import read_store as read_store
from .verification import Report as Report
from .verification import verify as verify
