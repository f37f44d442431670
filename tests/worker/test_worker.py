"""Worker and sessions, spoken to by hand: admission, takeover, slots, liveness, drain, raw peers."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.protocol.network import beat_line, open_line
from tests.store.disk import Disk
from tests.support.clock import clock_of_loop
from tests.support.log import Log
from tests.support.peers import dialled
from tests.support.roles import a_worker
from tests.support.sinks import Memory
from tests.support.stream import stream
from tests.support.waiting import patience, until
from tests.worker.vault import Vault, interval

from randstream.clock import Clock
from randstream.errors import SettingsError
from randstream.protocol.events import Event
from randstream.protocol.frames import Lines
from randstream.protocol.receiver import Receiver
from randstream.settings import WorkerSettings
from randstream.sinks.stdout import StdoutSink
from randstream.store import DurableSink
from randstream.worker.worker import BACKLOG, Worker, make_sink


@pytest.mark.parametrize("is_committing", [False, True])
async def test_drain_that_takes_longer_than_the_grace_is_ended(is_committing: bool) -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=20) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        vault.gate.clear()
        if is_committing:
            peer.say(interval(0, 3))
            await until(lambda: vault.is_committing)
        worker.stop()
        assert (await peer.rest()).endswith(b"#close reason=shutdown\n")
        vault.gate.set()


async def test_a_connection_that_comes_while_the_worker_ends_is_told_so_or_cut() -> None:
    heard = []
    for turns in range(10):  # whichever moment of the dial the end meets
        async with a_worker(grace_period=60) as worker, asyncio.TaskGroup() as group:
            dial = group.create_task(hear_all_of(worker))
            for _ in range(turns):
                await asyncio.sleep(0)
            worker.stop()
            heard.append(await dial)
    greeting, goodbye = b"#hello randstream/1 worker=worker-0\n", b"#close reason=shutdown\n"
    assert set(heard) == {b"refused", b"", greeting + goodbye}


async def hear_all_of(worker: Worker) -> bytes:
    """Everything that a new connection to `worker` is told."""
    try:
        async with dialled(worker) as peer:
            return await peer.rest()
    except ConnectionRefusedError:
        return b"refused"


async def test_a_port_that_is_taken_is_a_settings_error_and_the_sink_is_given_back() -> None:
    class Closing(Memory):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    async with a_worker() as worker:
        assert worker.address is not None
        sink = Closing()
        second = Worker(WorkerSettings(name="w", listen=f"127.0.0.1:{worker.address[1]}"), sink, clock=clock_of_loop())
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1"):
            await second.run()
        assert sink.is_closed
        assert second.problem == "not listening"


async def test_the_bug_of_a_sink_ends_the_worker_loudly() -> None:
    class Buggy(Memory):
        def append(self, lines: Lines, count: int) -> None:
            raise ZeroDivisionError("a bug")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the loop reports it as well
    worker = Worker(WorkerSettings(name="worker-0", listen="127.0.0.1:0"), Buggy(), clock=clock_of_loop())
    running = asyncio.ensure_future(worker.run())
    await worker.wait_listening()
    async with dialled(worker) as peer:
        await peer.start(0)
        peer.say(b"5\n")
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(running, patience())
    assert caught.group_contains(ZeroDivisionError)


async def test_the_bug_of_an_alarm_ends_the_worker_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(receiver: Receiver, now: float) -> list[Event]:
        raise KeyError(now)

    monkeypatch.setattr(Receiver, "handle_timer", fail)
    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0"), Memory(), clock=clock_of_loop())
    running = asyncio.ensure_future(worker.run())
    await worker.wait_listening()
    async with dialled(worker) as peer:
        await peer.line()
        with pytest.raises(KeyError):
            await asyncio.wait_for(running, patience())


def test_make_sink_makes_what_the_settings_name(tmp_path: Any) -> None:
    made = {
        type(make_sink(WorkerSettings(**given), Clock(), Random(1))).__name__
        for given in ({}, {"discard": True}, {"command": ("cat",)}, {"store": tmp_path})
    }
    assert made == {"StdoutSink", "DiscardSink", "CommandSink", "DurableSink"}
    assert isinstance(make_sink(WorkerSettings(), Clock(), Random(1)), StdoutSink)


async def test_a_sink_that_can_never_take_numbers_again_ends_the_worker() -> None:
    class Over(Memory):
        async def run(self, report: Any) -> None:
            return

    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0", grace_period=60), Over(), clock=clock_of_loop())
    await asyncio.wait_for(worker.run(), patience())


async def test_a_sink_that_can_never_take_numbers_again_ends_the_connection_without_waiting_for_a_beat() -> None:
    class Ending(Memory):
        end = asyncio.Event()

        async def run(self, report: Any) -> None:
            await self.end.wait()

    sink = Ending()
    async with a_worker(sink, grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        sink.end.set()
        assert (await peer.rest()).endswith(b"#close reason=shutdown\n")


async def test_a_worker_whose_disk_fails_at_the_start_listens_and_takes_numbers_once_the_disk_allows(
    log: Log,
) -> None:
    disk = Disk(Random(0))
    disk.fault = lambda call, name: errno.ENOSPC
    problem = "cannot use /store as a store: No space left on device"
    async with (
        a_worker(DurableSink(Path("/store"), "worker-0", clock=clock_of_loop(), files=disk)) as worker,
        dialled(worker) as peer,
    ):
        assert worker.problem == problem
        await peer.line_starting(b"#hello")
        peer.say(open_line(stream=stream().id))
        for _ in range(3):
            assert await peer.line() == b"#wait why=disk-full\n"
            peer.say(b"#wait\n")
        disk.fault = lambda call, name: None
        assert await peer.turn() == b"#resume offset=0 after=start\n"
        assert worker.problem is None
        peer.say(beat_line(0), interval(0, 5))
        await peer.line_starting(b"#ack offset=5 ")
    (failing,) = log.of("sink.failing")
    assert failing["error"] == problem
    assert len(log.of("sink.recovered")) == 1


async def test_a_worker_whose_store_can_never_be_one_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0", store=tmp_path / "file"), clock=clock_of_loop())
    with pytest.raises(SettingsError, match=r"cannot use .*/file as a store: "):
        await worker.run()


async def test_the_kernel_is_told_to_hold_few_connections_that_wait_to_be_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    start_server = asyncio.start_server

    def recording(*arguments: Any, backlog: int, **others: Any) -> Any:
        asked.append(backlog)
        return start_server(*arguments, backlog=backlog, **others)

    monkeypatch.setattr(asyncio, "start_server", recording)
    async with a_worker():
        assert asked == [BACKLOG]


@pytest.mark.kernel
async def test_an_empty_host_serves_both_families_on_one_port() -> None:
    async with a_worker(listen=":0", discard=True) as worker:
        assert worker.address is not None
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, worker.address[1])
            assert (await reader.readline()).startswith(b"#hello ")
            writer.close()
