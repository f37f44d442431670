"""The conform command: exit statuses, lines, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.lines import Run
from tests.support.ports import free_port
from tests.support.processes import processes

from randstream.conform.rules import UNSEEN


@pytest.mark.kernel
@pytest.mark.slow
def test_worker_that_holds_is_0_with_a_line_a_rule_and_a_junit_file(run: Run, tmp_path: Path) -> None:
    address, file = f"127.0.0.1:{free_port()}", tmp_path / "junit.xml"
    with processes() as start:
        start("worker", "--name", "worker-0", "--listen", address, "--discard").wait_event("worker.listening")
        status, out, _ = run("conform", "worker", address, "--only", "open-check", "--junit", str(file))
    assert status == 0
    assert out == "ok       open-check: 7 cases\n7 of 7 cases played, none failed\n"
    assert len(ElementTree.parse(file).getroot()) == 7


@pytest.mark.kernel
@pytest.mark.slow
def test_producer_that_does_not_hold_is_1(run: Run) -> None:
    address = f"127.0.0.1:{free_port()}"
    with processes() as start:
        start("producer", "--workers", address, "--seed", "42", "--heartbeat", "0.4")
        status, out, err = run("conform", "producer", "--listen", address, "--seed", "43", "--only", "stream-key")
    assert status == 1
    assert out.startswith("FAILED   stream-key: stream= and numbers are those of the seed: expected stream=")
    assert out.endswith(", 1 failed\n")
    assert err == f"Waiting for the producer at {address}.\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["worker", "localhost"], "localhost: give HOST:PORT"),
        (["worker", "127.0.0.1:1", "--only", "nonsense"], "--only nonsense: no case here plays a rule of that name"),
        (["worker", "127.0.0.1:1", "--only", "tls"], f"--only tls: no case plays it: {UNSEEN['tls']}"),
        (["worker", "127.0.0.1:1", "--only", "backoff"], "--only backoff: no case here plays a rule of that name"),
        (["worker", "1"], "nothing listens at 127.0.0.1:1"),
        (["worker", "1", "--junit", "/nope/x"], "--junit /nope/x: No such file or directory; name a file that can"),
        (["worker", "1", "--seconds", "0.5s"], "'0.5s': give seconds, 1 or more, such as 2"),
        (["producer", "--listen", "x"], "--listen x: give HOST:PORT"),
    ],
)
def test_misuse_and_nobody_there_are_2_in_one_line(
    arguments: list[str], says: str, refusal: Callable[..., str]
) -> None:
    assert says in refusal("conform", *arguments)
