"""Http: the headers of every answer, and what clients take."""

from __future__ import annotations

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of

from randstream.admin.http import HEADERS, takes_gzip, text


async def test_no_answer_may_be_cached_or_sniffed() -> None:
    async with site_of(FakeRole()) as site:
        for path in ("/", "/livez", "/metrics", "/api/links", "/api/stream?name=worker-0", "/nothing"):
            async with site.client.get(path) as answer:
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_text_is_one_line_with_the_headers_of_all_answers_and_its_own() -> None:
    answer = text(405, "use GET", {"Allow": "GET, HEAD"})
    assert (answer.status, answer.text) == (405, "use GET\n")
    assert {name: answer.headers[name] for name in (*HEADERS, "Allow")} == {**HEADERS, "Allow": "GET, HEAD"}


def test_a_text_is_one_line_whatever_it_repeats() -> None:
    assert text(404, "no /\r\n\x1b[31m\udcff\u2028é").text == "no /\\r\\n\\x1b[31m\\udcff\\u2028é\n"


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        (["gzip"], True),
        (["gzip, deflate, br, zstd"], True),
        (["deflate", "GZIP;q=0.5"], True),
        (["br;q=1.0, gzip ; q=0.8, *;q=0.1"], True),
        (["x-gzip"], True),
        (["*"], True),
        ([], False),
        ([""], False),
        (["identity"], False),
        (["deflate, br"], False),
        (["gzip;q=0"], False),
        (["gzip;q=0.000, *"], False),
        (["*;q=0"], False),
        (["notgzip"], False),
        (["gzip;q=many"], False),
    ],
)
def test_gzip_is_for_who_asks_for_it(accepted: list[str], takes: bool) -> None:
    assert takes_gzip(accepted) is takes


@pytest.mark.parametrize("path", ["/", "/api/links?limit=1000", "/metrics"])
async def test_a_large_answer_is_compressed_for_who_asks(path: str) -> None:
    links = [FakeLink(f"worker-{number}") for number in range(100)]
    async with site_of(FakeRole(links=links)) as site:
        sizes = []
        for coding in ("identity", "gzip"):
            for method in ("GET", "HEAD"):
                async with site.client.request(method, path, headers={"Accept-Encoding": coding}) as answer:
                    assert answer.headers.get("Content-Encoding", "identity") == coding
                    assert answer.headers["Vary"] == "Accept-Encoding"
                    if method == "GET":
                        sizes.append(int(answer.headers["Content-Length"]))
                        assert b"worker" in await answer.read()
        assert sizes[1] < sizes[0] / 2


@pytest.mark.parametrize("path", ["/livez", "/api/links"])
async def test_what_is_small_is_not_compressed(path: str) -> None:
    async with site_of(FakeRole()) as site, site.client.get(path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert "Content-Encoding" not in answer.headers
