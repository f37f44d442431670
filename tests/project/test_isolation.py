"""Test processes that run side by side do not meet."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from tests.support.isolation import leave_the_network


def network_of(pid: int | str) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def test_processes_side_by_side_have_a_network_each() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("this process is alone")
    if network_of("self") == network_of(os.getppid()):
        assert not leave_the_network(), "the test process could have left the network, but has not"
        pytest.skip("it takes root, outside of a container")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
