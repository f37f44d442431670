"""Tests on virtual time: what such a test may rely on, and how it fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.simulation.virtual import VirtualLoop, running_virtual_loop, virtual_loop
from tests.simulation.world import START, Stuck


@pytest.fixture
def run() -> Iterator[Callable[[Any], Any]]:
    """Run a coroutine as pytest-asyncio does."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop("a test")) as runner:
        yield runner.run


def passed() -> float:
    return asyncio.get_running_loop().time() - START


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line)
    writer.close()


def test_time_jumps_and_costs_nothing(run: Any) -> None:
    async def test() -> float:
        await asyncio.sleep(3600)
        return passed()

    before = time.monotonic()
    assert run(test()) == pytest.approx(3600, abs=0.01)
    assert time.monotonic() - before < 60


def test_roles_get_the_clock_and_the_names_of_the_loop(run: Any) -> None:
    assert running_virtual_loop() is None

    async def test() -> None:
        loop = virtual_loop()
        assert loop.clock.now() == loop.time()
        loop.names.addresses["pod"] = ["10.0.0.1"]
        assert await loop.names.look_up_addresses("pod") == ["10.0.0.1"]
        assert await loop.names.look_up_addresses("localhost") == ["127.0.0.1"]

    run(test())


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_the_machine_has_a_loopback(address: str, run: Any) -> None:
    async def test() -> bytes:
        server = await asyncio.start_server(echo, address, 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        line = await reader.readline()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.3", server.sockets[0].getsockname()[1])
        writer.close()
        server.close()
        await asyncio.sleep(1)
        return line

    assert run(test()) == b"hello\n"


def test_a_seed_gives_the_same_run_and_another_a_different_one() -> None:
    async def test() -> tuple[float, float]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        await reader.readline()
        writer.close()
        server.close()
        await asyncio.sleep(1)
        return passed(), virtual_loop().world.random.random()

    def once(seed: str) -> tuple[float, float]:
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
            return runner.run(test())

    assert once("a") == once("a") != once("b")


def test_a_test_that_waits_for_ever_fails_at_once_and_shows_where(run: Any) -> None:
    cleaned_up: list[bool] = []

    async def test() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned_up.append(True)

    with pytest.raises(Stuck, match="waits for ever: nobody has anything left to do") as caught:
        run(test())
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)
    assert cleaned_up


def test_a_test_that_cannot_even_be_cancelled_fails_too(run: Any) -> None:
    async def test() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if is_over:
                    raise

    is_over: list[bool] = []
    with pytest.raises(Stuck):
        run(test())
    is_over.append(True)


def test_a_test_that_gets_nowhere_fails(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.virtual.STEPS", 1000)

    async def test() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="gets nowhere: it took 1000 steps"):
        run(test())


def test_an_exception_that_nobody_handles_fails_the_test(run: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    async def test(error: Exception | None = None) -> None:
        asyncio.get_running_loop().call_soon(fail)
        await asyncio.sleep(1)
        if error is not None:
            raise error

    with pytest.raises(AssertionError, match=r"nobody handled[^$]*a bug"):
        run(test())
    with pytest.raises(KeyError) as caught:
        run(test(KeyError()))
    assert "a bug" in caught.value.__notes__[0]
    run(asyncio.sleep(1))


def test_an_exception_handler_that_the_test_sets_is_its_own_business(run: Any) -> None:
    told: list[Any] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: told.append(context["message"]))
        loop.call_exception_handler({"message": "trouble"})

    run(test())
    assert told == ["trouble"]


def test_a_callback_that_takes_long_makes_late_what_came_due_meanwhile(run: Any) -> None:
    async def test() -> None:
        loop, rang = virtual_loop(), asyncio.Event()
        loop.call_later(5, rang.set)
        loop.block(60)
        assert not rang.is_set()
        await rang.wait()
        assert passed() == pytest.approx(60, abs=0.01)

    run(test())


def test_what_a_signal_raises_comes_out_and_the_rest_can_be_cancelled(run: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    async def test() -> None:
        asyncio.get_running_loop().call_soon(interrupt)
        await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        run(test())


def test_it_runs_until_it_is_stopped_and_not_after_it_is_closed() -> None:
    loop = VirtualLoop("a test")
    loop.call_later(5, loop.stop)
    loop.run_forever()
    assert loop.time() - START == pytest.approx(5, abs=0.01)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError):
        loop.run_forever()
