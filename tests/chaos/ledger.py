"""Ledger: what was promised on the wire and in the logs, what was done to the stream, and what was found wrong.

The promise is taken where it is made: from the bytes that the worker wrote, before any fault touched them.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any


class Ledger:
    """One run's account. `path`: the journal, one line an event, for whoever has to read a failure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        """What must not be: each is a failure of the run."""
        self.acked: dict[str, int] = defaultdict(int)
        """The highest offset that each worker acknowledged."""
        self.forged = 0
        """Acks that a corrupted byte made, and the producer may have believed."""
        self._claims: dict[str, tuple[int, str]] = {}
        self._forgeries: dict[str, set[int]] = defaultdict(set)
        self._started_at = time.monotonic()
        self._journal = path.open("a", encoding="utf-8")

    def close(self) -> None:
        self._journal.close()

    def note(self, what: str, **fields: object) -> None:
        """Write it down with its time."""
        details = " ".join(f"{name}={value}" for name, value in fields.items())
        self._journal.write(f"{time.monotonic() - self._started_at:9.3f} s  {what}  {details}\n")
        self._journal.flush()

    def count(self, what: str, **fields: object) -> None:
        """Note it, and count it."""
        self.counts[what] += 1
        self.note(what, **fields)

    def find(self, what: str) -> None:
        """Something that must not be."""
        self.findings.append(what)
        self.note(f"FOUND: {what}")

    def said(self, worker: str, verb: str, offset: int) -> None:
        """The worker wrote `#resume offset=` or `#ack offset=`. It may never go back behind what it acked."""
        if verb == "resume":
            self.note("resume", worker=worker, offset=offset, acked=self.acked[worker])
            if offset < self.acked[worker]:
                self.find(f"lost: {worker} acknowledged {self.acked[worker]} and then resumed at {offset}")
        else:
            self.acked[worker] = max(self.acked[worker], offset)

    def heard(self, worker: str, offset: int, *, was_said: bool) -> None:
        """The producer was given this offset; not `was_said`: a corrupted byte made it."""
        if not was_said:
            self.forged += 1
            self._forgeries[worker].add(offset)

    def parted(self, worker: str, reason: str) -> None:
        """The worker wrote `#close reason=`."""
        self.count(f"worker said #close {reason}", worker=worker)

    def claim(self, worker: str, event: dict[str, Any], source: str) -> None:
        """A producer logged an event with `acked`, or that it resumed at an offset which the worker named."""
        offset = event.get("acked", event.get("offset"))
        if not isinstance(offset, int) or offset in self._forgeries[worker]:
            return
        if offset > self._claims.get(worker, (0, ""))[0]:
            self._claims[worker] = offset, f"{event['event']} of {source}"

    def promised(self, worker: str) -> tuple[int, str]:
        """All below this offset must be stored; and who promised it."""
        said = self.acked[worker], "an ack on the wire"
        return max(said, self._claims.get(worker, (0, "")))
