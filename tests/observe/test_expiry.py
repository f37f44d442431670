"""Expiry: a certificate that nobody renews is warned of in time, once a day, and one that is renewed never."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.log import Log

from randstream.clock import Clock
from randstream.observe.expiry import LOOK_SECONDS, NOTICE_SHARE, REPEAT_SECONDS, Certificate, Expiry

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_795_910_400.0


class Calendar(Clock):
    """Time since a certificate was issued at START; both clocks go on together."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> float:
        return 5.0 + self.elapsed

    def wall_time(self) -> float:
        return START + self.elapsed


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def expiry(calendar: Calendar) -> Expiry:
    return Expiry(calendar)


def lasting(seconds: float, issued: float = 0.0) -> Certificate:
    return Certificate("tls-cert", "/run/tls.crt", "CN=worker-0", START + issued, START + issued + seconds)


def told(log: Log) -> list[str]:
    return [event["event"] for event in log.events]


@pytest.mark.parametrize(
    ("life", "notice"),
    [(HOUR, 360), (DAY, 2.4 * HOUR), (30 * DAY, 3 * DAY), (90 * DAY, 9 * DAY), (3650 * DAY, 14 * DAY)],
)
def test_a_warning_comes_two_weeks_before_the_end_or_a_tenth_of_a_shorter_life(
    expiry: Expiry, calendar: Calendar, log: Log, life: float, notice: float
) -> None:
    for calendar.elapsed, events in ((life - notice - 1, []), (life - notice + 1, ["tls.expiring"])):
        expiry.look([lasting(life)])
        assert told(log) == events


@pytest.mark.parametrize("life", [HOUR, DAY, 30 * DAY, 90 * DAY])
def test_renewal_at_two_thirds_of_a_life_never_warns_even_if_it_takes_until_the_notice(
    expiry: Expiry, calendar: Calendar, log: Log, life: float
) -> None:
    certificate, issued = lasting(life), 0.0
    for _ in range(1000):
        calendar.elapsed += life / 100
        if calendar.elapsed > issued + (1 - NOTICE_SHARE) * life - life / 100:
            issued = calendar.elapsed
            certificate = lasting(life, issued)
        expiry.look([certificate])
    assert log.events == []


def test_a_warning_says_what_expires_when_and_what_to_do(expiry: Expiry, calendar: Calendar, log: Log) -> None:
    calendar.elapsed = 9.5 * DAY
    expiry.look([lasting(10 * DAY)])
    [event] = log.events
    assert event == {
        "event": "tls.expiring", "log_level": "warning", "certificate": "/run/tls.crt", "setting": "tls-cert",
        "subject": "CN=worker-0", "expires": "2026-12-09T00:00:00Z",
        "advice": "replace the file with a renewed one: it needs no restart",
    }  # fmt: skip


def test_it_is_said_once_a_day_and_at_once_when_it_has_expired(expiry: Expiry, calendar: Calendar, log: Log) -> None:
    while calendar.elapsed < 92 * DAY:
        expiry.look([lasting(90 * DAY)])
        calendar.elapsed += LOOK_SECONDS
    assert told(log) == ["tls.expiring"] * 9 + ["tls.expired"] * 2
    assert {event["log_level"] for event in log.events} == {"warning"}
    assert log.events[-1]["advice"] == "new connections fail; replace the file with a renewed one: it needs no restart"


def test_one_that_was_renewed_is_forgotten_and_told_again_if_it_comes_back(
    expiry: Expiry, calendar: Calendar, log: Log
) -> None:
    old, new = lasting(HOUR), lasting(HOUR, 3590.0)
    for calendar.elapsed, certificate, count in (
        (3590.0, old, 1),
        (3591.0, new, 1),
        (3592.0, old, 2),
        (7189.0, new, 3),
    ):
        expiry.look([certificate])
        assert told(log) == ["tls.expiring"] * count


def test_each_certificate_is_told_by_itself(expiry: Expiry, calendar: Calendar, log: Log) -> None:
    calendar.elapsed = 2 * DAY
    both = [lasting(DAY), replace(lasting(DAY), setting="tls-ca", file="/run/ca.crt")]
    for _ in range(3):
        expiry.look(both)
    assert [(event["event"], event["setting"]) for event in log.events] == [
        ("tls.expired", "tls-cert"), ("tls.expired", "tls-ca")
    ]  # fmt: skip
    calendar.elapsed += REPEAT_SECONDS
    expiry.look(both)
    assert len(log.events) == 4
