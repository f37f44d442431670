"""Membership: DNS, links and time together decide which workers have left."""

from __future__ import annotations

from randstream.producer.membership import LEFT_OUT_SECONDS, Membership
from randstream.settings import Target

ONE, TWO = (Target("stream", f"10.0.0.{n}", 9000) for n in (1, 2))
UP: set[Target] = {ONE}


def test_members_are_those_that_dns_names_in_the_order_in_which_it_did() -> None:
    membership = Membership()
    membership.update([TWO], UP.__contains__, 0.0)
    membership.update([ONE, TWO], UP.__contains__, 1.0)
    assert list(membership.members) == [TWO, ONE]


class Answer(tuple[Target, ...]):
    """An answer that counts how often somebody looks through all of it."""

    searches = 0

    def __contains__(self, target: object) -> bool:
        Answer.searches += 1
        return super().__contains__(target)


def test_a_long_answer_is_not_searched_for_each_worker() -> None:
    answer = Answer(Target("stream", f"10.0.0.{n}", 9000) for n in range(100))
    membership = Membership()
    for _ in range(2):
        membership.update(answer, UP.__contains__, 0.0)
    assert len(membership.members) == 100
    assert Answer.searches == 0


def test_a_live_link_proves_its_worker_for_ever() -> None:
    membership = Membership()
    membership.update([ONE], UP.__contains__, 0.0)
    for hour in range(24):
        membership.update([], UP.__contains__, 3600.0 * hour)
    assert list(membership.members) == [ONE]


def test_a_worker_leaves_when_both_have_missed_it_for_a_while() -> None:
    membership = Membership()
    membership.update([TWO], UP.__contains__, 0.0)
    membership.update([], UP.__contains__, 100.0)  # the first answer that lacks it
    membership.update([], UP.__contains__, 100.0 + LEFT_OUT_SECONDS - 1)
    assert list(membership.members) == [TWO]
    membership.update([], UP.__contains__, 100.0 + LEFT_OUT_SECONDS)
    assert list(membership.members) == []


def test_one_answer_or_one_live_moment_begins_the_while_anew() -> None:
    membership = Membership()
    membership.update([TWO], UP.__contains__, 0.0)
    for at, named, up in ((1.0, [], UP), (30.0, [TWO], UP), (31.0, [], UP), (60.0, [], {TWO}), (61.0, [], UP)):
        membership.update(named, up.__contains__, at)
    membership.update([], UP.__contains__, 61.0 + LEFT_OUT_SECONDS - 1)
    assert list(membership.members) == [TWO]
