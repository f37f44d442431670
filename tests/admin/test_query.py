"""Query: the parameters of a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from randstream.admin.http import Refusal
from randstream.admin.order import SORTS
from randstream.admin.query import parameters, read_count, read_sort, read_states
from randstream.observe.status import LinkState


def test_parameters_are_unquoted_and_may_be_empty() -> None:
    request = make_mocked_request("GET", "/api/links?filter=a%20b%26c&limit=")
    assert parameters(request, "limit", "filter") == {"filter": "a b&c", "limit": ""}
    assert parameters(make_mocked_request("GET", "/api/links"), "limit") == {}


@pytest.mark.parametrize(
    ("query", "known", "message"),
    [
        ("limt=1", ("limit", "filter"), "'limt' is not a parameter of /page; it takes limit, filter"),
        ("limit=1", (), "'limit' is not a parameter of /page; it takes none"),
        ("limit=1&limit=2", ("limit",), "'limit' is given twice; give it once"),
        ("limit=&limit=", ("limit",), "'limit' is given twice; give it once"),
    ],
)
def test_a_parameter_that_is_unknown_or_repeated_is_refused_with_400(
    query: str, known: tuple[str, ...], message: str
) -> None:
    with pytest.raises(Refusal) as caught:
        parameters(make_mocked_request("GET", f"/page?{query}"), *known)
    assert (caught.value.status, str(caught.value)) == (400, message)


@pytest.mark.parametrize(
    ("read", "given", "value"),
    [
        (read_states, {}, frozenset()),
        (read_states, {"state": ""}, frozenset()),
        (read_states, {"state": "stalled,waiting"}, {LinkState.STALLED, LinkState.WAITING}),
        (read_sort, {}, "trouble"),
        (read_sort, {"sort": ""}, "trouble"),
        (read_sort, {"sort": "-offset"}, "-offset"),
    ],
)
def test_what_a_value_means(read: Callable[[Any], Any], given: dict[str, str], value: object) -> None:
    assert read(given) == value


def test_a_count_is_the_usual_one_unless_it_is_given() -> None:
    given: list[dict[str, str]] = [{}, {"limit": "0"}, {"limit": "099"}]
    assert [read_count(query, "limit", usual=10, most=99) for query in given] == [10, 0, 99]


@pytest.mark.parametrize("given", ["", "-1", "1e1", "100", "٣", "000001", " 1"])
def test_a_count_that_is_none_or_too_large_is_refused(given: str) -> None:
    with pytest.raises(Refusal, match=f"limit={given} is not a whole number from 0 to 99"):
        read_count({"limit": given}, "limit", usual=10, most=99)


@pytest.mark.parametrize(
    ("read", "given", "message"),
    [
        (read_sort, {"sort": "speed"}, f"sort=speed is not one of {', '.join(SORTS)}; a - before it turns it round"),
        (read_sort, {"sort": "-trouble"}, "sort=-trouble is not one of"),
        (read_states, {"state": "down"}, "state=down is not among waiting, dialling, "),
        (read_states, {"state": "waiting,"}, "state=waiting, is not among"),
    ],
)
def test_a_value_that_means_nothing_is_refused_with_those_that_do(
    read: Callable[[Any], Any], given: dict[str, str], message: str
) -> None:
    with pytest.raises(Refusal) as caught:
        read(given)
    assert caught.value.status == 400
    assert message in str(caught.value)
