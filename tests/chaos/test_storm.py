"""The promise holds under kills, cuts, freezes, blackholes and corrupted bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.ledger import Ledger
from tests.chaos.storm import Storm, describe

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(0),
    pytest.mark.asyncio(loop_factories=["asyncio"]),
]  # its own seconds and PATIENCE limit it


async def test_storm_of_kills_and_faults_loses_repeats_and_changes_no_number(
    chaos_seed: str, chaos_seconds: float, tmp_path: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    storm = Storm(chaos_seed, chaos_seconds, tmp_path, ledger)
    await storm.run()
    with capsys.disabled():
        print(f"\nseed {chaos_seed}, {describe(storm)}")
    assert not ledger.findings, f"seed {chaos_seed}: {ledger.findings[0]} (journal: {ledger.path})"
