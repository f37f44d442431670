"""On virtual time."""

from __future__ import annotations

from tests.simulation.virtual import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
