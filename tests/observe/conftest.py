"""On virtual time; and what reports write to."""

from __future__ import annotations

import pytest
from tests.simulation.virtual import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories

from randstream.clock import Clock
from randstream.observe.journal import Journal
from randstream.observe.tally import Tally


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
def journal() -> Journal:
    return Journal(Clock())
