"""Report: what is well, and the JSON."""

from __future__ import annotations

import json

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.cli.top.views import NOON, look_of, looks_of, rows_in

from randstream.cli.top.polled import Look
from randstream.cli.top.report import is_well, to_json
from randstream.observe.status import LinkState


def well(*given: Look | FakeRole) -> bool:
    looks = looks_of(*given)
    return is_well(looks, rows_in(looks))


@pytest.mark.parametrize("state", LinkState)
def test_all_is_well_if_every_stream_flows_or_another_link_has_it(state: LinkState) -> None:
    assert well(FakeRole(links=[FakeLink(state=state)])) is (
        state in (LinkState.STREAMING, LinkState.STANDBY, LinkState.RESTING, LinkState.FINISHED)
    )


def test_nothing_is_well_while_a_process_does_not_answer_or_is_not_ready() -> None:
    assert well(FakeRole(warning="a certificate expires"), FakeRole(links=[]))
    assert not well(FakeRole(), look_of(None))
    assert not well(FakeRole(), look_of(FakeRole(name="p", links=[]), silence=9.0))
    assert not well(FakeRole(problem="cannot resolve worker"))


def test_a_producer_that_cannot_reach_a_worker_is_not_well_though_another_can() -> None:
    other = FakeRole(name="other", links=[FakeLink(state=LinkState.WAITING, error="cut: no route")])
    assert not well(FakeRole(), other)


def test_the_json_has_every_process_and_every_stream() -> None:
    role = FakeRole(
        links=[FakeLink("\x1b[2J", offset=9, acked_offset=5, state=LinkState.WAITING, error="cut: no route")]
    )
    looks = looks_of(role, look_of(None, silence=9.0))
    told = json.loads(json.dumps(to_json(looks, rows_in(looks), NOON)))
    assert (told["time"], told["well"], told["left_out"]) == (NOON, False, 0)
    answering, silent = told["processes"]
    assert (answering["name"], answering["role"], answering["answers"], answering["error"]) == (
        ("producer-0", "producer", True, None)
    )
    assert (silent["address"], silent["answers"], silent["heard"], silent["name"]) == ("127.0.0.1:1", False, None, None)
    assert silent["error"] == "no answer from http://127.0.0.1:1: connection refused"
    [stream] = told["streams"]
    assert (stream["worker"], stream["state"], stream["well"]) == (" [2J", "waiting", False)
    assert (stream["offset"], stream["acked_offset"], stream["served_by"], stream["standbys"]) == (9, 5, None, [])
    assert stream["notes"] == [{"process": "producer-0", "text": "cut: no route"}]
