"""Virtual time, except for tests marked `kernel`, which run on asyncio and on uvloop."""

from tests.simulation.virtual import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
