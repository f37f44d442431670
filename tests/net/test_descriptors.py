"""Descriptors: the limit is raised as far as allowed, and a full table is noticed."""

from __future__ import annotations

import asyncio
import errno
import resource
from typing import Any

import pytest
from tests.support.descriptors import no_descriptor_left

from randstream.net.descriptors import (
    MOST_DESCRIPTORS,
    check_descriptors,
    raise_descriptor_limit,
    tell_if_used_up,
)


@pytest.mark.parametrize(
    ("soft", "hard", "raised"),
    [
        (1024, 4096, 4096),
        (4096, 4096, None),
        (1024, 2**30, MOST_DESCRIPTORS),
        (1024, resource.RLIM_INFINITY, MOST_DESCRIPTORS),
        (2**21, 2**30, None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, None),
    ],
)
def test_the_soft_limit_becomes_the_hard_one_within_reason(
    soft: int, hard: int, raised: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: given.append(limits))
    assert raise_descriptor_limit() == (raised or soft)
    assert given == ([(raised, hard)] if raised else [])


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert raise_descriptor_limit() == 256


async def test_a_full_table_is_told_to_the_loop_and_one_with_room_is_not() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    tell_if_used_up()
    check_descriptors()
    assert told == []
    with no_descriptor_left():
        tell_if_used_up()
        with pytest.raises(OSError, match="Too many open files"):
            check_descriptors()
    (context,) = told
    assert context["exception"].errno == errno.EMFILE
