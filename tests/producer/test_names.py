"""Names: one link has a worker, others rest until it is free."""

from __future__ import annotations

from randstream.producer.names import Names


class Sleeper:
    def __init__(self) -> None:
        self.woken: list[float] = []

    def start(self, when: float) -> None:
        self.woken.append(when)


def test_the_first_link_has_the_worker_and_those_that_rest_are_woken_when_it_is_free() -> None:
    names, links = Names[Sleeper](), [Sleeper() for _ in range(3)]
    assert all(names.claim("worker-0", link) is links[0] for link in links)
    for link in links[1:]:
        names.rest("worker-0", link)
    names.release("worker-0", links[0], 7.0)
    assert [link.woken for link in links] == [[], [7.0], [7.0]]
    assert names.claim("worker-0", links[2]) is links[2]


def test_a_link_that_has_nothing_frees_nothing_and_one_that_has_gone_is_not_woken() -> None:
    names, links = Names[Sleeper](), [Sleeper() for _ in range(2)]
    names.claim("worker-0", links[0])
    names.rest("worker-0", links[1])
    names.release("worker-0", links[1], 1.0)
    assert names.claim("worker-0", links[1]) is links[0]
    names.release("worker-0", links[0], 2.0)
    assert links[1].woken == []


def test_a_worker_of_another_name_is_another_matter() -> None:
    names, links = Names[Sleeper](), [Sleeper() for _ in range(2)]
    names.claim("worker-0", links[0])
    names.rest("worker-0", links[1])
    names.release("worker-1", links[0], 1.0)
    assert links[1].woken == []
    assert names.claim("worker-1", links[1]) is links[1]
