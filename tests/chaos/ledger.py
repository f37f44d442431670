"""Ledger: what was promised on the wire and in the logs, which faults there were, and what was found wrong.

Promises are read from the bytes that the worker wrote, before any fault changes them.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any


class Ledger:
    """The records of one run. `path`: the journal, one line per event, to investigate a failure."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.findings: list[str] = []
        """What must not happen: each entry is a failure of the run."""
        self.acked: dict[str, int] = defaultdict(int)
        """The highest offset acknowledged by each worker."""
        self.forged = 0
        """How many acks a corrupted byte made; the producer may have believed them."""
        self._claims: dict[str, tuple[int, str]] = {}
        self._forgeries: dict[str, set[int]] = defaultdict(set)
        self._started_at = time.monotonic()
        self._journal = path.open("a", encoding="utf-8")

    def close(self) -> None:
        self._journal.close()

    def note(self, what: str, **fields: object) -> None:
        """Write a line to the journal, with the time."""
        details = " ".join(f"{name}={value}" for name, value in fields.items())
        self._journal.write(f"{time.monotonic() - self._started_at:9.3f} s  {what}  {details}\n")
        self._journal.flush()

    def count(self, what: str, **fields: object) -> None:
        """Note and count a fault or event."""
        self.counts[what] += 1
        self.note(what, **fields)

    def find(self, what: str) -> None:
        """Record something that must not happen."""
        self.findings.append(what)
        self.note(f"FOUND: {what}")

    def said(self, worker: str, verb: str, offset: int) -> None:
        """The worker wrote an `offset=` in `#resume`, `#ack` or `#wait`. It must never resume below an earlier one."""
        if verb == "resume":
            self.note("resume", worker=worker, offset=offset, acked=self.acked[worker])
            if offset < self.acked[worker]:
                self.find(f"lost: {worker} acknowledged {self.acked[worker]} and then resumed at {offset}")
        else:
            self.acked[worker] = max(self.acked[worker], offset)

    def heard(self, worker: str, offset: int, *, was_said: bool) -> None:
        """The producer received this offset. Not `was_said`: a corrupted byte made it up."""
        if not was_said:
            self.forged += 1
            self._forgeries[worker].add(offset)

    def parted(self, worker: str, reason: str) -> None:
        """The worker wrote `#close reason=`."""
        self.count(f"worker said #close {reason}", worker=worker)

    def claim(self, worker: str, event: dict[str, Any], source: str) -> None:
        """A producer logged an event with the `acked` offset, or with the offset at which the worker resumed."""
        offset = event.get("acked", event.get("offset"))
        if not isinstance(offset, int) or offset in self._forgeries[worker]:
            return
        if offset > self._claims.get(worker, (0, ""))[0]:
            self._claims[worker] = offset, f"{event['event']} of {source}"

    def promised(self, worker: str) -> tuple[int, str]:
        """The offset below which everything must be stored, and who promised that."""
        said = self.acked[worker], "an ack on the wire"
        return max(said, self._claims.get(worker, (0, "")))
