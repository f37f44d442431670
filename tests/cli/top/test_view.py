"""View: an admin server is asked again and again."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.admin.roles import FakeLink, FakeRole
from tests.admin.site import site_of
from tests.support.waiting import until

from randstream.cli.top import view as views
from randstream.cli.top.source import Source
from randstream.cli.top.view import View, Wanted


async def test_what_is_wanted_is_asked_for() -> None:
    async with site_of(FakeRole(links=[FakeLink("a"), FakeLink("b"), FakeLink("ab")])) as site:
        view = View(Source(f"127.0.0.1:{site.port}"), Wanted(1, "a"))
        await asyncio.to_thread(view.ask)
        look = view.look()
    assert look.snapshot is not None
    assert (len(look.snapshot["links"]), look.snapshot["left_out"]) == (1, 1)
    assert (look.problem, look.answers) == (None, True)


async def test_a_new_wish_is_asked_for_at_once_and_the_last_answer_outlives_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(views, "PERIOD_SECONDS", 3600.0)
    async with site_of(FakeRole(links=[FakeLink("a"), FakeLink("b")])) as site:
        view = View(Source(f"127.0.0.1:{site.port}"))
        view.start()
        try:
            await until(lambda: view.snapshot)
            view.want(Wanted(9, "b"))
            await until(lambda: view.snapshot and [link["worker"] for link in view.snapshot["links"]] == ["b"])
        finally:
            view.stop()
    await asyncio.to_thread(view.ask)
    look = view.look()
    assert look.snapshot is not None
    assert (look.problem or "").startswith("no answer from http://127.0.0.1:")


@pytest.mark.usefixtures("unmeasured")
async def test_the_largest_answer_that_a_role_gives_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("randstream.cli.top.source.ANSWER_SECONDS", 60.0)  # for a machine that does much else
    links = [FakeLink(f"{n:0128}", "p" * 253, error="e" * 300, served_by="s" * 128) for n in range(views.MOST_LINKS)]
    async with site_of(FakeRole(links=links)) as site:
        snapshot = await asyncio.to_thread(Source(f"127.0.0.1:{site.port}").fetch, limit=views.MOST_LINKS)
    assert len(snapshot["links"]) == views.MOST_LINKS
    assert json.dumps(snapshot)
