"""What the demo shows."""

from __future__ import annotations

import io
import json

import pytest

from randstream.cli.demo.screen import fetch_links


def test_the_table_shows_each_link_as_its_server_sees_it_and_leaves_out_who_is_dead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def links(**states: str) -> io.BytesIO:
        return io.BytesIO(json.dumps({"links": [{"worker": w, "state": s} for w, s in states.items()]}).encode())

    def answer(url: str, timeout: float) -> io.BytesIO:
        if url.startswith("dead"):
            raise ConnectionRefusedError
        return links(a="standby", b="streaming") if url.startswith("one") else links(a="streaming", b="standby")

    monkeypatch.setattr("randstream.cli.demo.screen.urlopen", answer)
    found = fetch_links(["dead/", "one/", "other/"])
    assert {name: link["state"] for name, link in found.items()} == {"a": "streaming", "b": "streaming"}
