"""Hands: each carries out one plan, and checks after every fault that its streams move again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

from tests.chaos.crew import GRACE, Crew, Seat
from tests.chaos.harm import STRIKES
from tests.chaos.plan import Fault, Kind, producer_plan, worker_plan
from tests.chaos.process import HEARTBEAT, SEED, Process, Stage

if TYPE_CHECKING:
    from tests.chaos.storm import Storm


class Hand(ABC):
    """Carries out one plan, and checks after every fault that its streams move again."""

    def __init__(self, storm: Storm, stage: Stage, seats: list[Seat], plan: Iterator[Fault]) -> None:
        self.storm = storm
        self.ledger = storm.ledger
        self.stage = stage
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
            self.ledger.note(f"fault: {fault.kind}", to=",".join(seat.worker for seat in self.seats), fault=fault)
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

    @abstractmethod
    async def inflict(self, fault: Fault) -> None:
        """Cause the fault, count it, and end it if it lasts."""

    async def freeze(self, process: Process, fault: Fault) -> None:
        """SIGSTOP, and SIGCONT after `fault.lasts`."""
        process.send_signal(signal.SIGSTOP)
        self.ledger.count(fault.kind, process=process.name)
        try:
            await asyncio.sleep(fault.lasts * HEARTBEAT)
        finally:
            process.send_signal(signal.SIGCONT)


class WorkerHand(Hand):
    """Faults of one worker and of its network."""

    def __init__(self, storm: Storm, stage: Stage, seat: Seat) -> None:
        super().__init__(storm, stage, [seat], worker_plan(storm.seed, seat.worker, storm.worker_weights))
        self._seat = seat
        self._proxy = seat.proxy
        self._kills = 0

    async def prepare(self) -> None:
        await self._seat.process.start("worker.listening")

    async def leave(self) -> None:
        await self._seat.process.end(signal.SIGTERM)

    async def inflict(self, fault: Fault) -> None:
        process, proxy = self._seat.process, self._proxy
        match fault.kind:
            case kind if kind in STRIKES:
                await self._strike(fault)
            case Kind.RESET:
                if proxy.reset():
                    self.ledger.count(fault.kind, worker=self._seat.worker)
            case Kind.BLACKHOLE:
                if proxy.shut():
                    self.ledger.count(fault.kind, worker=self._seat.worker)
                    await asyncio.sleep(fault.lasts * HEARTBEAT)
                    proxy.unshut(reset=fault.seed % 2 == 0)
            case Kind.DELAY | Kind.SLICES | Kind.THROTTLE:
                self.ledger.count(fault.kind, worker=self._seat.worker)
                async with self._mood(fault):
                    await asyncio.sleep(fault.lasts * HEARTBEAT)
            case Kind.KILL_WORKER:
                await process.end(signal.SIGKILL)
                self.ledger.count(fault.kind, worker=self._seat.worker)
                self._kills += 1
                if self._kills % self.storm.kills_an_inspection == 0 and self._seat.crew.retain_bytes is None:
                    await self.storm.inspect(self._seat)
                await asyncio.sleep(fault.lasts * HEARTBEAT / 4)
                await process.start("worker.listening")
            case Kind.ROLL_WORKER:
                await process.end(signal.SIGTERM)
                self.ledger.count(fault.kind, worker=self._seat.worker)
                await process.start("worker.listening")
            case Kind.STOP_WORKER:
                await self.freeze(process, fault)
            case _:
                raise AssertionError(f"{fault.kind} is none of a worker's")

    async def _strike(self, fault: Fault) -> None:
        harm = self._proxy.arm(fault)
        await self.stage.metronome.wait_until(lambda: harm.struck.is_set() or bool(self.ledger.findings), patience=40)
        if harm.struck.is_set():
            self.ledger.count(fault.kind, worker=self._seat.worker)
        else:
            self._proxy.disarm(harm)

    @contextlib.asynccontextmanager
    async def _mood(self, fault: Fault) -> AsyncIterator[None]:
        mood = self._proxy.mood
        match fault.kind:
            case Kind.DELAY:
                mood.delay = HEARTBEAT * (fault.seed % 100) / 100
            case Kind.SLICES:
                mood.is_sliced = True
            case Kind.THROTTLE:
                mood.is_throttled = True
                self._proxy.tighten()
        try:
            yield
        finally:
            mood.delay, mood.is_sliced, mood.is_throttled = 0.0, False, False
            self._proxy.loosen()


class ProducerHand(Hand):
    """Faults of one crew's producers. There are two, of different names, and usually one of them streams."""

    def __init__(self, storm: Storm, stage: Stage, crew: Crew, seats: list[Seat]) -> None:
        super().__init__(storm, stage, seats, producer_plan(storm.seed, crew.name, storm.producer_weights))
        self._crew = crew
        self._pair = [self._make(f"{crew.name}-{side}") for side in ("a", "b")]

    async def prepare(self) -> None:
        await self._pair[0].start("producer.started")

    async def leave(self) -> None:
        for process in self._pair:
            if process.is_running:
                await process.end(signal.SIGTERM)

    async def inflict(self, fault: Fault) -> None:
        producer = self._pair[0]
        match fault.kind:
            case Kind.KILL_PRODUCER:
                await producer.end(signal.SIGKILL)
                self.ledger.count(fault.kind, producer=producer.name)
                await asyncio.sleep(fault.lasts * HEARTBEAT / 4)
                await producer.start("producer.started")
            case Kind.ROLL_PRODUCER:
                await producer.end(signal.SIGTERM)
                self.ledger.count(fault.kind, producer=producer.name)
                await producer.start("producer.started")
            case Kind.STOP_PRODUCER:
                await self.freeze(producer, fault)
            case Kind.SUCCEED:
                await self._succeed(fault)
            case _:
                raise AssertionError(f"{fault.kind} is none of a producer's")

    async def _succeed(self, fault: Fault) -> None:
        """Start a second producer, which takes the streams over; let both live for a while, then end one."""
        older, newer = self._pair
        await newer.start("link.resumed")
        self.ledger.count(fault.kind, producer=newer.name)
        await asyncio.sleep(fault.lasts * HEARTBEAT)
        number = signal.SIGKILL if fault.seed % 2 else signal.SIGTERM
        newer_ends = fault.seed % 8 < 2  # rarer: the older one comes back only after 5 to 10 s
        leaving, staying = (newer, older) if newer_ends else (older, newer)
        await leaving.end(number)
        if number is signal.SIGKILL:
            self.ledger.count(Kind.KILL_PRODUCER, producer=leaving.name)
        self._pair = [staying, leaving]

    def _make(self, name: str) -> Process:
        targets = {f"127.0.0.1:{seat.proxy.port}": seat.worker for seat in self.seats}
        mutant = self.storm.mutant if self.storm.mutant_of == "producer" else None
        return self.stage.process(
            name, "producer", "--name", name, "--workers", ",".join(targets), "--seed", SEED, "--rate", self._crew.rate,
            "--numbers", self._crew.numbers, "--heartbeat", str(HEARTBEAT), "--grace", GRACE,
            mutant=mutant, on_event=self.storm.hear_producer(targets),
        )  # fmt: skip
