"""Fixtures of all chaos tests: a seed that replays the run, its length, and a ledger."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.ledger import Ledger


@pytest.fixture
def chaos_seed() -> str:
    """CHAOS_SEED, or a new seed. It is printed."""
    seed = os.environ.get("CHAOS_SEED") or str(random.SystemRandom().randrange(10**6))
    print(f"\nthe plan's seed: {seed} (again: make chaos SEED={seed})")
    return seed


@pytest.fixture
def chaos_seconds() -> float:
    """CHAOS_SECONDS: how long the storm lasts, in seconds."""
    return float(os.environ.get("CHAOS_SECONDS") or 60)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "journal.log")
    yield ledger
    ledger.close()
