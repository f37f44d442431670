"""Hands: each carries out one plan, and checks after every fault that its streams move again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from tests.chaos.crew import Seat
from tests.chaos.harm import STRIKES
from tests.chaos.plan import Fault, Kind, producer_plan, worker_plan
from tests.chaos.process import HEARTBEAT, Process, Stage

if TYPE_CHECKING:
    from tests.chaos.storm import Storm

Ways = list[tuple[Seat, str]]
"""Connections: a worker's seat, and the producer at the other end."""


class Hand(ABC):
    """Carries out one plan, and checks after every fault that its streams move again."""

    def __init__(self, storm: Storm, stage: Stage, process: Process, seats: list[Seat], plan: Iterator[Fault]) -> None:
        self.storm = storm
        self.ledger = storm.ledger
        self.stage = stage
        self.process = process
        self.seats = seats
        self._plan = plan

    async def work(self, is_over: Callable[[], bool]) -> None:
        """Carry out the plan until `is_over`."""
        last = "the start"
        for fault in self._plan:
            if not fault.rushes and not is_over():
                await self.wait_recovered(last)
                await asyncio.sleep(fault.gap * HEARTBEAT)
            if is_over():
                return
            self.ledger.note(f"fault: {fault.kind}", to=self.process.name, fault=fault)
            await self.inflict(fault)
            last = fault.kind

    async def wait_recovered(self, fault: str) -> None:
        """Wait until every stream's offset moves again."""
        before = {seat.worker: self.ledger.acked[seat.worker] for seat in self.seats}
        for seat in self.seats:
            worker = seat.worker

            def moves(worker: str = worker) -> bool:
                return self.ledger.acked[worker] > before[worker] or bool(self.ledger.findings)

            heartbeats = await self.stage.metronome.wait_until(moves)
            if heartbeats is None:
                self.ledger.find(f"stuck: {worker} did not move again after {fault}")
            else:
                seat.waits.append(heartbeats)

    async def leave(self) -> None:
        """End the process."""
        await self.process.end(signal.SIGTERM)

    @abstractmethod
    async def inflict(self, fault: Fault) -> None:
        """Cause the fault, count it, and end it if it lasts."""

    def accuse(self, fault: Fault, ways: Ways) -> None:
        """If a stream stands still next, `fault` is why."""
        for seat, producer in ways:
            seat.accuse(fault.kind, producer)

    async def reset(self, fault: Fault, ways: Ways) -> None:
        """Reset all these connections at once."""
        self.accuse(fault, ways)
        if sum(seat.proxies[producer].reset() for seat, producer in ways):
            self.ledger.count(fault.kind, process=self.process.name)

    async def blackhole(self, fault: Fault, ways: Ways) -> None:
        """Carry nothing on these connections for `fault.lasts`, and usually on none made during that time."""
        self.accuse(fault, ways)
        proxies = [seat.proxies[producer] for seat, producer in ways]
        if sum(proxy.shut(for_all=fault.seed % 3 > 0) for proxy in proxies):
            self.ledger.count(fault.kind, process=self.process.name)
            await asyncio.sleep(fault.lasts * HEARTBEAT)
        for proxy in proxies:
            proxy.unshut(reset=fault.seed % 2 == 0)
        await self.acquit(fault, ways)

    async def freeze(self, fault: Fault, ways: Ways) -> None:
        """SIGSTOP, and SIGCONT after `fault.lasts`."""
        self.accuse(fault, ways)
        self.process.send_signal(signal.SIGSTOP)
        self.ledger.count(fault.kind, process=self.process.name)
        try:
            await asyncio.sleep(fault.lasts * HEARTBEAT)
        finally:
            self.process.send_signal(signal.SIGCONT)
        await self.acquit(fault, ways)

    async def acquit(self, fault: Fault, ways: Ways) -> None:
        """The fault is over: after a moment in which its effects are logged, it explains no silence any more."""
        await asyncio.sleep(HEARTBEAT / 2)
        for seat in {seat.worker: seat for seat, _ in ways}.values():
            seat.acquit(fault.kind)


class WorkerHand(Hand):
    """Faults of one worker and of its network."""

    def __init__(self, storm: Storm, stage: Stage, seat: Seat) -> None:
        plan = worker_plan(storm.seed, seat.worker, storm.worker_weights)
        super().__init__(storm, stage, seat.process, [seat], plan)
        self._seat = seat
        self._kills = 0

    async def prepare(self) -> None:
        await self.process.start("worker.listening")

    async def inflict(self, fault: Fault) -> None:
        process, line = self.process, [(self._seat, producer) for producer in self._seat.proxies]
        serving = [way for way in line if way[1] == self._seat.serving] or line[:1]
        ways = line if fault.hits_line else serving
        match fault.kind:
            case kind if kind in STRIKES:
                await self._strike(fault, serving)
            case Kind.RESET:
                await self.reset(fault, ways)
            case Kind.BLACKHOLE:
                await self.blackhole(fault, ways)
            case Kind.DELAY | Kind.SLICES | Kind.THROTTLE:
                self.accuse(fault, line)
                self.ledger.count(fault.kind, process=process.name)
                async with self._mood(fault):
                    await asyncio.sleep(fault.lasts * HEARTBEAT)
                await self.acquit(fault, line)
            case Kind.KILL_WORKER:
                await process.end(signal.SIGKILL)
                self.ledger.count(fault.kind, process=process.name)
                self._kills += 1
                is_whole = self._seat.worker not in self.storm.crew.retain_bytes
                if self._kills % self.storm.kills_an_inspection == 0 and is_whole:
                    await self.storm.inspect(self._seat)
                await asyncio.sleep(fault.lasts * HEARTBEAT / 4)
                await process.start("worker.listening")
            case Kind.ROLL_WORKER:
                await process.end(signal.SIGTERM)
                self.ledger.count(fault.kind, process=process.name)
                await process.start("worker.listening")
            case Kind.STOP_WORKER:
                await self.freeze(fault, line)
            case _:
                raise AssertionError(f"{fault.kind} is none of a worker's")

    async def _strike(self, fault: Fault, ways: Ways) -> None:
        ((seat, producer),) = ways
        if fault.hits_handshake:
            self.accuse(fault, ways)
        harm = seat.proxies[producer].arm(fault)
        for _ in range(40):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(harm.struck.wait(), HEARTBEAT)
            if harm.struck.is_set() or seat.serving != producer:
                break
        if harm.struck.is_set():
            if not fault.hits_handshake:
                self.accuse(fault, ways)
            self.ledger.count(fault.kind, process=self.process.name)
        else:
            seat.proxies[producer].disarm(harm)
        await self.acquit(fault, ways)

    @contextlib.asynccontextmanager
    async def _mood(self, fault: Fault) -> AsyncIterator[None]:
        proxies = self._seat.proxies.values()
        for proxy in proxies:
            match fault.kind:
                case Kind.DELAY:
                    proxy.mood.delay = HEARTBEAT * (fault.seed % 100) / 100
                case Kind.SLICES:
                    proxy.mood.is_sliced = True
                case Kind.THROTTLE:
                    proxy.mood.is_throttled = True
                    proxy.tighten()
        try:
            yield
        finally:
            for proxy in proxies:
                proxy.mood.delay, proxy.mood.is_sliced, proxy.mood.is_throttled = 0.0, False, False
                proxy.loosen()


class ProducerHand(Hand):
    """Faults of one producer and of its network."""

    def __init__(self, storm: Storm, stage: Stage, process: Process, seats: list[Seat]) -> None:
        plan = producer_plan(storm.seed, process.name, storm.producer_weights)
        super().__init__(storm, stage, process, seats, plan)

    async def prepare(self) -> None:
        await self.process.start("producer.started")

    async def inflict(self, fault: Fault) -> None:
        ways = [(seat, self.process.name) for seat in self.seats]
        match fault.kind:
            case Kind.RESET:
                await self.reset(fault, ways)
            case Kind.BLACKHOLE:
                await self.blackhole(fault, ways)
            case Kind.STOP_PRODUCER:
                await self.freeze(fault, ways)
            case Kind.KILL_PRODUCER:
                self.accuse(fault, ways)
                await self.process.end(signal.SIGKILL)
                self.ledger.count(fault.kind, process=self.process.name)
                await asyncio.sleep(fault.lasts * HEARTBEAT / 4)
                await self.process.start("producer.started")
            case Kind.ROLL_PRODUCER:
                self.accuse(fault, ways)
                await self.process.end(signal.SIGTERM)
                self.ledger.count(fault.kind, process=self.process.name)
                await self.process.start("producer.started")
            case _:
                raise AssertionError(f"{fault.kind} is none of a producer's")
