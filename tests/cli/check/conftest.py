"""On virtual time, except for what is marked `kernel`: that runs on asyncio and on uvloop."""

from tests.simulation.virtual import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories
