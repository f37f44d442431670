"""A connection that is open at both ends, but carries nothing."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from tests.chaos.duo import TIMEOUT_HEARTBEATS, WORKER, running_duo
from tests.chaos.ledger import Ledger
from tests.chaos.process import Event

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_factories=["asyncio"])]

HEARTBEAT: Final = 1.0
"""Seconds: long enough that a busy machine seldom delays a process by half of it."""
ATTEMPTS: Final = 3


def heartbeats_until(event: Event, last_byte_at: float) -> float:
    """Heartbeats from the last byte that was forwarded to the log line, by this machine's wall clock."""
    return (datetime.fromisoformat(event["timestamp"]).timestamp() - last_byte_at) / HEARTBEAT


async def test_a_half_open_connection_is_noticed_within_three_and_a_half_heartbeats_at_both_ends(
    tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """The least of up to three attempts counts: noise only adds."""
    least = {"worker": math.inf, "producer": math.inf}
    async with running_duo(ledger, tmp_path / "store", heartbeat=HEARTBEAT) as duo:
        for _ in range(ATTEMPTS):
            heard = {"worker": len(duo.worker.events), "producer": len(duo.producer.events)}
            (connection,) = duo.proxy.connections
            duo.proxy.shut()
            for way, end, process in zip(
                connection.ways, ("worker", "producer"), (duo.worker, duo.producer), strict=True
            ):
                lost = await process.wait_said("link.lost", heard[end], reason="timeout")
                least[end] = min(least[end], heartbeats_until(lost, way.last_forwarded_at))
            duo.proxy.unshut(reset=True)
            await duo.wait_moving(4000)
            if max(least.values()) <= TIMEOUT_HEARTBEATS:
                break
        with capsys.disabled():
            print(
                "\nhalf-open, noticed after "
                + ", ".join(f"{n:.2f} heartbeats by the {end}" for end, n in least.items())
            )
    duo.prove()
    assert ledger.acked[WORKER] > 0
    assert max(least.values()) <= TIMEOUT_HEARTBEATS


async def test_late_bytes_of_a_half_open_connection_do_not_reach_the_store(tmp_path: Path, ledger: Ledger) -> None:
    """The blackhole ends only after the stream has resumed on another connection; then the held-back bytes arrive."""
    async with running_duo(ledger, tmp_path / "store") as duo:
        for _ in range(3):
            duo.proxy.shut()
            await duo.wait_moving(500)
            duo.proxy.unshut(reset=False)
            await duo.wait_moving(500)
    duo.prove()
