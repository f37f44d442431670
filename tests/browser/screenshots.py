"""Takes the screenshots docs/images/page-light.png and page-dark.png: `make screenshots`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from tests.browser.conftest import BROWSER_ARGUMENTS
from tests.browser.streams import Streams

IMAGES = Path(__file__).parents[2] / "docs/images"
SIZE = {"width": 1180, "height": 900}


def main() -> None:
    """Run three streams for a minute, kill one, and take the screenshots."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        streams = Streams(Path(folder))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=BROWSER_ARGUMENTS)
        pages = {
            scheme: browser.new_page(locale="en-US", color_scheme=scheme, viewport=SIZE, device_scale_factor=1.5)
            for scheme in ("light", "dark")
        }
        for page in pages.values():
            page.goto(streams.url)
        next(iter(pages.values())).wait_for_timeout(75_000)
        streams.kill(1)
        next(iter(pages.values())).wait_for_timeout(8_000)
        for scheme, page in pages.items():
            page.screenshot(path=IMAGES / f"page-{scheme}.png")
        browser.close()
        streams.restart(1)
        streams.end()


if __name__ == "__main__":
    main()
