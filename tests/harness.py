"""The names of `tests/support` in one place, for tests that still import them from here."""

from __future__ import annotations

from tests.support.clock import JumpingClock
from tests.support.log import Log
from tests.support.peers import Listener, Peer, a_listener, ack_of, dialled, key
from tests.support.ports import free_port
from tests.support.processes import Process, processes
from tests.support.roles import HEARTBEAT, a_producer, a_worker, producing, running
from tests.support.sinks import Memory, a_report
from tests.support.stream import NUMBERS, SEED, WORKER, stream
from tests.support.waiting import PATIENCE, until

__all__ = [
    "HEARTBEAT", "NUMBERS", "PATIENCE", "SEED", "WORKER", "JumpingClock", "Listener", "Log", "Memory", "Peer",
    "Process", "a_listener", "a_producer", "a_report", "a_worker", "ack_of", "dialled", "free_port", "key",
    "processes", "producing", "running", "stream", "until",
]  # fmt: skip
