"""Worker and sessions, spoken to by hand: admission, takeover, slots, liveness, drain, raw peers."""

from __future__ import annotations

import asyncio
import errno
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.harness import (
    HEARTBEAT,
    PATIENCE,
    JumpingClock,
    Log,
    Memory,
    Peer,
    a_worker,
    dialled,
    key,
    producing,
    stream,
    until,
)
from tests.protocol.network import beat_line, open_line
from tests.store.disk import Disk

from randstream.clock import Clock
from randstream.errors import LocalProtocolError, SettingsError, SinkError
from randstream.observe.status import LinkState
from randstream.protocol import HANDSHAKE_LIMIT
from randstream.protocol.events import Event, Waited
from randstream.protocol.frames import Beat, Lines, Open
from randstream.protocol.receiver import Receiver
from randstream.settings import Address, WorkerSettings
from randstream.sinks.immediate import DiscardSink
from randstream.sinks.stdout import StdoutSink
from randstream.store import DurableSink
from randstream.worker.admission import UNOPENED_LIMIT
from randstream.worker.worker import Worker, make_sink

OTHER_STREAM = "0123456789abcdef"


class Vault:
    """A revocable sink whose commits last until they are let. Implements `Sink`."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.warning: str | None = None
        self.stored = b""
        self.offset = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_committing = False
        self.opened = 0
        self.failures: list[str] = []
        self._unproven = b""
        self._waiting: list[tuple[int, bytes]] = []
        self._done = asyncio.Event()
        self._done.set()
        self._background: set[asyncio.Task[None]] = set()

    async def start(self) -> None: ...

    async def open(self, offered: Open) -> int | None:
        if self.failures:
            raise SinkError(self.failures.pop())
        await self._done.wait()
        self.opened += 1
        self._unproven, self._waiting = b"", []
        return self.offset

    def begin(self, offset: int) -> None:
        raise AssertionError("it always names an offset")

    def append(self, run: bytes, count: int) -> None:
        self._unproven += run

    def prove(self, beat: Beat) -> None:
        self._waiting.append((beat.offset, self._unproven))
        self._unproven = b""

    async def commit(self) -> int:
        if self.failures:
            raise SinkError(self.failures.pop())
        batch, self._waiting = self._waiting, []
        self._done.clear()
        task = asyncio.get_running_loop().create_task(self._store(batch))
        self._background.add(task)
        await asyncio.shield(task)
        return self.offset

    async def _store(self, batch: list[tuple[int, bytes]]) -> None:
        self.is_committing = True
        await self.gate.wait()
        self.is_committing = False
        for offset, lines in batch:
            self.stored += lines
            self.offset = offset
        self._done.set()

    def rewind(self) -> tuple[int, int] | None:
        return None

    async def run(self, report: Any) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        await self._done.wait()


def numbers(offset: int, count: int) -> bytes:
    return stream().lines(offset, count)


def interval(offset: int, count: int, t: str = "1") -> bytes:
    """`count` numbers and the beat that proves them."""
    return numbers(offset, count) + beat_line(offset + count, numbers(offset, count), t)


# ---- one connection --------------------------------------------------------------------------------------------------


async def test_hello_first_resume_without_an_offset_and_numbers_pass_on_arrival_and_are_acked_at_the_beat() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as peer:
        assert await peer.open() == b"#resume\n"
        peer.say(beat_line(7))
        assert await peer.line() == b"#ack offset=7 t=1\n"
        peer.say(numbers(7, 5))
        await sink.wait_count(5)
        peer.say(interval(7, 5, t="99").removeprefix(numbers(7, 5)))
        assert await peer.line_starting(b"#ack offset=12 ") == b"#ack offset=12 t=99\n"
        assert sink.taken == numbers(7, 5)
        assert worker.intake.state is LinkState.STREAMING
        assert (worker.numbers, worker.intake.acked_offset) == ("integers:1:100", 12)


async def test_immediate_resume_after_a_plain_cut_is_where_the_sink_stood_though_unproven() -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5), numbers(5, 3))
            await sink.wait_count(8)
        async with dialled(worker) as peer:
            await peer.start(8)
            peer.say(interval(8, 2))
            await peer.line_starting(b"#ack offset=10 ")
        assert sink.taken == numbers(0, 10)


@pytest.mark.parametrize(
    "spoiler", [b"#beat offset=9 crc=00000000 t=3\n", b"GET / HTTP/1.1\r\n", b"#nonsense\n", b"1" * 70]
)
async def test_immediate_resume_after_broken_rules_is_the_last_good_beat_and_the_range_is_logged_as_unproven(
    spoiler: bytes, log: Log
) -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
            peer.say(numbers(5, 3))
            await sink.wait_count(8)
            peer.say(spoiler)
            assert (await peer.rest()).splitlines()[-1].startswith(b"#close reason=")
        unproven = await log.wait("worker.unproven")
        assert (unproven["first"], unproven["end"]) == (5, 8)
        async with dialled(worker) as peer:
            await peer.start(5)


async def test_broken_rules_with_nothing_unproven_are_not_logged_as_unproven(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        peer.say(b"#nonsense\n")
        assert (await peer.rest()).endswith(b"#close reason=malformed\n")
        await log.wait("link.lost")
        assert log.of("worker.unproven") == []


async def test_offset_of_one_stream_is_not_named_to_another() -> None:
    sink = Memory()
    async with a_worker(sink) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
        async with dialled(worker) as peer:
            assert await peer.open(stream=OTHER_STREAM) == b"#resume\n"
        async with dialled(worker) as peer:  # which took no number of the other: the first is still known
            assert await peer.open() == b"#resume offset=5\n"
        async with dialled(worker) as peer:
            assert await peer.open(stream=OTHER_STREAM) == b"#resume\n"
            peer.say(beat_line(100))
            await peer.line_starting(b"#ack ")
        async with dialled(worker) as peer:
            assert await peer.open() == b"#resume\n"


async def test_silence_past_the_deadline_closes_with_timeout(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="0.05")
        assert (await peer.rest()).endswith(b"#ack offset=0\n#close reason=timeout\n")
        assert (await log.wait("link.lost"))["reason"] == "timeout"


async def test_late_timer_ends_nothing_on_a_session(clock: JumpingClock, log: Log) -> None:
    async with a_worker(clock=clock) as worker, dialled(worker) as peer:
        await peer.start(0)
        for number in range(3):
            clock.jump(100.0)
            assert await peer.line_starting(b"#ack") == b"#ack offset=%d\n" % number
            peer.say(interval(number, 1))
            await peer.line_starting(b"#ack offset=%d t" % (number + 1))
        assert log.of("link.lost") == []


async def test_handshake_limit_ends_a_connection_that_says_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.protocol.end.HANDSHAKE_LIMIT", 0.05)
    async with a_worker() as worker, dialled(worker) as peer:
        assert await peer.rest() == b"#hello randstream/1 worker=worker-0\n#close reason=timeout\n"
        assert (await log.wait("peer.left"))["reason"] == "timeout"


async def test_handshake_limit_is_not_put_off_by_a_trickle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.protocol.end.HANDSHAKE_LIMIT", 0.1)
    async with a_worker() as worker, dialled(worker) as peer:
        trickle = asyncio.ensure_future(peer.rest())
        peer.say(b"#op")
        while not trickle.done():
            peer.say(b"e")
            await asyncio.sleep(0.005)
        assert (await trickle).endswith(b"#close reason=timeout\n") or b"too-long" in trickle.result()


async def test_ack_once_a_heartbeat_whatever_the_sink_is_doing() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="0.1")
        vault.gate.clear()
        peer.say(interval(0, 3))
        for beats in range(4):
            assert await peer.line() == b"#ack offset=0\n"
            peer.say(beat_line(3, t=str(beats + 2)))
        vault.gate.set()
        assert await peer.line_starting(b"#ack offset=3 ") == b"#ack offset=3 t=5\n"


async def test_an_ack_that_found_the_write_buffer_full_goes_out_as_soon_as_the_peer_reads_on() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        peer.writer.transport.pause_reading()
        assert worker.admission.live is not None
        session, transport = worker.admission.live, worker.admission.live.connection.transport
        transport.write(b"#" * 2**24)
        await until(transport.get_write_buffer_size)
        peer.say(interval(0, 1))
        await until(lambda: session.receiver.acked_offset == 1)
        peer.writer.transport.resume_reading()
        got = b""
        async with asyncio.timeout(PATIENCE):
            while not got.endswith(b"#ack offset=1 t=1\n"):
                got = got[-100:] + await peer.reader.read(2**20)


async def test_one_ack_waits_for_a_peer_that_never_reads_and_memory_stays_bounded() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        peer.writer.transport.pause_reading()
        assert worker.admission.live is not None
        session, transport = worker.admission.live, worker.admission.live.connection.transport
        transport.write(b"#" * 2**24)  # more than the kernel takes: as after many unread acks
        unread = await until(transport.get_write_buffer_size)
        for number in range(100):
            peer.say(interval(number, 1, t=str(number)))
            await until(lambda number=number: session.receiver.acked_offset == number + 1)
        assert transport.get_write_buffer_size() <= unread
        assert b"".join(session.receiver.data_to_send()) == b"#ack offset=100 t=99\n"


# ---- takeover --------------------------------------------------------------------------------------------------------


async def test_takeover_ends_the_older_connection_of_the_same_stream(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0)
        older.say(interval(0, 5))
        await older.line_starting(b"#ack offset=5 ")
        await newer.start(5)
        assert (await older.rest()).endswith(b"#close reason=takeover\n")
        older.say(numbers(5, 3))
        newer.say(interval(5, 2))
        await newer.line_starting(b"#ack offset=7 ")
        assert sink.taken == numbers(0, 7)
        assert log.of("link.closed")[0]["reason"] == "takeover"


async def test_takeover_is_heard_by_a_producer_that_is_busy_writing() -> None:
    async with a_worker() as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0, heartbeat="60")
        older.writer.transport.pause_reading()
        await newer.start(0)
        for number in range(5):  # to a socket that is closed the first would be answered with a reset
            older.say(numbers(number, 1))
            newer.say(beat_line(0, t=str(number)))
            await newer.line_starting(b"#ack")
        older.writer.transport.resume_reading()
        assert (await older.rest()).endswith(b"#close reason=takeover\n")


async def test_takeover_in_full_flow_is_known_for_what_it_is(clock: JumpingClock) -> None:
    async with a_worker(DiscardSink(), clock=clock) as worker, producing(worker, rate="max", clock=clock) as producer:
        (link,) = producer.links
        await until(lambda: link.acked_offset)
        async with dialled(worker) as newer:
            await newer.open()
            await until(lambda: link.reconnects)
            assert link.last_error == "takeover: the peer closed the connection: takeover"


async def test_takeover_after_commit_gets_its_resume_and_until_then_wait() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0)
        vault.gate.clear()
        older.say(interval(0, 5))
        await until(lambda: vault.is_committing)
        older.say(interval(5, 5), numbers(10, 3))
        await until(lambda: worker.intake.offset == 13)
        await newer.line_starting(b"#hello")
        newer.say(open_line(stream=stream().id, heartbeat="0.05"))
        assert [await newer.line() for _ in range(3)] == [b"#wait\n"] * 3
        assert (await older.rest()).endswith(b"#close reason=takeover\n")
        vault.gate.set()
        assert await newer.line_starting(b"#resume") == b"#resume offset=5\n"
        newer.say(beat_line(5), interval(5, 1))
        await newer.line_starting(b"#ack offset=6 ")
        assert vault.stored == numbers(0, 6)


async def test_newest_waits_and_replaces_the_one_that_waited() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, AsyncExitStack() as stack:
        older, waiting, newest = [await stack.enter_async_context(dialled(worker)) for _ in range(3)]
        await older.start(0)
        vault.gate.clear()
        older.say(interval(0, 5))
        await until(lambda: vault.is_committing)
        for peer in (waiting, newest):
            await peer.line_starting(b"#hello")
            peer.say(open_line(stream=stream().id, heartbeat="0.05"))
            assert await peer.line() == b"#wait\n"
        assert (await waiting.rest()).endswith(b"#close reason=takeover\n")
        vault.gate.set()
        assert await newest.line_starting(b"#resume") == b"#resume offset=5\n"
        assert vault.opened == 2


async def test_other_stream_is_refused_while_a_connection_lives_and_admitted_after() -> None:
    async with a_worker() as worker, dialled(worker) as other:
        async with dialled(worker) as peer:
            await peer.start(0)
            assert await other.open(stream=OTHER_STREAM) == b"#close reason=refused\n"
            peer.say(interval(0, 1))
            await peer.line_starting(b"#ack offset=1 ")
        await until(lambda: worker.admission.live is None)
        async with dialled(worker) as other:
            assert await other.open(stream=OTHER_STREAM) == b"#resume\n"


async def test_a_sink_that_fails_means_wait_then_no_ack_and_is_asked_again(log: Log, quick: Any) -> None:
    quick("randstream.worker.session.SINK_RETRY_SECONDS")
    vault = Vault()
    vault.failures = ["disk on fire", "disk on fire", "disk full"]
    async with a_worker(vault) as worker, dialled(worker) as peer:
        await peer.start(0)
        assert [each["error"] for each in log.of("sink.failing")] == ["disk full", "disk on fire"]
        assert worker.problem is None
        vault.failures = ["no"] * 5
        peer.say(interval(0, 2))
        await until(lambda: worker.problem == "no")
        assert worker.intake.state is LinkState.STALLED
        await peer.line_starting(b"#ack offset=2 ")
        await log.wait("sink.recovered", 2)
        assert worker.problem is None
        assert worker.tally.sink_failures == 8


# ---- slots -----------------------------------------------------------------------------------------------------------


async def test_slots_when_all_are_taken_a_random_one_is_closed_with_busy_never_the_newcomer() -> None:
    class Seventh(Random):
        def choice(self, seq: Any) -> Any:
            return seq[7]

    async with a_worker(random=Seventh()) as worker, AsyncExitStack() as stack:
        peers: list[Peer] = []
        for _ in range(UNOPENED_LIMIT):
            peers.append(await stack.enter_async_context(dialled(worker)))
            await peers[-1].line_starting(b"#hello")
        newcomer = await stack.enter_async_context(dialled(worker))
        await newcomer.start(0)
        assert await peers[7].rest() == b"#close reason=busy\n"
        assert len(worker.admission.unopened) == UNOPENED_LIMIT - 1
        extra = await stack.enter_async_context(dialled(worker))
        await extra.line_starting(b"#hello")
        assert not any(peer.reader.at_eof() for peer in peers if peer is not peers[7])


async def test_slots_are_not_held_by_connections_that_opened() -> None:
    async with a_worker() as worker, AsyncExitStack() as stack:
        await (await stack.enter_async_context(dialled(worker))).start(0)
        for _ in range(UNOPENED_LIMIT):
            peer = await stack.enter_async_context(dialled(worker))
            await peer.line_starting(b"#hello")
        assert len(worker.admission.unopened) == UNOPENED_LIMIT
        assert worker.admission.live is not None


# ---- the graceful end ------------------------------------------------------------------------------------------------


async def test_drain_ends_at_the_next_beat_with_its_ack_and_close_shutdown() -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=60) as worker, dialled(worker) as peer, dialled(worker) as stranger:
        await peer.start(0)
        await stranger.line_starting(b"#hello")
        peer.say(numbers(0, 3))
        await until(lambda: worker.intake.offset == 3)
        worker.stop()
        assert await stranger.rest() == b"#close reason=shutdown\n"
        peer.say(interval(0, 3).removeprefix(numbers(0, 3)), interval(3, 5))
        rest = await peer.rest()
        assert rest.splitlines()[-2:] == [b"#ack offset=3 t=1", b"#close reason=shutdown"]
        assert vault.stored == numbers(0, 3)
        assert worker.problem == "not listening"


async def test_drain_at_a_beat_without_numbers_ends_at_once() -> None:
    async with a_worker(grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0)
        worker.stop()
        await until(lambda: worker.admission.live is not None and worker.admission.live.is_draining)
        peer.say(beat_line(0, t="2"))
        assert (await peer.rest()).splitlines()[-2:] == [b"#ack offset=0 t=2", b"#close reason=shutdown"]


async def test_drain_takes_nothing_past_the_beat_it_ends_with() -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0)
        vault.gate.clear()
        worker.stop()
        await until(lambda: worker.admission.live is not None and worker.admission.live.is_draining)
        peer.say(interval(0, 3), interval(3, 3), numbers(6, 1))
        await until(lambda: vault.is_committing)
        vault.gate.set()
        assert (await peer.rest()).splitlines()[-2:] == [b"#ack offset=3 t=1", b"#close reason=shutdown"]
        assert vault.stored == numbers(0, 3)


async def test_drain_passes_nothing_on_past_the_beat_it_ends_with() -> None:
    sink = Memory()
    async with a_worker(sink, grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0)
        worker.stop()
        await until(lambda: worker.admission.live is not None and worker.admission.live.is_draining)
        peer.say(interval(0, 3) + interval(3, 3) + numbers(6, 1))
        assert (await peer.rest()).endswith(b"#ack offset=3 t=1\n#close reason=shutdown\n")
        assert sink.taken == numbers(0, 3)


@pytest.mark.parametrize("is_committing", [False, True])
async def test_drain_that_takes_longer_than_the_grace_is_ended(is_committing: bool) -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=0.05) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        vault.gate.clear()
        if is_committing:
            peer.say(interval(0, 3))
            await until(lambda: vault.is_committing)
        worker.stop()
        assert (await peer.rest()).endswith(b"#close reason=shutdown\n")
        vault.gate.set()


async def test_drain_in_the_handshake_closes_at_once() -> None:
    async with a_worker(grace_period=60) as worker, dialled(worker) as peer:
        assert await peer.open() == b"#resume\n"
        worker.stop()
        assert await peer.rest() == b"#close reason=shutdown\n"


async def test_a_connection_that_comes_while_the_worker_ends_is_cut() -> None:
    async with a_worker(grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0)
        reader, writer = asyncio.StreamReader(), Cut()
        worker.stop()
        worker._accept(reader, writer)
        assert writer.is_aborted
        peer.cut()


class Cut:
    """A writer that can only be cut."""

    is_aborted = False

    @property
    def transport(self) -> Cut:
        return self

    def abort(self) -> None:
        self.is_aborted = True


async def test_a_port_that_is_taken_is_a_settings_error_and_the_sink_is_given_back() -> None:
    class Closing(Memory):
        is_closed = False

        async def close(self) -> None:
            self.is_closed = True

    async with a_worker() as worker:
        assert worker.address is not None
        sink = Closing()
        second = Worker(WorkerSettings(name="w", listen=f"127.0.0.1:{worker.address[1]}"), sink)
        with pytest.raises(SettingsError, match=r"cannot listen on 127\.0\.0\.1"):
            await second.run()
        assert sink.is_closed
        assert second.problem == "not listening"


async def test_the_bug_of_a_sink_ends_the_worker_loudly() -> None:
    class Buggy(Memory):
        def append(self, run: Lines, count: int) -> None:
            raise ZeroDivisionError("a bug")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # the loop tells of it as well
    worker = Worker(WorkerSettings(name="worker-0", listen="127.0.0.1:0"), Buggy())
    running = asyncio.ensure_future(worker.run())
    await worker.wait_listening()
    async with dialled(worker) as peer:
        await peer.start(0)
        peer.say(b"5\n")
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(running, PATIENCE)
    assert caught.group_contains(ZeroDivisionError)


async def test_the_bug_of_an_alarm_ends_the_worker_loudly(clock: JumpingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(receiver: Receiver, now: float) -> list[Event]:
        raise KeyError(now)

    monkeypatch.setattr(Receiver, "handle_timer", fail)
    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0"), Memory(), clock=clock)
    running = asyncio.ensure_future(worker.run())
    await worker.wait_listening()
    async with dialled(worker) as peer:
        await peer.line()
        clock.jump(HANDSHAKE_LIMIT + 1)
        with pytest.raises(KeyError):
            await asyncio.wait_for(running, PATIENCE)


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

    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0", grace_period=60), Over())
    await asyncio.wait_for(worker.run(), PATIENCE)


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


async def test_a_peer_that_does_not_part_is_cut_after_a_while(quick: Any) -> None:
    quick("randstream.net.connection.LINGER", 0.05)
    async with a_worker() as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0)
        session = worker.admission.live
        assert session is not None
        await newer.start(0)
        assert await older.line_starting(b"#close") == b"#close reason=takeover\n"
        await until(session.connection.transport.is_closing)


async def test_a_word_for_a_peer_that_was_cut_goes_nowhere() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        assert worker.admission.live is not None
        connection = worker.admission.live.connection
        connection.transport.abort()
        connection.flush()
        await until(lambda: worker.admission.live is None)


async def test_what_only_a_worker_says_is_a_bug_if_it_comes_as_an_event_of_a_producer() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        assert worker.admission.live is not None
        with pytest.raises(LocalProtocolError):
            worker.admission.live.on_event(Waited(), 0.0)


# ---- a long life -----------------------------------------------------------------------------------------------------


async def test_a_checkpoint_is_logged_now_and_then_with_offset_and_rate(clock: JumpingClock, log: Log) -> None:
    async with a_worker(clock=clock) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        for second in range(25):
            clock.jump(1.0)
            peer.say(interval(second * 5, 5, t=str(second)))
            await peer.line_starting(b"#ack offset=%d " % (second * 5 + 5))
        checkpoints = log.of("worker.checkpoint")
        assert len(checkpoints) == 2
        assert checkpoints[0]["rate"] == pytest.approx(5, rel=0.2)


async def test_a_flood_of_strangers_is_logged_in_a_few_lines(log: Log, clock: JumpingClock) -> None:
    async with a_worker(clock=clock) as worker:
        for _ in range(40):
            async with dialled(worker) as peer:
                peer.say(b"GET / HTTP/1.1\r\n")
                await peer.rest()
        await until(lambda: not worker.admission.present)
        assert len(log.of("peer.left")) == 12
        clock.jump(60.0)
        async with dialled(worker) as peer:
            peer.cut()
        assert (await log.wait("peer.left", 13))["left_out"] == 28


# ---- raw peers -------------------------------------------------------------------------------------------------------


async def test_raw_source_is_taken_and_a_last_line_without_lf_is_dropped_and_the_offset_untouched(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
        await until(lambda: worker.admission.live is None)
        async with dialled(worker) as raw:
            raw.say(b"1\n22\n3")
            raw.writer.write_eof()
            assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n"
        assert sink.taken == numbers(0, 5) + b"1\n22\n"
        (accepted,) = log.of("raw.accepted")
        assert accepted["peer"] == str(Address(*raw.writer.get_extra_info("sockname")))
        (closed,) = log.of("link.closed")  # its end is a polite one, and knows no offset
        assert not closed.keys() & {"offset", "acked"}
        assert worker.tally.numbers == 7
        async with dialled(worker) as peer:
            await peer.start(5)


async def test_raw_source_is_refused_while_a_stream_connection_lives() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as peer, dialled(worker) as raw:
        await peer.start(0)
        raw.say(b"1\n2\n")
        assert (await raw.rest()).endswith(b"#close reason=refused\n")
        assert sink.taken == b""


async def test_raw_source_gives_way_to_a_stream() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw, dialled(worker) as peer:
        raw.say(b"1\n")
        await sink.wait_count(1)
        await peer.start(0)
        raw.say(b"2\n")
        await raw.rest()
        assert sink.taken == b"1\n"


async def test_raw_source_is_malformed_to_a_worker_that_was_not_told_to_accept_it() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as raw:
        raw.say(b"1\n2\n")
        assert (await raw.rest()).endswith(b"#close reason=malformed\n")
        assert sink.taken == b""


async def test_raw_not_stored_though_accepted_if_the_sink_is_revocable() -> None:
    async with a_worker(Vault(), accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        assert (await raw.rest()).endswith(b"#close reason=refused\n")


async def test_raw_source_silence_of_60_seconds_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.protocol.receiver.RAW_SILENCE_LIMIT", 0.05)
    async with a_worker(accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        assert (await raw.rest()).endswith(b"#close reason=timeout\n")


class Narrow(Memory):
    """Takes what it is given, but says when there is room for more."""

    def __init__(self) -> None:
        super().__init__()
        self.room = asyncio.Event()
        self.waits = 0

    async def wait_room(self) -> None:
        self.waits += 1
        await self.room.wait()


async def test_raw_source_is_held_back_while_the_sink_has_no_room_and_that_is_not_its_silence(
    clock: JumpingClock,
) -> None:
    sink = Narrow()
    async with a_worker(sink, accept_raw=True, clock=clock) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        await until(lambda: sink.waits)
        raw.say((b"2" * 60 + b"\n") * 300_000)
        await until(raw.writer.transport.get_write_buffer_size)
        taken = sink.count
        clock.jump(60.2)  # served so little late, a deadline would count
        assert sink.count == taken == 1
        sink.room.set()
        await sink.wait_count(300_001)
        assert worker.admission.live is not None


async def test_raw_source_that_ends_while_it_is_held_back_is_let_go() -> None:
    sink = Narrow()
    async with a_worker(sink, accept_raw=True, grace_period=60) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        await until(lambda: sink.waits)
        worker.stop()
        assert (await raw.rest()).endswith(b"#close reason=shutdown\n")


def test_heartbeat_of_the_offers_is_that_of_the_wire() -> None:
    assert key(open_line(heartbeat=str(HEARTBEAT)), "heartbeat") == "0.1"


# ---- a store whose disk fails at the start ---------------------------------------------------------------------------


async def test_a_worker_whose_disk_fails_at_the_start_listens_and_takes_numbers_once_the_disk_allows(
    log: Log, quick: Any
) -> None:
    quick("randstream.store.sink.START_RETRY_SECONDS")
    quick("randstream.worker.session.SINK_RETRY_SECONDS")
    disk = Disk(Random(0))
    disk.fault = lambda call, name: errno.ENOSPC
    problem = "cannot use /store as a store: No space left on device"
    async with a_worker(DurableSink(Path("/store"), "worker-0", files=disk)) as worker, dialled(worker) as peer:
        assert worker.problem == problem
        await peer.line_starting(b"#hello")
        peer.say(open_line(stream=stream().id))
        for _ in range(3):
            assert await peer.line() == b"#wait\n"
        disk.fault = lambda call, name: None
        assert await peer.line_starting(b"#resume") == b"#resume offset=0\n"
        assert worker.problem is None
        peer.say(beat_line(0), interval(0, 5))
        await peer.line_starting(b"#ack offset=5 ")
    (failing,) = log.of("sink.failing")
    assert failing["error"] == problem
    assert len(log.of("sink.recovered")) == 1


async def test_a_worker_whose_store_can_never_be_one_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    worker = Worker(WorkerSettings(name="w", listen="127.0.0.1:0", store=tmp_path / "file"))
    with pytest.raises(SettingsError, match=r"cannot use .*/file as a store: "):
        await worker.run()
