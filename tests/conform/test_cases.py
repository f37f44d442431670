"""The outcomes of cases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from randstream.conform.cases import BrokenRuleError, Case, NotPlayedError, play

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])


async def test_outcomes_of_cases() -> None:
    async def holds(_: Any) -> None: ...

    async def breaks(_: Any) -> None:
        raise BrokenRuleError("this", "that")

    async def is_not_played(_: Any) -> None:
        raise NotPlayedError("no reason")

    async def hangs(_: Any) -> None:
        await asyncio.sleep(60)

    async def finds_nobody(_: Any) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    async def play_one(play_it: Any) -> Any:
        return await play(Case("a case", ("silence",), play_it, "alone", limit=0.05), None)

    assert (await play_one(holds)).is_held
    broken = await play_one(breaks)
    assert broken.is_broken
    assert (broken.expected, broken.came) == ("this", "that")
    assert (await play_one(is_not_played)).why_not == "no reason"
    assert (await play_one(hangs)).expected == "an outcome within 0.05 s"
    assert "Connection refused" in (await play_one(finds_nobody)).came
