from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSER_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
"""Chromium's sandbox does not run as root, and containers have a small /dev/shm."""
OWN = "http://127.0.0.1:", "data:"
EXPECTED = (
    "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET",
    "status of 503", "status of 404",
)  # fmt: skip
"""Messages of Chromium itself, not the page's fault: the server ended, or has no place, or no such stream."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="there is no playwright: make browser-test brings it"
    )
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that must cause no error on its console, no violation of its policy and no request to another site."""
    complaints: list[str] = []

    def hear(message: Any) -> None:
        if message.type in ("error", "warning") and not any(known in message.text for known in EXPECTED):
            complaints.append(message.text)

    def watch(request: Any) -> None:
        if not request.url.startswith(OWN):
            complaints.append(request.url)

    page = browser.new_page(locale="en-US", viewport={"width": 1280, "height": 900})
    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", watch)
    page.add_init_script(
        "addEventListener('securitypolicyviolation', event => console.error('policy: ' + event.violatedDirective))"
    )
    yield page
    page.close()
    assert complaints == []
