"""Session: one connection of a worker, from its greeting to its end."""

from __future__ import annotations

import asyncio

import pytest
from tests.protocol.network import beat_line
from tests.simulation.virtual import virtual_loop
from tests.support.log import Log
from tests.support.peers import dialled, offer_line
from tests.support.roles import a_worker, session_of, transport_of
from tests.support.sinks import Memory
from tests.support.waiting import patience, until
from tests.worker.vault import INSTANCE, Grudging, Late, Narrow, Vault, interval, numbers

from randstream.errors import LocalProtocolError
from randstream.net.connection import LINGER
from randstream.observe.status import LinkState
from randstream.protocol import HANDSHAKE_LIMIT, RAW_SILENCE_LIMIT
from randstream.protocol.events import Waited
from randstream.settings import Address
from randstream.worker.session import CHECKPOINT_SECONDS


@pytest.mark.kernel
async def test_hello_first_resume_without_an_offset_and_numbers_pass_on_arrival_and_are_acked_at_the_beat() -> None:
    sink = Memory()
    async with a_worker(sink) as worker, dialled(worker) as peer:
        assert await peer.open() == b"#resume after=start\n"
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


@pytest.mark.parametrize("more", [b"#close reason=shutdown\n", b"#nonsense\n", b"52\n"])
@pytest.mark.parametrize("is_served", [True, False])
async def test_an_offer_that_ends_in_the_same_breath_joins_nothing_and_harms_nobody(
    more: bytes, is_served: bool
) -> None:
    async with a_worker() as worker, dialled(worker) as serving, dialled(worker) as hasty:
        if is_served:
            await serving.start(0, instance=INSTANCE)
        await hasty.line()
        hasty.say(offer_line(instance=INSTANCE) + more)
        assert (await hasty.rest()).startswith(b"" if more.startswith(b"#close") else b"#close reason=malformed\n")
        if not is_served:
            await serving.start(0)
        serving.say(interval(0, 5))
        await serving.line_starting(b"#ack offset=5 ")
        assert not worker.line.waiting


async def test_silence_past_the_deadline_closes_with_timeout(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        assert (await peer.rest()).endswith(b"#ack offset=0\n#close reason=timeout\n")
        assert (await log.wait("link.lost"))["reason"] == "timeout"


async def test_late_timer_ends_nothing_on_a_session(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        for number in range(3):
            virtual_loop().block(100.0)
            assert await peer.line_starting(b"#ack") == b"#ack offset=%d\n" % number
            peer.say(interval(number, 1))
            await peer.line_starting(b"#ack offset=%d t" % (number + 1))
        assert log.of("link.lost") == []


async def test_handshake_limit_ends_a_connection_that_says_nothing(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        began = worker.clock.now()
        assert await peer.rest() == b"#hello randstream/1 worker=worker-0\n#close reason=timeout\n"
        assert (await log.wait("peer.left"))["reason"] == "timeout"
        assert worker.clock.now() - began == pytest.approx(HANDSHAKE_LIMIT, abs=0.1)


async def test_handshake_limit_is_not_put_off_by_a_trickle() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        began = worker.clock.now()
        await peer.line_starting(b"#hello")
        peer.say(b"#op")
        while worker.admission.present:
            peer.say(b"e")
            await asyncio.sleep(0.1)
        assert worker.clock.now() - began == pytest.approx(HANDSHAKE_LIMIT, abs=0.2)
        assert (await peer.rest()).endswith(b"#close reason=timeout\n")


async def test_ack_once_a_heartbeat_whatever_the_sink_is_doing() -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="0.1")
        vault.gate.clear()
        peer.say(interval(0, 3))
        for beats in range(4):
            assert (await peer.line()).startswith(b"#ack offset=0")
            peer.say(beat_line(3, t=str(beats + 2)))
        vault.gate.set()
        assert await peer.line_starting(b"#ack offset=3 ") == b"#ack offset=3 t=5\n"


@pytest.mark.kernel
async def test_an_ack_that_found_the_write_buffer_full_goes_out_as_soon_as_the_peer_reads_on() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        peer.transport.pause_reading()
        session = session_of(worker)
        transport = transport_of(worker)
        transport.write(b"#" * 2**24)
        await until(transport.get_write_buffer_size)
        peer.say(interval(0, 1))
        await until(lambda: session.receiver.acked_offset == 1)
        peer.transport.resume_reading()
        got = b""
        async with asyncio.timeout(patience()):
            while not got.endswith(b"#ack offset=1 t=1\n"):
                got = got[-100:] + await peer.reader.read(2**20)


@pytest.mark.kernel
async def test_one_ack_waits_for_a_peer_that_never_reads_and_memory_stays_bounded() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        peer.transport.pause_reading()
        session = session_of(worker)
        transport = transport_of(worker)
        transport.write(b"#" * 2**24)  # more than the kernel takes: as after many unread acks
        unread = await until(transport.get_write_buffer_size)
        for number in range(100):
            peer.say(interval(number, 1, t=str(number)))
            await until(lambda number=number: session.receiver.acked_offset == number + 1)
        assert transport.get_write_buffer_size() <= unread
        assert b"".join(session.receiver.data_to_send()) == b"#ack offset=100 t=99\n"


async def test_a_sink_that_fails_means_wait_then_no_ack_and_is_asked_again(log: Log) -> None:
    vault = Vault()
    vault.failures = ["disk on fire", "disk on fire", "disk full"]
    async with a_worker(vault) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
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


async def test_a_sink_that_fails_a_raw_peer_is_asked_again(log: Log) -> None:
    sink = Grudging(failures=["disk full", "disk on fire"])
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        await log.wait("sink.recovered")
        assert [each["error"] for each in log.of("sink.failing")] == ["disk full", "disk on fire"]
        raw.say(b"2\n")
        await sink.wait_count(2)
        assert (worker.problem, worker.tally.sink_failures) == (None, 2)


@pytest.mark.kernel
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
        await until(lambda: session_of(worker).is_draining)
        peer.say(beat_line(0, t="2"))
        assert (await peer.rest()).splitlines()[-2:] == [b"#ack offset=0 t=2", b"#close reason=shutdown"]


async def test_drain_takes_nothing_past_the_beat_it_ends_with() -> None:
    vault = Vault()
    async with a_worker(vault, grace_period=60) as worker, dialled(worker) as peer:
        await peer.start(0)
        vault.gate.clear()
        worker.stop()
        await until(lambda: session_of(worker).is_draining)
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
        await until(lambda: session_of(worker).is_draining)
        peer.say(interval(0, 3) + interval(3, 3) + numbers(6, 1))
        assert (await peer.rest()).endswith(b"#ack offset=3 t=1\n#close reason=shutdown\n")
        assert sink.taken == numbers(0, 3)


async def test_drain_in_the_handshake_closes_at_once() -> None:
    async with a_worker(grace_period=60) as worker, dialled(worker) as peer:
        assert await peer.open() == b"#resume after=start\n"
        worker.stop()
        assert await peer.rest() == b"#close reason=shutdown\n"


async def test_a_peer_that_does_not_part_is_cut_after_a_while() -> None:
    async with a_worker() as worker, dialled(worker) as older, dialled(worker) as newer:
        await older.start(0, instance=INSTANCE)
        connection = session_of(worker).connection
        await newer.start(0, instance=INSTANCE)
        taken_over_at = worker.clock.now()
        assert await older.line_starting(b"#close") == b"#close reason=takeover\n"
        await until(lambda: connection.transport is None)
        assert worker.clock.now() - taken_over_at == pytest.approx(LINGER, abs=0.1)


async def test_a_word_for_a_peer_that_was_cut_goes_nowhere() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        session = session_of(worker)
        transport_of(worker).abort()
        session.connection.flush()
        await until(lambda: worker.line.holder is None)


async def test_what_only_a_worker_says_is_a_bug_if_it_comes_as_an_event_of_a_producer() -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0)
        with pytest.raises(LocalProtocolError):
            session_of(worker).on_event(Waited(), 0.0)


async def test_what_is_not_in_the_sink_yet_is_no_checkpoint(log: Log) -> None:
    vault = Vault()
    async with a_worker(vault) as worker, dialled(worker) as peer:
        await peer.start()
        vault.gate.clear()
        peer.say(interval(0, 5))
        for _ in range(2 * int(CHECKPOINT_SECONDS)):
            await asyncio.sleep(1.0)
            peer.say(beat_line(5))
        assert log.of("worker.checkpoint") == []
        vault.gate.set()
        assert (await log.wait("worker.checkpoint"))["offset"] == 5


async def test_a_checkpoint_is_logged_now_and_then_with_offset_and_rate(log: Log) -> None:
    async with a_worker() as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        for second in range(25):
            await asyncio.sleep(1.0)
            peer.say(interval(second * 5, 5, t=str(second)))
            await peer.line_starting(b"#ack offset=%d " % (second * 5 + 5))
        checkpoints = log.of("worker.checkpoint")
        assert len(checkpoints) == 2
        assert checkpoints[0]["rate"] == pytest.approx(5, rel=0.1)


@pytest.mark.kernel
async def test_raw_source_is_taken_with_a_last_line_without_lf_and_the_offset_untouched(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
        await until(lambda: worker.line.holder is None)
        async with dialled(worker) as raw:
            raw.say(b"1\n22\n3")
            raw.writer.write_eof()
            assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n"
        assert sink.taken == numbers(0, 5) + b"1\n22\n3\n"
        (accepted,) = log.of("raw.accepted")
        assert accepted["peer"] == str(Address(*raw.writer.get_extra_info("sockname")))
        (closed,) = log.of("link.closed")  # its end is a polite one, and knows no offset
        assert not closed.keys() & {"offset", "acked", "unfinished"}
        assert closed["taken"] == 3
        assert worker.tally.numbers == 8
        async with dialled(worker) as peer:
            await peer.start(5)


FAULTY = b"\xef\xbb\xbf# values\r\n+1\r\n 2E3 \r\n\r\n2024-01-01\r\n7\r\n"
TOLD = (
    b"# line 5 is not a number: '2024-01-01'; write one decimal number per line, such as -1.5e-3;"
    b" 2 numbers before it taken\n"
)


@pytest.mark.kernel
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_raw_fault_is_told_to_the_sender_and_to_the_log_however_the_bytes_come(log: Log, size: int) -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        for at in range(0, len(FAULTY), size):
            raw.say(FAULTY[at : at + size])
            await asyncio.sleep(0)
        assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n" + TOLD + b"#close reason=malformed\n"
        assert sink.taken == b"1\n2e3\n"
        lost = await log.wait("link.lost")
        assert (lost["reason"], lost["line"], lost["taken"]) == ("malformed", 5, 2)
        assert lost["error"] == "line 5 is not a number: '2024-01-01'"
        assert "one decimal number per line" in lost["advice"]


@pytest.mark.kernel
async def test_raw_fault_is_read_by_a_sender_that_still_has_much_to_send(log: Log) -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"value\n" + b"12345678\n" * 300_000)
        assert b"# line 1 is not a number: 'value'; " in await raw.rest()
        assert sink.taken == b""
        left = await log.wait("peer.left")
        assert (left["line"], left["taken"]) == (1, 0)


async def test_raw_fault_of_a_peer_that_is_refused_is_not_told_in_place_of_that() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as peer, dialled(worker) as raw:
        await peer.start(0)
        raw.say(b"1\nx\n")
        assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n#close reason=refused\n"
        assert sink.taken == b""


@pytest.mark.parametrize(("data", "fields"), [(b"1\n23", {"taken": 1, "unfinished": "23"}), (b"1\n# x", {"taken": 1})])
async def test_raw_source_that_is_cut_within_a_line_leaves_that_to_the_log(
    log: Log, data: bytes, fields: dict[str, object]
) -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(data)
        await sink.wait_count(1)
        await asyncio.sleep(RAW_SILENCE_LIMIT + 1)
        lost = await log.wait("link.lost")
        assert {key: lost[key] for key in ("taken", "unfinished") if key in lost} == fields
        assert sink.taken == b"1\n"


async def test_what_a_raw_peer_sent_is_passed_on_before_the_worker_ends() -> None:
    sink = Late()
    async with a_worker(sink, accept_raw=True, grace_period=60) as worker:
        async with dialled(worker) as raw:
            raw.say(b"1\n")
            await until(lambda: sink.begun)
            raw.say(b"2\n")
            await until(lambda: worker.tally.numbers == 2)
        worker.stop()
        await asyncio.sleep(1.0)
        sink.gate.set()
    assert sink.written == b"1\n2\n"


async def test_raw_source_is_shown_by_its_address_and_with_no_stream_of_another() -> None:
    sink = Memory()
    async with a_worker(sink, accept_raw=True) as worker:
        async with dialled(worker) as peer:
            await peer.start(0)
            peer.say(interval(0, 5))
            await peer.line_starting(b"#ack offset=5 ")
        await until(lambda: worker.line.holder is None)
        async with dialled(worker) as raw:
            raw.say(b"1\n")
            await sink.wait_count(6)
            status = worker.intake.status(worker.clock.now(), 0.0)
            assert status.peer == str(Address(*raw.writer.get_extra_info("sockname")))
            assert (status.stream, status.served_by, status.served_for, status.silence) == (None, None, None, None)
            assert (status.offset, status.acked_offset) == (5, 5)
        await until(lambda: worker.line.holder is None)
        assert worker.intake.status(worker.clock.now(), 0.0).peer == "producer-0"


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


async def test_raw_source_silence_of_60_seconds_ends_it() -> None:
    async with a_worker(accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        began = worker.clock.now()
        assert (await raw.rest()).endswith(b"#close reason=timeout\n")
        assert worker.clock.now() - began == pytest.approx(RAW_SILENCE_LIMIT, abs=0.1)


async def test_raw_source_is_held_back_while_the_sink_has_no_room_and_that_is_not_its_silence() -> None:
    sink = Narrow()
    async with a_worker(sink, accept_raw=True) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        await until(lambda: sink.waits)
        raw.say((b"2" * 60 + b"\n") * 30_000)
        assert raw.transport.get_write_buffer_size()
        await asyncio.sleep(RAW_SILENCE_LIMIT + 1)
        assert sink.count == 1
        assert raw.transport.get_write_buffer_size()
        sink.room.set()
        await sink.wait_count(30_001)
        assert worker.line.holder is not None


async def test_raw_source_that_ends_while_it_is_held_back_is_let_go() -> None:
    sink = Narrow()
    async with a_worker(sink, accept_raw=True, grace_period=60) as worker, dialled(worker) as raw:
        raw.say(b"1\n")
        await until(lambda: sink.waits)
        worker.stop()
        assert await raw.rest() == b"#hello randstream/1 worker=worker-0\n"
