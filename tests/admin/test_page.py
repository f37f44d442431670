from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256

from tests.admin.roles import FakeRole
from tests.admin.site import site_of

from randstream.admin.page import load_page

PAGE = load_page().body.decode()


async def test_the_page_is_sent_with_a_policy_that_allows_nothing_but_its_own_script_and_style() -> None:
    async with site_of(FakeRole()) as site, site.client.get("/") as answer:
        policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        body = await answer.text()
    assert policy["default-src"] == "'none'"
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(f"<{element}>(.*?)</{element}>", body, re.DOTALL)
        assert policy[directive] == f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy)


def test_the_page_asks_nobody_else_for_anything() -> None:
    assert set(re.findall(r"https?://[^'\"\s]+", PAGE)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"@import|url\(|<script [^>]*src|<link rel=\"stylesheet", PAGE)


def test_what_peers_say_reaches_the_page_as_text_only() -> None:
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", PAGE)
    assert not re.findall(r"<[^>]+\s(?:style|on[a-z]+)=", PAGE)  # and none of it would run under the policy


def test_the_icon_comes_with_the_page() -> None:
    assert '<link rel="icon" href="data:image/svg+xml,' in PAGE
