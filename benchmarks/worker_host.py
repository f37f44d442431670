"""Many workers in one process, each at an address of its own, that count and time numbers and discard them.

python -m benchmarks.worker_host FIRST COUNT RATE: workers worker-FIRST and on, at the addresses of `address_of`.
Answers `stats` on standard input with a line of JSON on standard output: lateness is that of the numbers since the last
`forget`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections import Counter
from time import monotonic

import numpy as np
import structlog
import uvloop
from numpy.typing import NDArray

from randstream import WorkerSettings
from randstream.protocol.frames import Lines, Open
from randstream.sinks.immediate import DiscardSink
from randstream.worker.worker import Worker

PORT = 9000


def address_of(number: int) -> str:
    """A loopback address for each of up to 60,000 workers."""
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


class TimingSink(DiscardSink):
    """Measures how late each run comes.

    Number n of a paced stream is due at base + n / rate. The base is not known here; the most punctual run shows it.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate
        self.shifts: list[float] = []
        self.least_shift = float("inf")
        self.begun_at = 0.0
        self.begins = 0

    async def open(self, offered: Open) -> int | None:
        offset = await super().open(offered)
        self.begun_at = monotonic()
        self.begins += 1
        self.shifts = []
        self.least_shift = float("inf")
        return offset

    def append(self, lines: Lines, count: int) -> None:
        shift = monotonic() - (self._offset + 1) / self._rate
        self.shifts.append(shift)
        self.least_shift = min(self.least_shift, shift)
        super().append(lines, count)

    @property
    def offset(self) -> int:
        return self._offset

    def lateness(self) -> NDArray[np.float64]:
        return np.array(self.shifts) - self.least_shift if self.shifts else np.array([])


async def host(first: int, count: int, rate: float) -> None:
    sinks = [TimingSink(rate) for _ in range(count)]
    workers = [
        Worker(WorkerSettings(name=f"worker-{n}", listen=f"{address_of(n)}:{PORT}"), sink)
        for n, sink in zip(range(first, first + count), sinks, strict=True)
    ]
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(worker.run()) for worker in workers]
        for worker in workers:
            await worker.wait_listening()
        print("ready", flush=True)
        while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            if word == "forget":
                for sink in sinks:
                    sink.shifts.clear()
            serving = [worker.line.serving for worker in workers]
            late = np.concatenate([sink.lateness() for sink in sinks])
            print(
                json.dumps(
                    {
                        "resumed": sum(member is not None and member.is_started for member in serving),
                        "standing": sum(len(worker.line.waiting) for worker in workers),
                        "served": Counter(member.offered.producer for member in serving if member is not None),
                        "served_since": [worker.intake.served_since for worker in workers],
                        "last_begun_at": max(sink.begun_at for sink in sinks),
                        "begins": sum(sink.begins for sink in sinks),
                        "numbers": sum(sink.offset for sink in sinks),
                        "asked_at": monotonic(),
                        "late": np.percentile(late, [50, 99, 99.9]).tolist() if len(late) else [],
                    }
                ),
                flush=True,
            )
        for task in running:
            task.cancel()


if __name__ == "__main__":
    gc.disable()  # thousands of workers in one process are unusual: pauses of the collector would count as lateness
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(host(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
