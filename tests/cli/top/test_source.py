"""Source: an admin server is asked, and what comes of it."""

from __future__ import annotations

import asyncio

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of

from randstream.cli.top.source import Source
from randstream.errors import SettingsError


@pytest.mark.parametrize("url", ["", "ftp://a:1", "http://", "://"])
def test_an_unusable_address_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address of an admin server; give http://HOST:PORT"):
        Source(url)


async def test_an_answer_that_is_not_json_counts_as_no_answer() -> None:
    async with site_of(FakeRole()) as site:
        with pytest.raises(SettingsError, match="no answer"):
            await asyncio.to_thread(Source(f"http://127.0.0.1:{site.port}/livez").fetch, limit=1)
