"""The suite would find real mistakes: a short storm catches every mutant."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.chaos.crew import Crew
from tests.chaos.ledger import Ledger
from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import CUTS, KILLS, Kind
from tests.chaos.storm import Storm

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_factories=["asyncio"])]

SECONDS = 60
"""At most: a storm ends with its first finding, usually after a few faults."""
CREW = Crew({"producer-0": "5000", "producer-1": "5000"}, ("worker-0", "worker-1"))
TEETH = {
    "ack_before_the_write": ("worker", ("lost",), KILLS | CUTS),
    "no_crc_check": ("worker", ("damaged", "lost"), KILLS | {Kind.FLIP}),  # lost: recovery cuts off what is damaged
    "offset_of_another_stream": ("producer", ("damaged",), KILLS | CUTS),
}
"""For each mutant: the role that runs it, the findings it may cause, and the faults that reveal it."""


@pytest.mark.parametrize("mutant", MUTANTS)
async def test_a_short_storm_catches(mutant: str, chaos_seed: str, tmp_path: Path, ledger: Ledger) -> None:
    mutant_of, findings, kinds = TEETH[mutant]
    storm = Storm(
        chaos_seed, SECONDS, tmp_path, ledger, CREW,
        worker_weights={kind: 1 + 2 * (kind is Kind.FLIP) for kind in sorted(kinds - {Kind.KILL_PRODUCER})},
        producer_weights={Kind.KILL_PRODUCER: 1},
        kills_an_inspection=1, mutant=mutant, mutant_of=mutant_of,
    )  # fmt: skip
    await storm.run()
    assert any(found.startswith(findings) for found in ledger.findings), ledger.findings
