"""The suites against our own roles and against the JavaScript example: every rule holds."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conform.roles import addresses, broken, judged_producer, judged_worker, of_rule
from tests.support.ports import free_port
from tests.support.processes import processes

from randstream.conform import dialling, greeting, opening
from randstream.conform.suites import PRODUCER_CASES, WORKER_CASES
from randstream.errors import SettingsError

pytestmark = [pytest.mark.conform, pytest.mark.asyncio(loop_factories=["asyncio"])]

EXAMPLE = Path(__file__).parents[2] / "examples" / "javascript"
LINKS = 16
RAW = ("raw", "raw-line", "raw-last-line", "raw-fault")
"""Rules that cannot be tested at a worker that takes no raw peers."""
has_node = pytest.mark.skipif(not shutil.which("node"), reason="nodejs is not installed")


@contextmanager
def nodes(*commands: list[Any]) -> Iterator[None]:
    """Programs of the example, running."""
    running = [subprocess.Popen(["node", EXAMPLE / str(file), *map(str, rest)]) for file, *rest in commands]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


async def until_listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def require_held(outcomes: list[Any], cases: list[Any], *skipped: str) -> None:
    """Every case was played and held, except those that touch a rule in `skipped`."""
    assert broken(outcomes) == []
    assert len(outcomes) == len(cases)
    left = [each for each in outcomes if each.why_not and not set(each.case.rules) & set(skipped)]
    assert [f"{each.case.name}: {each.why_not}" for each in left] == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("sink", ["--discard", "--store"])
async def test_our_worker_keeps_every_rule(sink: str, tmp_path: Path) -> None:
    port = free_port()
    to = [sink, str(tmp_path)] if sink == "--store" else [sink, "--accept-raw"]
    with processes() as start:
        start("worker", "--name", "worker-0", "--listen", f"127.0.0.1:{port}", *to)
        await until_listening(port)
        require_held(await judged_worker(port), WORKER_CASES, *RAW, "last-number")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("numbers", ["integers", "bits64", "bernoulli", "poisson", "uniform", "exponential", "normal"])
async def test_our_producer_keeps_every_rule(numbers: str) -> None:
    port = free_port()
    cases = PRODUCER_CASES if numbers == "integers" else of_rule(PRODUCER_CASES, numbers)
    alone = {"bits64": "bits64", "bernoulli": "bernoulli:.5", "poisson": "poisson:30", "exponential": "exponential:2"}
    spelled = alone.get(numbers, f"{numbers}:0:1")
    given = ["--seed", "42", "--numbers", spelled, "--rate", "500", "--heartbeat", "0.4"]
    with processes() as start:
        start("producer", "--workers", ",".join(addresses(port, LINKS)), *given)
        outcomes = await judged_producer(port, cases, seed="42")
    require_held(outcomes, cases, "beat-every-8-mib", *alone, "uniform", "normal")


async def test_our_producer_without_a_limit_keeps_the_window_and_the_interval() -> None:
    port = free_port()
    cases = of_rule(PRODUCER_CASES, "beat-every-8-mib")
    with processes() as start:
        start("producer", "--workers", f"127.0.0.1:{port}", "--rate", "max", "--heartbeat", "0.4", "--seed", "42")
        require_held(await judged_producer(port, cases), cases)


@has_node
@pytest.mark.timeout(240)
async def test_worker_in_javascript_keeps_every_rule(tmp_path: Path) -> None:
    port = free_port()
    with nodes(["worker.js", f"127.0.0.1:{port}", "js-0", tmp_path]):
        await until_listening(port)
        require_held(await judged_worker(port), WORKER_CASES, *RAW, "last-number")


@has_node
@pytest.mark.timeout(240)
@pytest.mark.parametrize("numbers", ["integers:1:100", "bits64", "bernoulli:0.5", "uniform:-1.0:1.0"])
async def test_producer_in_javascript_keeps_every_rule_of_one_link(numbers: str) -> None:
    port = free_port()
    cases = PRODUCER_CASES if numbers == "integers:1:100" else of_rule(PRODUCER_CASES, numbers.partition(":")[0])
    with nodes(*(["producer.js", address, 42, numbers, f"js-{number}", 0.4, 500]
                 for number, address in enumerate(addresses(port, 10)))):  # fmt: skip
        outcomes = await judged_producer(port, cases, seed="42")
    require_held(
        outcomes,
        cases,
        "one-link-a-worker",
        "beat-every-8-mib",
        "integers",
        "bits64",
        "bernoulli",
        "poisson",
        "uniform",
        "exponential",
        "normal",
    )


async def test_nobody_there_is_one_line_at_once() -> None:
    with pytest.raises(SettingsError, match="nothing listens at 127"):
        await judged_worker(free_port())


async def test_something_else_there_is_one_line() -> None:
    left = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.set()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    with pytest.raises(SettingsError, match="no randstream worker greets"):
        await judged_worker(server.sockets[0].getsockname()[1])
    await left.wait()
    server.close()


async def test_no_producer_is_one_line(quick: Any) -> None:
    quick("randstream.conform.suites.FIRST_DIAL")
    with pytest.raises(SettingsError, match="no producer dials"):
        await judged_producer(free_port(), greeting.CASES)
    with socket_taken() as port, pytest.raises(SettingsError, match="cannot listen"):
        await judged_producer(port, dialling.CASES)


@contextmanager
def socket_taken() -> Iterator[int]:
    import socket

    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        yield taken.getsockname()[1]


async def test_cases_that_have_no_turn_in_time_have_failed() -> None:
    port = free_port()
    cases = of_rule(opening.CASES, "handshake-limit")
    with processes() as start:
        start("worker", "--name", "worker-0", "--listen", f"127.0.0.1:{port}", "--discard")
        await until_listening(port)
        outcomes = await judged_worker(port, cases, seconds=0.3)
    assert [outcome.expected for outcome in outcomes] == ["all cases within 0.3 s"] * 2
