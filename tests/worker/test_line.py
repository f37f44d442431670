"""Line: which member serves and which stand by, with members that only write down what they are told."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import pytest

from randstream.errors import Reason
from randstream.protocol.frames import Open, Resume, Wait
from randstream.worker.line import (
    ASKS_OF_THE_STEADY,
    LINE_LIMIT,
    LONGEST_SETTLE,
    SETTLE_HEARTBEATS,
    SETTLE_SECONDS,
    SETTLED_FACTOR,
    Line,
)

STREAM, OTHER, THIRD = "a" * 16, "b" * 16, "c" * 16
BEST, MIDDLE, WORST = "producer-0", "producer-2", "producer-1"
"""By the rank that worker-0 gives them."""


class Fixed(Random):
    """Draws the same part of each range, and keeps the ranges."""

    def __init__(self, part: float) -> None:
        super().__init__(0)
        self.part = part
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.ranges.append((a, b))
        return a + self.part * (b - a)


class Fake:
    """A session that opened a stream. Implements `Member`."""

    def __init__(self, line: Line, offered: Open) -> None:
        self._line = line
        self.offered = offered
        self.owes_answer = False
        self.is_started = False
        self.asked: list[Wait] = []
        self.periods: list[float] = []
        self.within: list[float] = []
        self.served: list[Resume] = []
        self.ended: list[Reason] = []

    def end(self, reason: Reason, now: float) -> None:
        self.ended.append(reason)
        self._line.leave(self, reason, now)

    def drain(self, now: float) -> None: ...
    async def wait_over(self) -> None: ...

    def ask(self, wait: Wait, period: float, now: float) -> None:
        self.asked.append(wait)
        self.periods.append(period)

    def ask_within(self, period: float, now: float) -> None:
        self.within.append(period)

    def serve(self, resume: Resume, now: float) -> None:
        self.served.append(resume)


class Scene:
    """The line of worker-0, and the time there."""

    def __init__(self, patience: float = 0.0) -> None:
        self.random = Fixed(patience)
        self.line = Line("worker-0", self.random)
        self.now = 1000.0

    def join(self, producer: str = BEST, **offer: Any) -> Fake:
        given = {"stream": STREAM, "numbers": "bits64", "heartbeat": 0.5, **offer}
        member = Fake(self.line, Open("worker-0", producer=producer, **given))
        self.line.join(member, self.now)
        return member

    def next_offer(self) -> Open:
        """The offer that the sink must be opened for, which the line gives at once."""
        with pytest.raises(StopIteration) as found:
            self.line.next_offer().send(None)
        offered = found.value.value
        assert isinstance(offered, Open)
        return offered

    def promote(self, offset: int | None = 0) -> None:
        """What the worker does whenever no producer serves."""
        self.line.promote(self.next_offer(), offset, self.now)

    def start(self, offset: int = 0) -> None:
        """The opening beat of the member that serves."""
        assert isinstance(self.line.serving, Fake)
        self.line.serving.is_started = True
        self.line.note_start(offset)

    def serve(self, producer: str = BEST, **offer: Any) -> Fake:
        """One that serves, and has sent its opening beat."""
        member = self.join(producer, **offer)
        self.promote()
        self.start()
        assert self.line.serving is member
        return member

    def ack(self, after: float = 0.0) -> bool:
        """Whether the member that serves must yield at an ack that comes `after` seconds from now."""
        self.now += after
        return self.line.note_ack(7, self.now)

    def leave(self, member: Fake, reason: Reason = Reason.CUT) -> bool:
        return self.line.leave(member, reason, self.now)


# ---- who is in line --------------------------------------------------------------------------------------------------


def test_line_whoever_comes_while_one_serves_waits_and_is_asked_at_once() -> None:
    scene = Scene()
    serving = scene.serve(WORST)
    newcomers = [scene.join(name) for name in (BEST, MIDDLE)]
    assert list(scene.line.waiting) == newcomers
    assert [each.asked for each in newcomers] == [[Wait(WORST, 0)]] * 2
    assert (scene.line.serving, scene.line.holder) == (serving, serving)
    assert not any(each.ended or each.served for each in (serving, *newcomers) if each is not serving)
    assert serving.ended == []


def test_line_whoever_comes_while_nobody_serves_is_not_asked_and_wanted_by_the_sink() -> None:
    scene = Scene()
    member = scene.join()
    assert (member.asked, member.served) == ([], [])
    assert scene.next_offer() is member.offered


async def test_line_nobody_is_next_until_somebody_comes_or_whoever_serves_has_gone() -> None:
    scene = Scene()
    following = asyncio.ensure_future(scene.line.next_offer())
    await asyncio.sleep(0)
    assert not following.done()
    first = scene.join(WORST)
    assert await following is first.offered
    scene.promote()
    second = scene.join(BEST)
    following = asyncio.ensure_future(scene.line.next_offer())
    await asyncio.sleep(0)
    assert not following.done()
    scene.leave(first)
    assert await following is second.offered


def test_line_tells_whether_one_that_leaves_had_the_sink() -> None:
    scene = Scene()
    serving, waiting = scene.serve(BEST), scene.join(WORST)
    assert not scene.leave(waiting)
    assert scene.leave(serving)
    assert not scene.leave(serving)
    assert scene.line.holder is None


@pytest.mark.parametrize("serves", [True, False])
def test_instance_ends_the_links_older_connection_and_no_other(serves: bool) -> None:
    scene = Scene()
    first = scene.serve(WORST, instance="1" * 16)
    second = scene.join(MIDDLE, instance="2" * 16)
    older, bystander = (first, second) if serves else (second, first)
    newer = scene.join(older.offered.producer, instance=older.offered.instance)
    assert older.ended == [Reason.TAKEOVER]
    assert (bystander.ended, newer.ended) == ([], [])
    assert newer in scene.line.waiting
    assert scene.line.serving is (None if serves else first)


def test_instance_is_what_takes_over_not_the_name_and_without_one_nobody_does() -> None:
    scene = Scene()
    members = [scene.serve(BEST), scene.join(BEST), scene.join(BEST, instance="1" * 16)]
    members.append(scene.join(BEST, instance="2" * 16))
    assert [each.ended for each in members] == [[]] * 4


def test_rank_of_equal_names_is_by_instance_and_without_one_is_lowest() -> None:
    for order in ((None, "1" * 16, "f" * 16), ("f" * 16, "1" * 16, None), ("1" * 16, "f" * 16, None)):
        scene = Scene()
        for instance in order:
            scene.join(BEST, instance=instance)
        served = []
        for _ in order:
            scene.promote()
            scene.start()
            assert isinstance(scene.line.serving, Fake)
            served.append(scene.line.serving.offered.instance)
            scene.leave(scene.line.serving)
        assert served == ["f" * 16, "1" * 16, None]


@pytest.mark.parametrize("serves", [True, False])
def test_line_limit_sends_the_seventeenth_away_whatever_its_rank_and_displaces_nobody(serves: bool) -> None:
    scene = Scene()
    members = [scene.serve(WORST) if serves else scene.join(WORST)]
    members += [scene.join(WORST, instance=f"{number:016x}") for number in range(LINE_LIMIT - 1)]
    assert LINE_LIMIT == 16
    extra = scene.join(BEST)
    assert (extra.ended, extra.asked) == ([Reason.SPARE], [])
    assert not any(each.ended for each in members)
    assert [*scene.line.waiting] == members[serves:]
    scene.leave(members[-1])
    assert scene.join(BEST).ended == []


def test_line_limit_leaves_a_link_the_place_of_its_own_older_connection() -> None:
    scene = Scene()
    members = [scene.serve(WORST)] + [scene.join(BEST, instance=f"{number:016x}") for number in range(LINE_LIMIT - 1)]
    newer = scene.join(BEST, instance=members[5].offered.instance)
    assert (members[5].ended, newer.ended) == ([Reason.TAKEOVER], [])
    assert len(scene.line.waiting) == LINE_LIMIT - 1


def test_numbers_checked_whoever_contradicts_what_is_served_is_malformed_at_once() -> None:
    scene = Scene()
    serving = scene.serve(WORST)
    liar = scene.join(BEST, numbers="uniform:0.0:1.0")
    assert (liar.ended, liar.asked, serving.ended) == ([Reason.MALFORMED], [], [])
    assert not scene.line.waiting


def test_numbers_checked_against_what_is_served_not_what_was() -> None:
    scene = Scene()
    scene.leave(scene.serve(WORST))
    assert scene.join(BEST, numbers="uniform:0.0:1.0").ended == []


# ---- waiting ---------------------------------------------------------------------------------------------------------


def test_asked_with_who_serves_and_the_last_ack() -> None:
    scene = Scene()
    serving = scene.serve(BEST)
    member = scene.join(WORST)
    scene.ack()
    scene.line.ask(member, scene.now)
    scene.leave(serving)
    scene.line.ask(member, scene.now)
    assert member.asked == [Wait(BEST, 0), Wait(BEST, 7), Wait(None, 7)]


def test_asked_for_another_stream_with_the_one_that_is_served_and_no_offset() -> None:
    scene = Scene()
    serving = scene.serve(BEST)
    member = scene.join(WORST, stream=OTHER)
    scene.ack()
    scene.line.ask(member, scene.now)
    scene.leave(serving)
    scene.line.ask(member, scene.now)
    assert member.asked == [Wait(BEST, None, STREAM)] * 2 + [Wait()]


def test_asked_without_an_offset_while_the_worker_knows_of_none() -> None:
    scene = Scene()
    member = scene.join(BEST)
    scene.line.ask(member, scene.now)
    scene.promote(None)
    other = scene.join(WORST)
    scene.start(1200)
    scene.line.ask(other, scene.now)
    assert (member.asked, other.asked) == ([Wait()], [Wait(BEST), Wait(BEST, 1200)])


def test_asked_with_the_offset_of_the_sink_before_the_first_ack() -> None:
    scene = Scene()
    scene.join(BEST)
    scene.promote(1200)
    assert scene.join(WORST).asked == [Wait(BEST, 1200)]


def test_asked_as_often_as_the_shorter_heartbeat_of_it_and_of_whoever_serves_or_did() -> None:
    scene = Scene()
    first = scene.join(WORST, heartbeat=5.0)
    scene.line.ask(first, scene.now)
    assert first.periods == [5.0]
    serving = scene.serve(BEST, heartbeat=2.0)
    quick, slow = scene.join(WORST, heartbeat=0.5), scene.join(WORST, heartbeat=9.0)
    scene.leave(serving)
    scene.line.ask(slow, scene.now)
    assert (quick.periods, slow.periods) == ([0.5], [2.0, 2.0])


# ---- who serves next -------------------------------------------------------------------------------------------------


def test_promotion_is_of_the_best_of_those_that_owe_no_answer() -> None:
    scene = Scene()
    worst, middle, best = (scene.join(name) for name in (WORST, MIDDLE, BEST))
    best.owes_answer = True
    scene.promote(1200)
    assert middle.served == [Resume(1200, "start")]
    assert scene.line.serving is middle
    assert list(scene.line.waiting) == [worst, best]
    assert (worst.served, best.served) == ([], [])


def test_promotion_is_of_the_best_of_all_if_all_owe_an_answer() -> None:
    scene = Scene()
    members = [scene.join(name) for name in (WORST, BEST, MIDDLE)]
    for member in members:
        member.owes_answer = True
    scene.promote()
    assert scene.line.serving is members[1]


def test_promotion_after_one_that_never_sent_its_opening_beat_is_of_the_longest_waiting_until_one_proves_itself() -> (
    None
):
    scene = Scene()
    dead = scene.join(BEST)
    scene.promote()
    oldest, owing, best, younger = (scene.join(name) for name in (WORST, MIDDLE, BEST, MIDDLE))
    scene.leave(dead, Reason.TIMEOUT)
    scene.promote()
    assert scene.line.serving is oldest
    scene.leave(oldest, Reason.TIMEOUT)
    owing.owes_answer = True
    scene.promote()
    assert scene.line.serving is best  # the longest waiting of those that owe no answer
    scene.start()
    last = scene.join(BEST)
    scene.leave(best)
    scene.promote()
    assert scene.line.serving is last
    assert [*scene.line.waiting] == [owing, younger]


def test_promotion_chooses_only_once_the_sink_is_open() -> None:
    scene = Scene()
    early = scene.join(WORST)
    offered = scene.next_offer()
    best = scene.join(BEST)
    scene.line.promote(offered, 5, scene.now)
    assert (scene.line.serving, best.served, early.served) == (best, [Resume(5, "start")], [])


def test_promotion_of_nobody_if_all_have_gone_while_the_sink_opened() -> None:
    scene = Scene()
    member = scene.join()
    offered = scene.next_offer()
    scene.leave(member)
    scene.line.promote(offered, 5, scene.now)
    assert scene.line.holder is None
    other = scene.join(stream=OTHER)
    scene.line.promote(offered, 5, scene.now)  # which was opened for another stream
    assert (scene.line.holder, other.served) == (None, [])


def test_after_is_promotion_for_one_that_stood_by_and_start_for_one_that_did_not() -> None:
    scene = Scene()
    serving = scene.serve(BEST)
    standby = scene.join(WORST)
    scene.leave(serving)
    scene.line.ask(newcomer := scene.join(BEST), scene.now)  # asked, but nobody serves
    scene.promote()
    scene.start()
    scene.leave(newcomer)
    scene.promote()
    assert [each.served for each in (serving, newcomer, standby)] == [
        [Resume(0, "start")], [Resume(0, "start")], [Resume(0, "promotion")]
    ]  # fmt: skip


def test_after_is_hand_over_only_for_the_first_that_follows_one() -> None:
    scene = Scene()
    serving = scene.serve(WORST)
    best, middle = scene.join(BEST), scene.join(MIDDLE)
    assert scene.ack(SETTLE_SECONDS)
    serving.end(Reason.YIELD, scene.now)
    scene.promote()
    scene.leave(best)
    scene.promote()
    assert (best.served, middle.served) == ([Resume(0, "hand-over")], [Resume(0, "promotion")])


# ---- hand-over -------------------------------------------------------------------------------------------------------


def test_hand_over_comes_once_the_better_one_has_waited_and_the_other_has_served_for_settle() -> None:
    scene = Scene()
    scene.serve(WORST)
    assert not scene.ack(SETTLE_SECONDS)
    scene.join(BEST)
    assert not scene.ack(SETTLE_SECONDS - 0.001)
    assert scene.ack(0.001)


def test_hand_over_waits_for_settle_of_service_however_long_the_better_one_has_waited() -> None:
    scene = Scene()
    serving = scene.serve(BEST, instance="1" * 16)
    middle, best = scene.join(MIDDLE), scene.join(BEST, instance="2" * 16)
    scene.now += LONGEST_SETTLE
    best.owes_answer = True
    scene.leave(serving)
    scene.promote()
    scene.start()
    assert scene.line.serving is middle
    best.owes_answer = False
    assert not scene.ack(SETTLE_SECONDS - 0.001)
    assert scene.ack(0.001)


def test_hand_over_is_to_none_that_is_worse_or_as_good_or_of_another_stream() -> None:
    scene = Scene()
    scene.serve(MIDDLE, instance="1" * 16)
    for offer in ({"producer": WORST}, {"producer": MIDDLE}, {"producer": BEST, "stream": OTHER}):
        scene.join(**offer)
    scene.join(MIDDLE, instance="1" * 15 + "0")
    assert not scene.ack(LONGEST_SETTLE)
    scene.join(MIDDLE, instance="1" * 15 + "2")
    assert scene.ack(LONGEST_SETTLE)


def test_hand_over_does_not_count_one_that_owes_an_answer() -> None:
    scene = Scene()
    scene.serve(WORST)
    best = scene.join(BEST)
    best.owes_answer = True
    assert not scene.ack(LONGEST_SETTLE)
    scene.join(MIDDLE)
    assert not scene.ack()  # the best of the others has just come
    best.owes_answer = False
    assert scene.ack()


def test_hand_over_is_nobodys_while_nobody_serves() -> None:
    scene = Scene()
    serving = scene.serve(WORST)
    scene.join(BEST)
    scene.leave(serving)
    assert not scene.ack(LONGEST_SETTLE)  # that of a commit which a connection left behind


# ---- settle ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("served", "waits"), [(3.0, 1.0), (1.0, 3.0)])
def test_settle_is_ten_heartbeats_of_either_connection_where_that_is_longer(served: float, waits: float) -> None:
    scene = Scene()
    scene.serve(WORST, heartbeat=served)
    scene.join(BEST, heartbeat=waits)
    assert not scene.ack(SETTLE_HEARTBEATS * 3.0 - 0.001)
    assert scene.ack(0.001)


def test_settle_has_a_factor_from_one_to_two_drawn_once_for_each_that_waits() -> None:
    scene = Scene(patience=1.0)
    scene.serve(WORST)
    scene.join(BEST)
    assert not scene.ack(2 * SETTLE_SECONDS - 0.001)
    assert scene.ack(0.001)
    assert scene.random.ranges == [(1.0, 2.0)] * 2


def hand_over(scene: Scene) -> tuple[float, Fake]:
    """Serve with the worst, let the best wait; return the time until the hand-over, and the best, which serves."""
    serving = scene.serve(WORST)
    best = scene.join(BEST)
    low, high = 0.0, 2 * LONGEST_SETTLE
    began = scene.now
    while high - low > 0.001:
        scene.now = began + (low + high) / 2
        low, high = (low, scene.now - began) if scene.ack() else (scene.now - began, high)
    scene.now = began + high
    assert scene.ack()
    serving.end(Reason.YIELD, scene.now)
    scene.promote()
    assert scene.line.serving is best
    return round(high, 2), best


def test_settle_doubles_with_each_hand_over_that_ends_early_up_to_an_hour() -> None:
    scene = Scene()
    settles = []
    for _ in range(12):
        settle, best = hand_over(scene)
        settles.append(settle)
        scene.now += SETTLED_FACTOR * settle - 0.1
        scene.start()
        scene.leave(best)
    assert settles == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]


def test_settle_holds_after_more_failures_than_a_float_has_doublings() -> None:
    scene = Scene()
    for _ in range(1100):
        serving, best = scene.serve(WORST), scene.join(BEST)
        assert scene.ack(LONGEST_SETTLE)
        serving.end(Reason.YIELD, scene.now)
        scene.promote()
        scene.start()
        scene.leave(best)


@pytest.mark.parametrize("reason", [Reason.SHUTDOWN, Reason.YIELD])
def test_settle_does_not_grow_when_the_handed_over_connection_says_why_it_ends(reason: Reason) -> None:
    scene = Scene()
    for _ in range(3):
        settle, best = hand_over(scene)
        assert settle == SETTLE_SECONDS
        scene.start()
        scene.leave(best, reason)


@pytest.mark.parametrize("reason", [Reason.CUT, Reason.TIMEOUT, Reason.MISMATCH, Reason.TAKEOVER])
def test_settle_grows_with_any_other_early_end(reason: Reason) -> None:
    scene = Scene()
    _, best = hand_over(scene)
    scene.start()
    scene.leave(best, reason)
    assert hand_over(scene)[0] == 2 * SETTLE_SECONDS


def test_settle_does_not_grow_when_one_ends_to_which_nothing_was_handed_over() -> None:
    scene = Scene()
    for _ in range(3):
        scene.leave(scene.serve(BEST))
    standby = [scene.serve(BEST), scene.join(WORST)]
    scene.leave(standby[0])
    scene.promote()
    scene.start()
    scene.leave(standby[1])
    assert hand_over(scene)[0] == SETTLE_SECONDS


def test_settle_is_short_again_once_a_handed_over_connection_has_lasted() -> None:
    scene = Scene()
    for _ in range(3):
        settle, best = hand_over(scene)
        scene.start()
        scene.leave(best)
    settle, best = hand_over(scene)
    assert settle == 8 * SETTLE_SECONDS
    scene.start()
    scene.now += SETTLED_FACTOR * settle + 0.1
    scene.leave(best)
    assert hand_over(scene)[0] == SETTLE_SECONDS


def test_settle_is_short_again_while_the_connection_that_has_lasted_still_serves() -> None:
    scene = Scene()
    _, best = hand_over(scene)
    scene.start()
    scene.leave(best)
    settle, best = hand_over(scene)
    scene.start()
    scene.now += SETTLED_FACTOR * settle + 0.1
    scene.join(BEST, instance="f" * 16)
    assert not scene.ack(SETTLE_SECONDS - 0.001)
    assert scene.ack(0.001)


# ---- other streams ---------------------------------------------------------------------------------------------------


def test_other_stream_waits_behind_all_of_the_one_that_is_served_or_was() -> None:
    scene = Scene()
    serving = scene.serve(MIDDLE)
    other = scene.join(BEST, stream=OTHER)
    same = scene.join(WORST)
    same.owes_answer = True
    scene.leave(serving)
    assert scene.next_offer() is same.offered
    scene.promote()
    scene.start()
    scene.leave(same)
    assert scene.next_offer() is other.offered
    scene.promote()
    assert other.served == [Resume(0, "promotion")]


def test_other_stream_is_one_of_the_same_name_with_other_numbers_too() -> None:
    scene = Scene()
    scene.leave(scene.serve(MIDDLE))
    scene.join(BEST, numbers="uniform:0.0:1.0")
    same = scene.join(WORST)
    assert scene.next_offer() is same.offered


def test_other_stream_that_is_promoted_is_the_one_that_others_wait_behind() -> None:
    scene = Scene()
    scene.leave(scene.serve(BEST))
    first = scene.serve(WORST, stream=OTHER)
    back, more = scene.join(BEST), scene.join(WORST, stream=OTHER)
    assert back.asked == [Wait(WORST, None, OTHER)]
    scene.leave(first)
    assert scene.next_offer() is more.offered


# ---- what the sink refuses -------------------------------------------------------------------------------------------


def test_set_aside_lets_others_come_first_until_one_is_promoted() -> None:
    scene = Scene()
    damaged, rightful, third = scene.join(BEST, stream=OTHER), scene.join(MIDDLE), scene.join(WORST, stream=THIRD)
    assert scene.next_offer() is damaged.offered
    scene.line.set_aside(damaged.offered)
    assert scene.next_offer() is rightful.offered
    scene.promote()
    scene.start()
    scene.leave(rightful)
    assert scene.next_offer() is damaged.offered  # it may have been fixed since then
    scene.leave(damaged)
    assert scene.next_offer() is third.offered


def test_set_aside_comes_before_what_was_served_last() -> None:
    scene = Scene()
    scene.leave(scene.serve(BEST))
    damaged, other = scene.join(BEST), scene.join(WORST, stream=OTHER)
    scene.line.set_aside(damaged.offered)
    assert scene.next_offer() is other.offered


def test_set_aside_are_all_that_failed_until_each_has_been_tried() -> None:
    scene = Scene()
    members = [scene.join(BEST, stream=OTHER), scene.join(MIDDLE, stream=THIRD), scene.join(WORST)]
    tried = []
    for _ in range(6):
        tried.append(offered := scene.next_offer())
        scene.line.set_aside(offered)
    assert tried == [each.offered for each in members] * 2
    scene.leave(members[0])
    assert scene.next_offer() is members[1].offered


def test_set_aside_is_tried_again_if_nobody_else_waits() -> None:
    scene = Scene()
    damaged = scene.join(BEST)
    scene.line.set_aside(damaged.offered)
    assert scene.next_offer() is damaged.offered


def test_refused_are_all_that_offer_what_the_sink_can_never_take_and_no_others() -> None:
    scene = Scene()
    liars, other = [scene.join(BEST), scene.join(WORST)], scene.join(MIDDLE, stream=OTHER)
    scene.line.refuse(liars[0].offered, scene.now)
    assert [each.ended for each in (*liars, other)] == [[Reason.MALFORMED]] * 2 + [[]]
    assert scene.next_offer() is other.offered


# ---- raw peers -------------------------------------------------------------------------------------------------------


def a_raw_peer(scene: Scene) -> Fake:
    return Fake(scene.line, Open("worker-0", STREAM, "bits64", "nobody", 1.0))


def test_raw_is_refused_while_anybody_serves_or_waits_or_is_raw() -> None:
    scene = Scene()
    waiting = scene.join()
    assert not scene.line.join_raw(a_raw_peer(scene))
    scene.promote()
    assert not scene.line.join_raw(a_raw_peer(scene))
    scene.leave(waiting)
    raw = a_raw_peer(scene)
    assert scene.line.join_raw(raw)
    assert scene.line.holder is raw
    assert not scene.line.join_raw(a_raw_peer(scene))
    assert scene.leave(raw)
    assert scene.line.join_raw(a_raw_peer(scene))


def test_raw_is_ended_by_an_open_whose_producer_is_promoted() -> None:
    scene = Scene()
    raw = a_raw_peer(scene)
    scene.line.join_raw(raw)
    member = scene.join()
    assert (raw.ended, member.ended, scene.line.holder) == ([Reason.TAKEOVER], [], None)
    scene.promote()
    assert scene.line.holder is member


# ---- what a person must mend -----------------------------------------------------------------------------------------


def test_two_producers_of_one_name_are_doubles_once_both_are_steady() -> None:
    scene = Scene()
    scene.serve(BEST, instance="1" * 16)
    double, other = scene.join(BEST, instance="2" * 16), scene.join(WORST)
    for _ in range(ASKS_OF_THE_STEADY - 1):
        assert scene.line.doubles() == []  # it may be the same, whose older connection has yet to be lost
        for member in (double, other):
            scene.line.ask(member, scene.now)
    assert scene.line.doubles() == [BEST]
    third = scene.join(WORST)
    for _ in range(ASKS_OF_THE_STEADY):
        scene.line.ask(third, scene.now)
    assert scene.line.doubles() == sorted([BEST, WORST])
    scene.leave(double)
    assert scene.line.doubles() == [WORST]
