"""Tap: listeners hear what passes without a gap, and hold nothing up."""

from __future__ import annotations

import pytest
from tests.store.streams import text

from randstream.observe import tap
from randstream.observe.tap import Tap
from randstream.protocol.runs import Run


async def test_a_listener_that_falls_behind_is_ended_and_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "WAITING_BYTES", 1000)
    source = Tap(None)
    slow, quick = source.listen(), source.listen()
    for first in range(0, 2000, 100):
        source.pass_on(text(first, first + 100), 100)
        run = await quick.next_run()
        assert run == Run(first, text(first, first + 100), 100)
    assert await slow.next_run() is None
    source.pass_on(b"", 0)
    quick.close()
    assert await quick.next_run() is None


async def test_a_listener_never_hears_past_a_gap() -> None:
    source = Tap(None)
    listener = source.listen()
    source.pass_on(b"1\n2\n", 2)
    source.offset = 7
    source.pass_on(b"8\n", 1)
    assert await listener.next_run() is None
