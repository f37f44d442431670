"""Page: what it contains, and the policy it is sent with."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from tests.admin.roles import FakeRole
from tests.admin.site import site_of

from randstream.admin.page import LIVE, load_page

PAGE = load_page().body.decode()


async def test_the_policy_of_the_page_allows_only_its_own_scripts_and_style() -> None:
    async with site_of(FakeRole()) as site, site.client.get("/") as answer:
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        body = await answer.text()
    assert policy["default-src"] == "'none'"
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        contents = re.findall(f"<{element}>(.*?)</{element}>", body, re.DOTALL)
        hashes = [b64encode(sha256(content.encode()).digest()).decode() for content in contents]
        assert policy[directive] == " ".join(f"'sha256-{one}'" for one in hashes)
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)


def test_every_file_of_the_page_is_in_it() -> None:
    names = {file.name for file in LIVE.iterdir()} - {"page.html"}
    assert all((LIVE / name).read_text("utf-8") in PAGE for name in names)
    assert len(names) == len(re.findall("<(?:style|script)>", PAGE))


def test_the_page_loads_nothing_from_other_hosts() -> None:
    assert set(re.findall(r"https?://[^'\"\s]+", PAGE)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"@import|url\(|<script [^>]*src|<link rel=\"stylesheet", PAGE)


def test_the_page_asks_below_its_own_address_so_that_it_works_behind_any_path() -> None:
    asked = re.findall(r"(?:fetch|EventSource)\(([\"'`].*?)[\"'`?]", PAGE)
    assert [each[1:] for each in asked] == ["api/stream", "api/links", "events", "events"]
    assert len(re.findall(r"fetch\(|EventSource\(|XMLHttpRequest|sendBeacon|import\(", PAGE)) == len(asked)
    urls = {url for url in re.findall(r"(?:href|src|action)=\"(.+?)\"", PAGE) if not url.startswith("data:")}
    assert urls == {"#/", "api/links", "numbers", "metrics"}


def test_text_from_peers_reaches_the_page_as_text_only() -> None:
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", PAGE)
    assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", PAGE)  # none of which would run under the policy


def test_the_icon_comes_with_the_page() -> None:
    assert '<link rel="icon" href="data:image/svg+xml,' in PAGE
