"""What a check does, on virtual time."""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from tests.cli.check.watching import HEARTBEAT, Fake, Watch
from tests.simulation.virtual import virtual_loop
from tests.support.clock import clock_of_loop
from tests.support.peers import a_listener, ack_of
from tests.support.ports import free_port
from tests.support.roles import a_worker, producing, transport_of
from tests.support.services import SERVICE, Services, targets_of
from tests.support.waiting import until

from randstream.cli.check.check import REACH_SECONDS, SETTLE_LIMIT, STORIES_AT_ONCE
from randstream.cli.check.measure import find_problem, subjects
from randstream.cli.check.view import MOST_ROWS
from randstream.errors import SettingsError


async def test_all_is_well() -> None:
    async with a_worker(discard=True) as worker:
        watch = Watch(worker, seconds=10.0)
        report = await watch.check.run()
    (link,) = report.links
    assert report.status == 0
    assert report.seconds == pytest.approx(10.0, abs=2 * HEARTBEAT)
    assert 98 <= link.sent == link.acknowledged <= 102  # the last beat's too
    assert (link.worker, link.count, link.problem, link.availability) == ("worker-0", 0, None, 1.0)
    assert link.round_trips is not None
    assert 0 < link.round_trips.min <= link.round_trips.median <= link.round_trips.p99 <= link.round_trips.max
    assert watch.lines == [f"worker-0 reached at {link.target}"]
    assert report.pause < HEARTBEAT


async def test_the_rate_that_is_as_fast_as_can_be_has_a_name_in_json() -> None:
    async with a_worker(discard=True) as worker:
        report = await Watch(worker, seconds=0.1, rate="max").check.run()
    assert report.settings["rate"] == "max"


async def test_a_cut_is_told_as_it_happens_and_reported() -> None:
    async with a_worker(discard=True) as worker:
        watch = Watch(worker, seconds=10.0)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(watch.check.run())
            await asyncio.sleep(5.0)
            transport_of(worker).abort()
        report = running.result()
    (link,) = report.links
    assert (report.status, link.count, link.by_cause) == (0, 1, {"cut": 1})
    assert link.longest == link.total == link.interruptions[0].seconds < 0.5
    assert link.interruptions[0].is_over
    assert watch.lines[1].startswith("worker-0 interrupted: ")
    assert watch.lines[2] == f"worker-0 proven again after {link.longest:.2f} s (cut)"


async def test_a_silence_is_told_as_one_whatever_ended_an_earlier_connection() -> None:
    async with a_listener() as listener:
        watch = Watch(listener, seconds=1.1 * HEARTBEAT * 10)
        running = asyncio.create_task(watch.check.run())
        (await listener.peer()).cut()
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept(name="b")))
        peer.say(ack_of(await peer.line_starting(b"#beat ")))
        report = await running
    assert watch.lines[1] == "b interrupted: silence"
    assert report.links[0].problem is not None


async def test_an_error_is_that_of_an_interruption_only_if_that_lost_the_connection() -> None:
    async with a_listener() as listener, producing(listener, heartbeat_interval=HEARTBEAT) as producer:
        (await listener.peer()).cut()
        peer = await listener.peer()
        peer.say(ack_of(await peer.accept(name="b")))
        (link,) = producer.links
        await until(lambda: link.history.interruptions.status(clock_of_loop().now()).current)
        (subject,) = subjects(producer)
        problem = find_problem(subject, clock_of_loop().now())
        assert link.last_error is not None
    assert problem is not None
    assert re.fullmatch(r"interrupted for \d\.\d s \(silence\)", problem)


async def test_a_worker_that_is_away_at_the_end_has_failed() -> None:
    async with a_worker(discard=True) as worker:
        watch = Watch(worker, seconds=10.0)
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(9.0)
    report = await running
    (link,) = report.links
    assert report.status == 1
    assert not link.interruptions[0].is_over
    assert link.problem is not None
    assert link.problem.startswith("interrupted for 1.")
    assert "(shutdown)" in link.problem


async def test_its_own_end_is_no_interruption_even_where_a_worker_does_not_answer() -> None:
    async with a_worker(discard=True) as worker:
        watch = Watch(worker, seconds=3.0, heartbeat_interval=1.0)
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(2.9)
        transport_of(worker).pause_reading()
        report = await running
    (link,) = report.links
    assert (link.count, link.total, report.status) == (0, 0.0, 0)


# ---- what it cannot reach --------------------------------------------------------------------------------------------


async def test_nobody_reached_is_said_after_ten_seconds_and_no_program_runs() -> None:
    targets = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    program = Fake()
    watch = Watch(*targets, program=program)
    begin = clock_of_loop().now()
    report = await watch.check.run()
    assert clock_of_loop().now() - begin == pytest.approx(REACH_SECONDS, abs=1.0)
    assert not program.begun.is_set()
    assert report.status == 1
    assert watch.lines == [f"not reached within 10 s: {targets[0]}, {targets[1]}"]
    assert [link.target for link in report.links] == targets
    assert all(link.problem and link.problem.startswith("not reached: conn") for link in report.links)


async def test_a_worker_that_never_greets_is_not_reached() -> None:
    async with a_listener() as listener:
        report = await Watch(listener, seconds=1.0).check.run()
    assert report.status == 1
    assert report.links[0].problem is not None


async def test_those_that_are_reached_are_checked_even_if_others_are_not() -> None:
    async with a_worker(discard=True) as worker:
        program = Fake()
        watch = Watch(worker, f"127.0.0.1:{free_port()}", program=program, settle=1.0)
        running = asyncio.create_task(watch.check.run())
        await program.begun.wait()
        program.over.set()
        begin = clock_of_loop().now()
        report = await running
    assert clock_of_loop().now() - begin < 2.0  # nobody waits for who never was there
    assert report.status == 1
    assert [link.worker for link in report.links] == ["worker-0", None]


async def test_a_service_without_workers_says_so() -> None:
    report = await Watch(SERVICE, seconds=1.0).check.run()
    assert report.status == 1
    assert report.verdict == f"FAILED: there was no link to check: {SERVICE} names no worker"


# ---- what it leaves alone --------------------------------------------------------------------------------------------


async def test_a_worker_that_is_served_ends_it_at_once_and_is_not_disturbed() -> None:
    async with a_worker(name="mine", discard=True) as mine, producing(mine) as producer:
        await until(lambda: producer.links[0].acked_offset > 10)
        watch = Watch(mine, f"127.0.0.1:{free_port()}", seconds=60.0)
        begin = clock_of_loop().now()
        with pytest.raises(SettingsError, match=r"mine at 127.0.0.1:[0-9]+ is served by producer-0, "):
            await watch.check.run()
        assert clock_of_loop().now() - begin < 1.0
        await until(lambda: not mine.line.waiting)
        await asyncio.sleep(1.0)
        assert producer.links[0].interruptions.status(clock_of_loop().now()).total == 0.0


async def test_a_worker_that_is_served_by_another_later_is_left_to_that_one() -> None:
    async with a_worker(name="a", discard=True) as a, a_listener() as b:
        program = Fake()
        watch = Watch(a, b, program=program, settle=1.0)
        running = asyncio.create_task(watch.check.run())
        peer = await b.peer()
        peer.say(ack_of(await peer.accept(name="b")))
        for _ in range(5):
            peer.say(ack_of(await peer.line_starting(b"#beat ")))
        peer.cut()
        peer = await b.peer()
        await peer.greet("b")
        peer.say(b"#wait by=owner\n")
        assert (await peer.rest()).endswith(b"#close reason=shutdown\n")
        program.over.set()
        over_at = clock_of_loop().now()
        report = await running
        assert clock_of_loop().now() - over_at < 3.0  # nobody waits for what is another's
    links = {link.worker: link for link in report.links}
    assert links["a"].problem is None
    assert links["b"].problem == "owner serves it now, and a check takes no worker from another producer"


# ---- a program -------------------------------------------------------------------------------------------------------


async def test_it_ends_when_the_program_has_ended_and_nothing_was_interrupted_for_as_long_as_asked() -> None:
    async with a_worker(discard=True) as worker:
        program = Fake()
        watch = Watch(worker, program=program, settle=3.0)
        running = asyncio.create_task(watch.check.run())
        await program.begun.wait()
        await asyncio.sleep(100.0)
        program.command = replace(program.command, status=3)
        program.over.set()
        ended = clock_of_loop().now()
        await asyncio.sleep(2.0)
        transport_of(worker).abort()  # which begins the count anew
        report = await running
    assert clock_of_loop().now() - ended == pytest.approx(2.0 + 3.0, abs=1.0)
    assert (report.status, report.command) == (3, program.command)
    assert watch.lines.index("begins: kubectl rollout") == 1  # after that it was reached
    assert "exit status 3 after 1.0 s: kubectl" in watch.lines


async def test_it_waits_for_who_is_away_but_not_for_ever() -> None:
    program = Fake()
    async with a_worker(discard=True) as worker:
        running = asyncio.create_task(Watch(worker, program=program).check.run())
        await program.begun.wait()
    program.over.set()
    ended = clock_of_loop().now()
    report = await running
    assert clock_of_loop().now() - ended == pytest.approx(SETTLE_LIMIT, abs=5.0)
    assert report.status == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_and_the_program_with_a_report(number: signal.Signals) -> None:
    async with a_worker(discard=True) as worker:
        program = Fake()
        program.command = replace(program.command, status=143, signal="SIGTERM")
        watch = Watch(worker, program=program)
        running = asyncio.create_task(watch.check.run())
        await program.begun.wait()
        watch.check.end(number)
        report = await running
    assert program.signals == [number]
    assert report.status == 143
    assert report.links[0].problem is None
    assert report.verdict.endswith("; but the command failed: was ended by SIGTERM, exit status 143 after 1.0 s")


async def test_whoever_ends_it_while_workers_are_reached_starts_no_program() -> None:
    program = Fake()
    watch = Watch(f"127.0.0.1:{free_port()}", program=program)
    running = asyncio.create_task(watch.check.run())
    await asyncio.sleep(1.0)
    watch.check.end(signal.SIGTERM)
    report = await running
    assert report.status == 1
    assert not program.begun.is_set()
    assert watch.lines == []


async def test_a_fault_of_the_producer_ends_it() -> None:
    async with a_worker(discard=True) as worker:
        program = Fake()
        watch = Watch(worker, program=program)
        running = asyncio.create_task(watch.check.run())
        await program.begun.wait()
        watch.producer._on_bug(ZeroDivisionError("planted"))
        with pytest.raises(ZeroDivisionError):
            await running
    assert program.signals == [signal.SIGTERM]


# ---- services --------------------------------------------------------------------------------------------------------


async def test_a_rolling_restart_behind_a_service_is_an_interruption_of_each_worker() -> None:
    services = Services()
    async with AsyncExitStack() as stack:
        olds = [AsyncExitStack() for _ in range(2)]
        workers = [await old.enter_async_context(a_worker(name=f"w-{n}", discard=True)) for n, old in enumerate(olds)]
        services.workers[SERVICE] = targets_of(workers)
        program = Fake()
        watch = Watch(SERVICE, program=program, dns=services)
        running = asyncio.create_task(watch.check.run())
        await program.begun.wait()
        for number, old in enumerate(olds):
            await asyncio.sleep(3.0)
            await old.aclose()
            await asyncio.sleep(1.5)
            workers[number] = await stack.enter_async_context(a_worker(name=f"w-{number}", discard=True))
            services.workers[SERVICE] = targets_of(workers)
        program.over.set()
        report = await running
    assert [(link.worker, link.count, link.problem) for link in report.links] == [("w-0", 1, None), ("w-1", 1, None)]
    for link in report.links:
        assert link.by_cause == {"shutdown": 1}
        assert 1.5 < link.longest < 1.5 + 5.0 + 1.0  # DNS is asked again within five seconds


async def test_who_has_left_a_service_and_is_not_back_has_failed() -> None:
    services = Services()
    async with a_worker(name="stays", discard=True) as stays, a_worker(name="goes", discard=True) as goes:
        services.workers[SERVICE] = targets_of([stays, goes])
        watch = Watch(SERVICE, seconds=60.0, dns=services)
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(10.0)
        services.workers[SERVICE] = targets_of([stays])
        goes.stop()
        report = await running
    links = {link.worker: link for link in report.links}
    assert report.status == 1
    assert links["stays"].problem is None
    left = links["goes"]
    assert left.problem is not None
    assert re.fullmatch(r"gone for \d+\.\d s \(\w+\): no target leads to it now", left.problem)
    assert left.target == str(targets_of([goes])[0])
    assert left.acknowledged > 90
    assert 44.0 < left.total < 51.0


async def test_another_worker_at_its_address_is_no_matter_of_dns() -> None:
    port = free_port()
    async with a_worker(name="first", port=port, discard=True) as first:
        watch = Watch(f"127.0.0.1:{port}", seconds=20.0)
        running = asyncio.create_task(watch.check.run())
        await until(lambda: first.tally.acked_numbers)
    async with a_worker(name="second", port=port, discard=True):
        report = await running
    links = {link.worker: link for link in report.links}
    assert links["second"].problem is None
    assert "DNS" not in (links["first"].problem or "")
    assert str(links["first"].problem).endswith("(shutdown): no target leads to it now")


async def test_a_worker_with_two_addresses_is_checked_once() -> None:
    async with a_worker(discard=True) as one, a_worker(discard=True) as other:
        report = await Watch(one, other, seconds=3.0).check.run()
    assert [link.worker for link in report.links] == ["worker-0"]
    assert report.status == 0


# ---- how much it says, and how often it looks ------------------------------------------------------------------------


async def test_a_thousand_links_that_break_at_once_are_a_few_lines() -> None:
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(a_worker(name=f"w-{n}", discard=True)) for n in range(60)]
        watch = Watch(*workers, seconds=3.0)
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(2.0)
        before = len(watch.lines)
        for worker in workers:
            transport_of(worker).abort()
        await asyncio.sleep(0.15)
        assert len(watch.lines) - before <= 2 * (STORIES_AT_ONCE + 1)
        assert any("more such events" in line for line in watch.lines)
        report = await running
    assert sum(link.count for link in report.links) == 60


async def test_a_check_that_stood_still_itself_says_so() -> None:
    async with a_worker(discard=True) as worker:
        watch = Watch(worker, seconds=3.0)
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(1.0)
        virtual_loop().block(0.7)
        report = await running
    assert report.pause == pytest.approx(0.7, abs=HEARTBEAT)


async def test_a_table_is_given_those_in_most_trouble_and_how_many_others_there_are() -> None:
    shown: list[tuple[list[str], int]] = []
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(a_worker(name=f"w-{n}", discard=True)) for n in range(MOST_ROWS + 5)]
        watch = Watch(*workers, seconds=5.0)
        watch.view.is_live = True
        watch.view.update = lambda at, phase, links, more: shown.append(([link.name for link in links], more))
        running = asyncio.create_task(watch.check.run())
        await asyncio.sleep(1.0)
        transport_of(workers[-1]).abort()
        await asyncio.sleep(1.0)
        workers[-2].stop()
        await running
    names, more = shown[-1]
    assert names[:2] == [f"w-{MOST_ROWS + 3}", f"w-{MOST_ROWS + 4}"]
    assert (len(names), more) == (MOST_ROWS, 5)
