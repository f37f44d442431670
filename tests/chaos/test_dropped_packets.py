"""A network that drops every packet: no FIN, no RST, no error. Only the heartbeat can notice."""

from __future__ import annotations

import math
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from tests.chaos.census import take_census
from tests.chaos.duo import NUMBERS, TIMEOUT_HEARTBEATS, WORKER
from tests.chaos.ledger import Ledger
from tests.chaos.namespaces import WORKER_ADDRESS, wire
from tests.chaos.process import SEED, Stage

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_factories=["asyncio"])]

HEARTBEAT: Final = 1.0
ATTEMPTS: Final = 3


async def test_dropped_packets_are_noticed_by_both_ends_and_the_stream_goes_on_exactly(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted from the drop, which is after the last byte; the least of up to three attempts, as noise only adds."""
    least = {"worker": math.inf, "producer": math.inf}
    store = tmp_path / "store"
    with wire() as between:
        async with Stage(ledger).open() as stage:
            worker = stage.process(
                WORKER, "worker", "--name", WORKER, "--listen", f"{WORKER_ADDRESS}:9000", "--store", str(store),
                "--segment-bytes", "16384", prefix=between.inside(between.worker),
            )  # fmt: skip
            producer = stage.process(
                "producer-0", "producer", "--workers", f"{WORKER_ADDRESS}:9000", "--seed", SEED, "--rate", "2000",
                "--numbers", NUMBERS, "--heartbeat", str(HEARTBEAT), prefix=between.inside(between.producer),
                on_event=lambda event: ledger.claim(WORKER, event, "the producer"),
            )  # fmt: skip
            await worker.start("worker.listening")
            await producer.start("link.resumed")
            resumed = None
            for _ in range(ATTEMPTS):
                heard = {"worker": len(worker.events), "producer": len(producer.events)}
                between.drop()
                dropped_at = time.time()
                for end, process in (("worker", worker), ("producer", producer)):
                    lost = await process.wait_said("link.lost", heard[end], reason="timeout")
                    noticed_at = datetime.fromisoformat(lost["timestamp"]).timestamp()
                    least[end] = min(least[end], (noticed_at - dropped_at) / HEARTBEAT)
                between.accept()
                resumed = await producer.wait_said("link.resumed", heard["producer"])
                assert resumed["offset"] <= lost["offset"]
                if max(least.values()) <= TIMEOUT_HEARTBEATS:
                    break
            await producer.end(signal.SIGTERM)
            await worker.end(signal.SIGTERM)
    with capsys.disabled():
        print(
            "\npackets dropped, noticed after "
            + ", ".join(f"{n:.2f} heartbeats by the {end}" for end, n in least.items())
        )
    assert resumed is not None
    census = take_census(store, WORKER, NUMBERS, SEED)
    assert census.problem is None
    assert census.end >= ledger.promised(WORKER)[0] > resumed["offset"]
    assert not ledger.findings
    assert max(least.values()) <= TIMEOUT_HEARTBEATS
