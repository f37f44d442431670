"""Orphans: they are reaped, and our own children are not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from tests.support.clock import JumpingClock

from randstream.children import orphans

SWEPT = """
import asyncio, os, sys, uvloop
from randstream.children.orphans import reap_orphans
from randstream.children.spawn import spawn

def ended():
    "An orphan that has ended, and is not reaped."
    orphan = os.posix_spawnp("true", ["true"], os.environ)
    os.waitid(os.P_PID, orphan, os.WEXITED | os.WNOWAIT)
    return orphan

async def main():
    assert reap_orphans() == 0, "there are no children at all"
    for _ in range(3):
        ended()
    assert reap_orphans() == 3
    own = [await spawn(["sh", "-c", f"exit {status}"]) for status in range(5)]
    statuses = asyncio.gather(*(each.wait() for each in own))
    orphan = ended()
    while not statuses.done():
        reap_orphans()
        await asyncio.sleep(0)
    assert await statuses == [0, 1, 2, 3, 4]
    reap_orphans()
    try:
        os.waitpid(orphan, 0)
    except ChildProcessError:
        print("reaped")
    starting = asyncio.ensure_future(spawn(["sh", "-c", "exit 7"]))
    while not starting.done():
        reap_orphans()
        await asyncio.sleep(0)
    assert await starting.result().wait() == 7

asyncio.Runner(loop_factory=uvloop.new_event_loop if sys.argv[1] == "uvloop" else None).run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_orphans_are_reaped_and_how_our_own_children_ended_is_still_known(loop: str) -> None:
    done = subprocess.run([sys.executable, "-c", SWEPT, loop], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("reaped\n", "", 0)


async def test_process_1_sweeps_again_and_again_until_it_ends(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = asyncio.Semaphore(0)
    monkeypatch.setattr(orphans, "reap_orphans", swept.release)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    with orphans.reaping(clock):
        for _ in range(3):
            await swept.acquire()
            clock.jump(orphans.SWEEP_SECONDS)
        await swept.acquire()
    clock.jump(orphans.SWEEP_SECONDS)
    await asyncio.sleep(0)
    assert swept.locked()


async def test_any_other_process_leaves_its_children_alone(
    clock: JumpingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "reap_orphans", lambda: pytest.fail("swept"))
    with orphans.reaping(clock):
        clock.jump(orphans.SWEEP_SECONDS)
        await asyncio.sleep(0)
