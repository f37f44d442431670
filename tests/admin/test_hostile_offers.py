"""A worker's observer looks at what a peer offered and sent, lawful and yet no numbers: it must never raise.

It turns beside the role, so that an error of its would end the worker.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.protocol.network import repeatable

from randstream.admin.observer import Observer, to_json
from randstream.protocol.frames import Open, encode, parse_control_line
from randstream.settings.roles import WorkerSettings
from randstream.worker.worker import Worker

KINDS = st.sampled_from(["integers", "bits64", "uniform", "exponential", "normal", "oftomorrow"])
PARAMETERS = st.one_of(
    st.floats().map(repr), st.integers().map(str), st.from_regex(r"[0-9.e+-]{1,40}", fullmatch=True)
).filter(lambda text: set(text) <= set("0123456789.e+-"))
OFFERS = st.tuples(KINDS, st.lists(PARAMETERS, max_size=3)).map(lambda offer: ":".join([offer[0], *offer[1]]))
RUNS = st.from_regex(rb"(?:[0-9-][0-9.e+-]{0,62}\n){1,8}", fullmatch=True)


def look(numbers: str, run: bytes) -> dict[str, object]:
    """What observers see of a worker that was offered `numbers`, and then got `run`."""
    offered = parse_control_line(encode(Open("worker-0", "6ae2a63a0ac05109", numbers, "producer-0", 1.0))[:-1])
    assert isinstance(offered, Open)
    worker = Worker(WorkerSettings(name="worker-0", discard=True))
    observer = Observer(worker)
    worker.intake.set_opening(offered, worker.intake.report)
    worker.intake.set_streaming(0, 0.0)
    for second in range(3):
        worker.intake.note_numbers(run, run.count(b"\n"))
        observer.tick(float(second))
    snapshot: dict[str, object] = json.loads(to_json(observer.snapshot(limit=1)))
    return snapshot


@repeatable(200)
@given(numbers=OFFERS, run=RUNS)
@example("integers:1:100", b"1-2\n")
@example("bits64", b"--\n")
@example("uniform:0.0:1.0", b"1e999\n-1e999\n")
def test_no_offer_and_no_number_line_makes_an_observer_raise(numbers: str, run: bytes) -> None:
    assert look(numbers, run)["numbers"] == numbers


@pytest.mark.parametrize("numbers", ["oftomorrow", "oftomorrow:1:2", "integers:5:1", "uniform:-1e308:1e308"])
def test_numbers_that_this_version_does_not_know_have_no_histogram(numbers: str) -> None:
    assert look(numbers, b"52\n78\n")["histogram"] is None


def test_a_line_that_is_no_number_is_left_out_of_the_histogram() -> None:
    assert sum(look("integers:1:100", b"52\n1-2\n")["histogram"]["counts"]) == 0
    assert sum(look("integers:1:100", b"52\n12\n")["histogram"]["counts"]) > 0
