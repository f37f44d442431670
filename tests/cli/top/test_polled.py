"""Polled: asked on a thread of its own."""

from __future__ import annotations

import threading

import pytest
from tests.support.waiting import PATIENCE

from randstream.cli.top.polled import STALE_SECONDS, Look, Polled


class Counting(Polled):
    """Counts how often it is asked, and waits an hour between."""

    def __init__(self, news: threading.Event) -> None:
        super().__init__(news)
        self.times = 0

    def ask(self) -> float:
        self.times += 1
        return 3600.0


def test_it_asks_at_once_again_when_woken_and_no_more_once_stopped() -> None:
    polled = Counting(news := threading.Event())
    assert not polled.is_asked
    polled.start()
    assert news.wait(PATIENCE)
    assert (polled.times, polled.is_asked) == (1, True)
    news.clear()
    polled.wake()
    assert news.wait(PATIENCE)
    polled.stop()
    for thread in [each for each in threading.enumerate() if each.name == "Counting"]:
        thread.join(PATIENCE)
    assert polled.times == 2


def test_before_the_first_answer_it_is_silent_since_the_start() -> None:
    polled = Counting(threading.Event())
    polled.heard_at -= 60.0
    look = polled.look_at("a:1", None)
    assert look.silence >= 60.0
    assert look.since == pytest.approx(polled._clock.wall_time() - 60.0, abs=30.0)
    assert look.trouble == "no answer from a:1 yet"


@pytest.mark.parametrize(
    ("snapshot", "silence", "answers"),
    [(None, 0.0, False), ({}, STALE_SECONDS, True), ({}, STALE_SECONDS + 0.1, False)],
)
def test_an_address_answers_until_its_last_answer_is_stale(
    snapshot: dict[str, object] | None, silence: float, answers: bool
) -> None:
    assert Look("a:1", snapshot, None, silence, 0.0).answers is answers
