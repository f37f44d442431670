"""Redial: what decides how soon a link dials again."""

from __future__ import annotations

import errno
from random import Random
from typing import Final

import pytest

from randstream.errors import PeerClosed, PeerTimeout, Reason
from randstream.producer.haste import DELAY_SECONDS, HASTE_SECONDS, Haste
from randstream.producer.redial import Redial

LONGEST: Final = 5.0
CUT: Final = PeerClosed(Reason.CUT)


class Highest(Random):
    def random(self) -> float:
        return 1.0


def a_redial(haste: Haste[str] | None = None) -> Redial[str]:
    """That of a link whose delays are the longest possible, and whose first ones are over."""
    redial = Redial("worker-0", haste or Haste(), Highest(), LONGEST)
    for _ in range(8):
        redial.delay_after(CUT, 0.0, now=0.0)
    return redial


@pytest.mark.parametrize("error", [CUT, PeerTimeout("no word"), ConnectionRefusedError(), PeerClosed(Reason.SHUTDOWN)])
def test_a_worker_that_was_there_is_dialled_every_second_for_a_minute(error: Exception) -> None:
    redial = a_redial()
    redial.prove()
    assert redial.delay_after(error, 9.0, now=100.0) == 0.1
    delays = [redial.delay_after(error, 0.0, now=100.0 + second) for second in range(1, int(HASTE_SECONDS) + 2)]
    assert delays[3:-2] == [DELAY_SECONDS] * (len(delays) - 5)
    assert delays[-2:] == [LONGEST, LONGEST]


def test_a_worker_that_is_expected_is_dialled_every_second_from_then_on() -> None:
    redial = a_redial()
    assert redial.limit(100.0) is None
    redial.hurry(100.0)
    assert redial.limit(100.0) == DELAY_SECONDS
    assert redial.delay_after(CUT, 0.0, now=101.0) == DELAY_SECONDS


def test_a_link_that_proved_nothing_since_its_last_loss_does_not_hurry_again() -> None:
    redial = a_redial()
    redial.prove()
    redial.delay_after(CUT, 9.0, now=0.0)
    redial.delay_after(CUT, 0.0, now=HASTE_SECONDS - 1)
    assert redial.limit(HASTE_SECONDS) is None


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (PeerClosed(Reason.TAKEOVER), 10.0),
        (PeerClosed(Reason.SPARE), 5.0),
        (PeerClosed(Reason.MALFORMED), LONGEST),
        (OSError(errno.EMFILE, "too many open files"), LONGEST),
    ],
)
def test_what_a_quick_retry_cannot_cure_knows_no_haste(error: Exception, seconds: float) -> None:
    redial = a_redial()
    redial.hurry(0.0)
    assert redial.delay_after(error, 0.0, now=0.0) == seconds


def test_a_link_that_stood_in_line_starts_over_when_the_line_is_full() -> None:
    redial = a_redial()
    assert [redial.delay_after(PeerClosed(Reason.SPARE), 0.0, now=0.0) for _ in range(2)] == [5.0, 10.0]
    redial.stand_by()
    assert redial.delay_after(PeerClosed(Reason.SPARE), 0.0, now=0.0) == 5.0


def test_a_link_that_is_connected_makes_room_for_the_haste_of_others() -> None:
    haste: Haste[str] = Haste()
    redial = a_redial(haste)
    redial.hurry(0.0)
    redial.limit(0.0)
    assert haste.miss("worker-1", 60.0, 0.0) == DELAY_SECONDS
    for number in range(2, 400):
        haste.miss(f"worker-{number}", 60.0, 0.0)
    with_it = haste.miss("worker-1", 60.0, 0.0)
    redial.forget()
    without = haste.miss("worker-1", 60.0, 0.0)
    assert with_it == pytest.approx(2.0)
    assert without == pytest.approx(1.995)
