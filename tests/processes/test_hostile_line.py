"""Hostile peers in the line of a worker that two honest producers know: no stream stops, the next server is honest."""

from __future__ import annotations

import asyncio
import random
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final

import pytest
from tests.processes.test_hostile import memory_mib
from tests.protocol.network import checked
from tests.support.peers import Peer
from tests.support.ports import free_port
from tests.support.processes import Process, processes
from tests.support.stream import WORKER, stream

from randstream.observe.throttle import LINES_A_MINUTE

HEARTBEAT = 1.0
SECONDS = 2.0
"""How long each attack lasts before the serving producer is killed, and again after that."""
AT_ONCE = 40
"""Hostile peers at any time: more than the line takes."""
SILENCE_HEARTBEATS = 3
LATE_HEARTBEATS = 1
"""What **late-timer** may add. What a busy machine adds to that is what it adds to a pair that nobody attacks."""
MOST_GROWTH_MIB = 32


def opening(producer: str, instance: str = "") -> bytes:
    """A valid `#open` of the stream that is served."""
    words = (
        f"#open worker={WORKER} stream={stream().id} numbers=integers:1:100 producer={producer} heartbeat={HEARTBEAT}"
    )
    return checked(words + (f" instance={instance}" if instance else ""))


async def mute(peer: Peer, chance: random.Random) -> None:
    """Opens, and answers nothing."""
    peer.say(opening(f"mute-{chance.random()}"))
    await peer.rest()


async def unasked(peer: Peer, chance: random.Random) -> None:
    """Answers what nobody has asked."""
    peer.say(opening(f"unasked-{chance.random()}"), b"#wait\n" * 100)
    await peer.rest()


async def hasty(peer: Peer, chance: random.Random) -> None:
    """Opens, and is gone: at once, with a word or with none."""
    peer.say(opening(f"hasty-{chance.random()}"), chance.choice([b"", b"#close reason=shutdown\n", b"?\n"]))
    await peer.line()


async def forger(peer: Peer, chance: random.Random) -> None:
    """Calls itself as an honest producer does, guesses at instances, and answers until it is to serve."""
    peer.say(opening(f"producer-{chance.randrange(2)}", f"{chance.getrandbits(64):016x}"))
    while (line := await peer.line()).startswith(b"#wait"):
        peer.say(b"#wait\n")
    if line.startswith(b"#resume"):
        await peer.rest()


KINDS: Final[list[Callable[[Peer, random.Random], Awaitable[None]]]] = [mute, unasked, hasty, forger]


@asynccontextmanager
async def under_attack(port: int, opens: Counter[str]) -> AsyncIterator[None]:
    """AT_ONCE peers, as many of each kind, one after the other, for the block."""

    async def attack(number: int) -> None:
        chance, kind = random.Random(number), KINDS[number % len(KINDS)]
        while True:
            peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
            try:
                opens[kind.__name__] += 1
                with suppress(ConnectionError, TimeoutError):
                    await peer.line()
                    await kind(peer, chance)
            finally:
                peer.cut()

    async with asyncio.TaskGroup() as group:
        attacks = [group.create_task(attack(number)) for number in range(AT_ONCE)]
        yield
        for each in attacks:
            each.cancel()


async def longest_standstills(attacked: Process, calm: Process, seconds: float) -> tuple[float, float]:
    """For how long no number came out of either worker, at most."""
    first, second = await asyncio.gather(longest_standstill(attacked, seconds), longest_standstill(calm, seconds))
    return first, second


async def longest_standstill(worker: Process, seconds: float) -> float:
    """For how long no number came out of the worker, at most."""
    end, moved_at, length, longest = monotonic() + seconds, monotonic(), len(worker.out), 0.0
    while monotonic() < end:
        await asyncio.sleep(0.01)
        if len(worker.out) > length:
            longest = max(longest, monotonic() - moved_at)
            moved_at, length = monotonic(), len(worker.out)
    return max(longest, monotonic() - moved_at)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_hostile_standbys_stop_no_stream_and_an_honest_one_follows() -> None:
    port, calm_port, opens = free_port(), free_port(), Counter[str]()
    with processes() as start:
        worker, calm = (start("worker", "--name", WORKER, "--listen", f"127.0.0.1:{at}") for at in (port, calm_port))
        await asyncio.to_thread(worker.wait_event, "worker.listening")
        serving, standby, _ = (
            start(
                "producer", "--name", f"producer-{number}", "--workers", f"127.0.0.1:{at}", "--seed", "42",
                "--rate", "1000", "--heartbeat", str(HEARTBEAT),
            )
            for number, at in enumerate((port, port, calm_port))
        )  # fmt: skip
        served_by = (await asyncio.to_thread(worker.wait_event, "link.resumed"))["producer"]
        if served_by != "producer-0":
            serving, standby = standby, serving
        await asyncio.to_thread(standby.wait_event, "link.standing_by")
        await asyncio.to_thread(calm.wait_event, "link.resumed")
        memory_before = memory_mib(worker.popen.pid, "VmRSS")
        since = monotonic()
        async with under_attack(port, opens):
            still, late = await longest_standstills(worker, calm, SECONDS)
            resumed_before = len([event for event in worker.log if event["event"] == "link.resumed"])
            serving.end(signal.SIGKILL)
            watched = SECONDS + (SILENCE_HEARTBEATS + LATE_HEARTBEATS) * HEARTBEAT
            silence, later = await longest_standstills(worker, calm, watched)
        attacked_for = monotonic() - since
        growth = memory_mib(worker.popen.pid, "VmHWM") - memory_before
        assert standby.end() == 0
        assert worker.end() == 0
    resumed = [event for event in worker.log if event["event"] == "link.resumed"]
    lines = Counter(event["event"] for event in worker.log)
    print(
        f"\n{opens} opens in {attacked_for:.0f} s; stood still for {still / HEARTBEAT:.2f}"
        f" heartbeats, after SIGKILL {silence / HEARTBEAT:.2f} (the calm pair {late:.2f} and {later:.2f} s);"
        f" memory {memory_before:.0f} + {growth:.1f} MiB; {lines}"
    )
    assert all(opens[kind.__name__] >= AT_ONCE // len(KINDS) for kind in KINDS)
    assert resumed_before == 1
    assert still < SILENCE_HEARTBEATS * HEARTBEAT + late
    assert silence < (SILENCE_HEARTBEATS + LATE_HEARTBEATS) * HEARTBEAT + later
    assert re.fullmatch("producer-[01]", resumed[-1]["producer"])
    assert worker.out == stream().lines(0, worker.out.count(b"\n"))
    assert growth < MOST_GROWTH_MIB
    assert max(count for event, count in lines.items() if event != "link.resumed") <= 3 * LINES_A_MINUTE
