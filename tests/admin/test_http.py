"""Http: the headers of all answers, refusals, and the parameters of a query."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from tests.admin.roles import FakeRole
from tests.admin.site import site_of

from randstream.admin.http import HEADERS, Refusal, parameters, text


async def test_no_answer_is_to_be_kept_or_guessed_at() -> None:
    async with site_of(FakeRole()) as site:
        for path in ("/", "/livez", "/metrics", "/api/links", "/nothing"):
            async with site.client.get(path) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_parameters_are_unquoted_and_may_be_empty() -> None:
    request = make_mocked_request("GET", "/api/links?filter=a%20b%26c&limit=")
    assert parameters(request, "limit", "filter") == {"filter": "a b&c", "limit": ""}
    assert parameters(make_mocked_request("GET", "/api/links"), "limit") == {}


@pytest.mark.parametrize(
    ("query", "known", "message"),
    [
        ("limt=1", ("limit", "filter"), "'limt' is no parameter of /page; it takes limit, filter"),
        ("limit=1", (), "'limit' is no parameter of /page; it takes none"),
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


def test_a_text_is_one_line_with_the_headers_of_all_answers_and_its_own() -> None:
    answer = text(405, "use GET", {"Allow": "GET, HEAD"})
    assert (answer.status, answer.text) == (405, "use GET\n")
    assert {name: answer.headers[name] for name in (*HEADERS, "Allow")} == {**HEADERS, "Allow": "GET, HEAD"}
