"""Link report: one call feeds the log, the journal and the counters. Limits on log lines lose no count."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.log import Log
from tests.support.roles import a_pair, a_producer, running
from tests.support.waiting import until

from randstream.errors import ExpiredError, OfferError, PeerClosed, PeerTimeout, Reason, RemoteProtocolError
from randstream.observe.journal import Journal
from randstream.observe.link_report import LinkReport
from randstream.observe.tally import Tally
from randstream.observe.throttle import LINES_A_MINUTE, Throttle
from randstream.worker.session import Session

LIMIT = 3
SHUTDOWN = PeerClosed(Reason.SHUTDOWN)
CUT = ConnectionResetError("reset")
NOTHING: tuple[dict[str, int], dict[str, int], int] = ({}, {}, 0)
"""What `counted` returns at first."""


@pytest.fixture
def report(log: Log, tally: Tally, journal: Journal) -> LinkReport:
    """A report of a link that may log LIMIT events a minute."""
    return LinkReport("worker-0", tally, journal, LIMIT, worker="worker-0")


def noted(journal: Journal) -> list[tuple[str, str, str]]:
    return [(entry.event, entry.link, entry.detail) for entry in journal.entries]


def counted(tally: Tally) -> tuple[dict[str, int], dict[str, int], int]:
    """The ends and the failures by reason, and how often the sink failed."""
    return tally.ends, tally.failures, tally.sink_failures


def test_one_call_feeds_the_log_the_journal_and_the_counters(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    report.lost(PeerTimeout("nothing heard"), 0.0, offset=42, acked=40)
    assert log.events == [
        {
            "event": "link.lost", "log_level": "warning", "worker": "worker-0", "reason": "timeout",
            "error": "nothing heard", "offset": 42, "acked": 40,
        }
    ]  # fmt: skip
    assert noted(journal) == [("link.lost", "worker-0", "nothing heard")]
    assert counted(tally) == ({"timeout": 1}, {}, 0)


def test_a_polite_end_is_informative_and_a_broken_connection_a_warning(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    report.closed(SHUTDOWN, 0.0, acked=7)
    report.lost(CUT, 0.0)
    assert [(event["event"], event["log_level"], event["reason"]) for event in log.events] == [
        ("link.closed", "info", "shutdown"), ("link.lost", "warning", "cut"),
    ]  # fmt: skip
    assert [event for event, *_ in noted(journal)] == ["link.closed", "link.lost"]
    assert tally.ends == {"shutdown": 1, "cut": 1}


def test_an_end_of_our_own_has_no_reason_and_is_not_counted(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    report.closed(None, 0.0, acked=7)
    assert log.events == [{"event": "link.closed", "log_level": "info", "worker": "worker-0", "acked": 7}]
    assert (counted(tally), noted(journal)) == (NOTHING, [])


def test_only_connections_that_carried_numbers_count_as_ends_and_all_other_attempts_as_failures(
    report: LinkReport, tally: Tally
) -> None:
    report.lost(CUT, 0.0)
    report.lost(CUT, 0.0, was_up=False)
    report.closed(SHUTDOWN, 0.0, was_up=False)
    report.unreachable(RemoteProtocolError(Reason.VERSION, "randstream/2"), 0.0, is_news=True)
    assert counted(tally) == ({"cut": 1}, {"cut": 1, "shutdown": 1, "version": 1}, 0)


def test_events_above_the_limit_are_left_out_of_the_log_only_and_counted_in_the_next_line(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for number in range(LIMIT + 2):
        report.lost(CUT, float(number))
        report.resumed(number, float(number))
    report.lost(CUT, 61.0)
    assert [event["event"] for event in log.events] == ["link.lost", "link.resumed", "link.lost", "link.lost"]
    assert [event.get("left_out") for event in log.events] == [None, None, None, 2 * (LIMIT + 2) - LIMIT]
    assert tally.ends == {"cut": LIMIT + 3}
    assert len(journal.entries) == 2 * (LIMIT + 2) + 1


def test_a_worker_that_stays_away_is_logged_once_a_minute_and_noted_when_it_is_news(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for number in range(60):
        report.unreachable(CUT, float(number), is_news=number == 0)
    report.unreachable(CUT, 60.0, is_news=False)
    assert [(event["log_level"], event.get("left_out")) for event in log.of("link.unreachable")] == [
        ("warning", None), ("warning", 59),
    ]  # fmt: skip
    assert noted(journal) == [("link.unreachable", "worker-0", "reset")]
    assert tally.failures == {"cut": 61}


LASTING: dict[str, Callable[[LinkReport, float], None]] = {
    "link.unreachable": lambda report, now: report.unreachable(CUT, now, is_news=False),
    "link.spare": lambda report, now: report.turned_away(now),
    "link.resting": lambda report, now: report.resting("worker-1:9000", now),
    "link.other_stream": lambda report, now: report.other_stream(now),
    "link.refused": lambda report, now: report.refused(CUT, now),
}


@pytest.mark.parametrize("event", LASTING)
def test_a_thousand_links_each_log_a_lasting_condition_once_and_then_a_dozen_a_minute_together(
    event: str, log: Log, tally: Tally, journal: Journal
) -> None:
    reminders = Throttle(LINES_A_MINUTE)
    reports = [LinkReport(f"worker-{n}", tally, journal, LIMIT, reminders) for n in range(1000)]
    for minute in range(5):
        for report in reports:
            LASTING[event](report, 60.0 * minute)
    assert len(log.of(event)) == 1000 + 4 * LINES_A_MINUTE


def test_reminders_keep_no_news_out_of_the_log(log: Log, tally: Tally, journal: Journal) -> None:
    reminders = Throttle(LINES_A_MINUTE)
    reports = [LinkReport(f"worker-{n}", tally, journal, LIMIT, reminders) for n in range(100)]
    for now in (0.0, 60.0):
        for report in reports:
            report.unreachable(CUT, now, is_news=False)
    for report in reports:
        report.resumed(0, 61.0)
        report.lost(CUT, 61.0)
    assert len(log.of("link.resumed")) == len(log.of("link.lost")) == 100


def test_strangers_and_unproven_numbers_have_limits_of_their_own_and_crowd_out_no_event_of_the_link(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for _ in range(LINES_A_MINUTE + 5):
        report.stranger_left(CUT, 0.0)
        report.unproven(10, 20, 0.0)
    for _ in range(LIMIT + 1):
        report.stalled("no ack moves", 0.0, offset=20, acked=10)
    for event, count in (("peer.left", LINES_A_MINUTE), ("worker.unproven", LINES_A_MINUTE), ("link.stalled", LIMIT)):
        assert len(log.of(event)) == count
    assert {(event["first"], event["end"]) for event in log.of("worker.unproven")} == {(10, 20)}
    assert {event for event, *_ in noted(journal)} == {"link.stalled"}
    assert counted(tally) == NOTHING


def test_a_certificate_that_producers_refuse_is_told_once_a_minute(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    for second in range(61):
        report.stranger_left(ExpiredError("the peer ended TLS: certificate expired"), float(second))
    assert [(event["event"], event["log_level"], event.get("left_out")) for event in log.events] == [
        ("tls.refused", "warning", None), ("tls.refused", "warning", 59),
    ]  # fmt: skip
    assert log.events[0]["advice"] == ExpiredError.advice
    assert (counted(tally), noted(journal)) == (NOTHING, [])


def test_a_report_with_more_fields_shares_its_limits_with_the_first(
    report: LinkReport, log: Log, journal: Journal
) -> None:
    about = report.about("worker-0 from 10.0.0.1", peer="10.0.0.1")
    for _ in range(LIMIT):
        about.recovered(50, 0.0)
        report.accepted_raw(0.0)
    assert [(event["event"], event.get("peer")) for event in log.events] == [
        ("link.recovered", "10.0.0.1"), ("raw.accepted", None), ("link.recovered", "10.0.0.1"),
    ]  # fmt: skip
    assert {link for _, link, _ in noted(journal)} == {"worker-0 from 10.0.0.1", "worker-0"}


def test_what_many_producers_bring_about_is_told_as_trouble_only_where_it_is(
    report: LinkReport, log: Log, tally: Tally, journal: Journal
) -> None:
    report.standing_by("producer-1", 0.0)
    report.yielded(0.0, retry_in=0.1)
    report.turned_away(0.0, retry_in=3.0)
    report.resting("127.0.0.1:9000", 100.0)
    report.other_stream(100.0, served="0123456789abcdef", served_by="producer-1")
    report.refused(OfferError("holds it as bits64"), 100.0, producer="producer-1")
    assert [(event["event"], event["log_level"]) for event in log.events] == [
        ("link.standing_by", "info"), ("link.yielded", "info"), ("link.spare", "info"), ("link.resting", "info"),
        ("link.other_stream", "warning"), ("link.refused", "warning"),
    ]  # fmt: skip
    assert log.of("link.standing_by")[0]["by"] == "producer-1"
    assert "--name" in log.of("link.resting")[0]["advice"]
    assert "same seed" in log.of("link.other_stream")[0]["advice"]
    assert log.of("link.refused")[0]["reason"] == "malformed"
    assert counted(tally) == ({"yield": 1}, {"spare": 1}, 0)
    assert [event for event, *_ in noted(journal)] == [
        "link.standing_by", "link.yielded", "link.resting", "link.other_stream", "link.refused",
    ]  # fmt: skip


def test_what_a_peer_can_repeat_at_will_is_logged_once_a_minute_and_crowds_out_nothing(
    report: LinkReport, log: Log
) -> None:
    for second in range(60):
        report.turned_away(float(second))
        report.resting("127.0.0.1:9000", float(second))
        report.other_stream(float(second), served="0123456789abcdef")
        report.refused(OfferError("bits64"), float(second))
    report.lost(CUT, 59.0)
    assert [event["event"] for event in log.events] == [
        "link.spare", "link.resting", "link.other_stream", "link.refused", "link.lost",
    ]  # fmt: skip
    report.turned_away(61.0)
    assert log.events[-1]["left_out"] == 59


def test_a_checkpoint_is_only_logged_and_has_no_limit(report: LinkReport, log: Log, journal: Journal) -> None:
    for offset in range(100):
        report.checkpoint(offset, 5.0)
    assert [event["offset"] for event in log.of("worker.checkpoint")] == list(range(100))
    assert not journal.entries


async def test_a_cut_is_counted_by_its_reason_at_both_ends() -> None:
    async with a_pair(discard=True) as (producer, worker):
        offset = producer.links[0].offset
        session = worker.line.holder
        assert isinstance(session, Session)
        assert session.connection.transport is not None
        session.connection.transport.abort()
        await until(lambda: worker.intake.reconnects == 1 and worker.intake.acked_offset > offset)
        assert producer.tally.ends == worker.tally.ends == {"cut": 1}
        events = [entry.event for entry in producer.journal.entries]
        assert events == ["link.resumed", "link.lost", "link.resumed"]


async def test_an_absent_worker_is_in_the_journal_once() -> None:
    async with running(producer := a_producer("127.0.0.1:1")):
        await until(lambda: producer.tally.failures.total() >= 3)
    assert [entry.event for entry in producer.journal.entries] == ["link.unreachable"]
