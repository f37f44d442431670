"""Clock jumps and late timers, in the pure core: no loop, no process, thousands of steps in a second.

`tests/protocol` tests each rule of liveness alone, with both ends served at every step of time. Here one end sleeps
while the other is served, and time leaps by hours.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

import pytest
from tests.protocol.network import RevocableSink, World, number_lines

from randstream.protocol.end import End
from randstream.protocol.events import Event
from randstream.protocol.states import State

pytestmark = pytest.mark.usefixtures("unmeasured")

STEPS: Final = 400
JUMPS: Final = (0.0, 0.01, 0.3, 1.0, 2.9, 3.1, 3.6, 10.0, 3600.0, 30 * 86400.0)
"""How far the clock leaps, in heartbeats: not at all, less than a beat, about the deadline, hours, a month."""


class Sleeper:
    """Serves the timers of both ends, except while one sleeps, as a frozen process or a throttled pod does."""

    def __init__(self, random: Random, heartbeat: float) -> None:
        self.random = random
        self.world = World(RevocableSink(), heartbeat)
        self.seen: Counter[str] = Counter()

    def leap(self) -> None:
        """Let time pass without serving anybody: every timer that becomes due is late."""
        self.world.now += self.random.choice(JUMPS) * self.world.producer.heartbeat

    def serve(self, *, producer: bool, worker: bool) -> None:
        wire = self.world.wires[-1]
        if producer:
            wire.producer.handle(wire.sender, self._serve(wire.sender), self.world.now)
        if worker:
            self.world.worker.handle(wire.receiver, self._serve(wire.receiver), self.world.now)

    def _serve(self, end: End) -> list[Event]:
        late = self.world.now - end.silence_deadline
        was_live = end.state is not State.CLOSED
        events = end.handle_timer(self.world.now)
        if was_live and end.state is State.CLOSED:
            self.seen["ended"] += 1
            assert 0 <= late <= end.heartbeat / 2, f"ended by a timer that is {late} s late"
        elif was_live and late >= 0:
            self.seen["survived"] += 1
            assert late > end.heartbeat / 2, f"survived a timer that is only {late} s late"
        assert end.deadline > self.world.now
        return events


@pytest.mark.parametrize("heartbeat", [0.05, 1.0, 60.0])
@pytest.mark.parametrize("seed", range(4))
def test_stream_stays_exact_whichever_end_sleeps_and_however_far_the_clock_leaps(seed: int, heartbeat: float) -> None:
    random = Random(seed)
    sleeper = Sleeper(random, heartbeat)
    world = sleeper.world
    world.dial()
    for _ in range(STEPS):
        step = random.random()
        if step < 0.3:
            sleeper.leap()
        elif step < 0.7:
            sleeper.serve(producer=random.random() < 0.5, worker=random.random() < 0.5)
        else:
            wire = world.wires[-1]
            world.deliver_to_worker(wire, random.choice([1, 30, 2**20]))
            world.deliver_to_producer(wire, random.choice([1, 30, 2**20]))
        world.send(random.randrange(20))
        if random.random() < 0.2:
            world.sink.begin_commit()
            world.worker.end_commit(world.now)
        if world.wires[-1].sender.state is State.CLOSED or world.wires[-1].receiver.state is State.CLOSED:
            world.dial()
        assert world.sink.stored == number_lines(0, world.sink.offset)
    assert world.sink.offset > 0
    assert sleeper.seen["survived"] > 5
