"""What pages of other sites can get from an admin server on loopback, in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from tests.admin.roles import FakeRole
from tests.browser.conftest import BROWSER_ARGUMENTS
from tests.browser.streams import served

pytestmark = pytest.mark.browser

GUARDS = "LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,PrivateNetworkAccessSendPreflights"
ATTACK = """
<!doctype html><iframe id="frame" src="URLapi/links"></iframe><img src="URL"><script>
const read = path => fetch(path).then(async answer => `${answer.status} ${await answer.text()}`, () => "nothing");
const listen = path => new Promise(done => {
  const source = new EventSource(path);
  source.onmessage = ({data}) => done(data);
  source.onerror = () => done("nothing");
});
const found = Promise.all([read("URLapi/links"), listen("URLevents"), read("URLnumbers"), read("URLmetrics")]);
</script>
"""


@pytest.fixture(scope="module")
def rebound(browser: Any) -> Iterator[Any]:
    """A browser in which evil.example is this machine, and which does not guard local networks: not all do."""
    arguments = [*BROWSER_ARGUMENTS, "--host-resolver-rules=MAP evil.example 127.0.0.1", f"--disable-features={GUARDS}"]
    mine = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=arguments)
    yield mine
    mine.close()


def attack(browser: Any, page_at: str, target: str) -> list[str]:
    """What a page at `page_at` can read of the paths below `target`, and whether it could frame one."""
    page = browser.new_page()
    page.route(
        f"{page_at}attack", lambda route: route.fulfill(content_type="text/html", body=ATTACK.replace("URL", target))
    )
    page.goto(f"{page_at}attack")
    found: list[str] = page.evaluate("found")
    frame = page.frames[1]
    frame.wait_for_load_state()
    found.append(frame.content())
    page.close()
    return found


@pytest.mark.parametrize("is_rebound", [True, False])
def test_a_page_of_another_site_reads_nothing_even_if_its_name_is_rebound(rebound: Any, is_rebound: bool) -> None:
    with served(FakeRole()) as url:
        found = attack(rebound, url.replace("127.0.0.1", "evil.example"), "/" if is_rebound else url)
        assert not any("worker-0" in text or text.startswith("200") for text in found)


def test_a_page_of_our_own_reads_all_but_is_in_no_frame(rebound: Any) -> None:
    with served(FakeRole()) as url:
        links, events, _, metrics, frame = attack(rebound, url, "/")
        assert links.startswith("200")
        assert all("worker-0" in found for found in (links, events, metrics))
        assert "worker-0" not in frame
