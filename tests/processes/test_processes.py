"""Real processes, killed and ended."""

from __future__ import annotations

import signal
import subprocess

from tests.support.ports import free_port
from tests.support.processes import processes
from tests.support.stream import NUMBERS, SEED, WORKER, stream

WORKER_ARGUMENTS = ("worker", "--name", WORKER, "--listen")
PRODUCER_ARGUMENTS = (
    "producer", "--seed", SEED, "--numbers", NUMBERS, "--rate", "2000", "--heartbeat", "0.2", "--workers",
)  # fmt: skip


def whole_lines(out: bytes) -> bytes:
    return out[: out.rfind(b"\n") + 1]


def test_sigkill_of_the_worker_and_of_the_producer_and_sigterm_of_both_leave_no_gap() -> None:
    address = f"127.0.0.1:{free_port()}"
    with processes() as start:
        worker, producer = start(*WORKER_ARGUMENTS, address), start(*PRODUCER_ARGUMENTS, address)
        worker.wait_event("link.resumed", offset=0)
        worker.wait_out(lambda out: out.count(b"\n") > 1000)

        assert worker.end(signal.SIGKILL) == -signal.SIGKILL
        first = whole_lines(worker.out)
        assert first == stream().lines(0, first.count(b"\n"))
        acked = producer.wait_event("link.lost")["acked"]
        assert 0 < acked <= first.count(b"\n")

        worker = start(*WORKER_ARGUMENTS, address)
        assert worker.wait_event("link.resumed")["offset"] == acked
        worker.wait_out(lambda out: out.count(b"\n") > 1000)

        assert producer.end(signal.SIGKILL) == -signal.SIGKILL
        worker.wait_event("link.lost")
        producer = start(*PRODUCER_ARGUMENTS, address)
        producer.wait_event("link.resumed")
        before = worker.out.count(b"\n")
        worker.wait_out(lambda out: out.count(b"\n") > before + 1000)

        assert producer.end() == 0
        closed = producer.wait_event("link.closed")
        assert closed["offset"] == closed["acked"]
        assert worker.end() == 0
        assert worker.out == stream().lines(acked, worker.out.count(b"\n"))
        assert acked + worker.out.count(b"\n") == closed["acked"]


def test_sigterm_of_the_worker_ends_at_a_beat_with_all_it_acknowledged_written() -> None:
    address = f"127.0.0.1:{free_port()}"
    with processes() as start:
        worker, producer = start(*WORKER_ARGUMENTS, address), start(*PRODUCER_ARGUMENTS, address)
        worker.wait_out(lambda out: out.count(b"\n") > 100)
        assert worker.end() == 0
        closed = producer.wait_event("link.closed", reason="shutdown")
        assert worker.out[: len(stream().lines(0, closed["acked"]))] == stream().lines(0, closed["acked"])
        assert worker.out == stream().lines(0, worker.out.count(b"\n"))
        assert producer.end(signal.SIGINT) == 0


def test_a_worker_whose_reader_leaves_ends_politely_and_at_once() -> None:
    address = f"127.0.0.1:{free_port()}"
    pipe = subprocess.PIPE
    with subprocess.Popen(["head", "-n", "3"], stdin=pipe, stdout=pipe) as head, processes() as start:
        assert head.stdin is not None
        assert head.stdout is not None
        start(*PRODUCER_ARGUMENTS, address)
        worker = start(*WORKER_ARGUMENTS, address, "--grace", "60", stdout=head.stdin.fileno())
        head.stdin.close()
        assert worker.wait() == 0
        assert head.stdout.read() == stream().lines(0, 3)
