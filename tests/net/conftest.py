"""Virtual time, except for tests marked `kernel`, which run on asyncio and on uvloop. Files of both parties."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.net.certificates import CA, HOST, PRODUCER, Files
from tests.protocol.network import WORKER
from tests.simulation.virtual import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories


@pytest.fixture
def worker_files(tmp_path: Path) -> Files:
    return Files(tmp_path / "worker").write(CA.issue_cert(HOST, "localhost", WORKER), CA)


@pytest.fixture
def producer_files(tmp_path: Path) -> Files:
    return Files(tmp_path / "producer").write(CA.issue_cert(PRODUCER), CA)
