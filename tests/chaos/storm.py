"""Storm: producers, workers and proxies under their plans of faults; at the end every store is held against the seed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.census import take_census
from tests.chaos.ledger import Ledger
from tests.chaos.plan import (
    CORRUPTIONS,
    CUTS,
    PRODUCER_WEIGHTS,
    WORKER_WEIGHTS,
    Fault,
    Kind,
    producer_plan,
    worker_plan,
)
from tests.chaos.process import HEARTBEAT, SEED, Event, Process, Stage, free_port
from tests.chaos.proxy import STRIKES, FaultProxy

GRACE: Final = "2"


@dataclass(frozen=True, slots=True)
class Crew:
    """Producers of one distribution and rate, and the workers they stream to."""

    name: str
    numbers: str
    rate: str
    workers: tuple[str, ...]
    segment_bytes: int
    retain_bytes: int | None = None


CREWS: Final = (
    Crew("integers", "integers:1:100", "5000", ("worker-0", "worker-1"), segment_bytes=16384),
    Crew("normal", "normal:0.0:1.0", "300", ("worker-2",), segment_bytes=4096),
    Crew("bits", "bits64", "max", ("worker-3",), segment_bytes=2**20, retain_bytes=2**25),
)
"""Segments that roll all the time; and one stream as fast as the proxy lets it, of which the newest is kept."""


@dataclass(slots=True)
class Seat:
    """A worker, its store, and the way to it."""

    worker: str
    crew: Crew
    process: Process
    proxy: FaultProxy
    waits: list[int] = field(default_factory=list)
    """How many heartbeats the stream took to move again, after each fault."""


@dataclass(frozen=True, slots=True)
class Storm:
    """One run. `mutant_of` is "worker" or "producer": these are then processes of `mutant`, which is broken."""

    seed: str
    seconds: float
    folder: Path
    ledger: Ledger
    crews: tuple[Crew, ...] = CREWS
    worker_weights: dict[Kind, int] = field(default_factory=lambda: WORKER_WEIGHTS)
    producer_weights: dict[Kind, int] = field(default_factory=lambda: PRODUCER_WEIGHTS)
    kills_an_inspection: int = 8
    """After one in so many kills of a worker its store is read as the kill left it."""
    mutant: str | None = None
    mutant_of: str = ""

    async def run(self) -> None:
        """Run for `seconds`, or until something is found. What is wrong is in the ledger's findings."""
        seats: list[Seat] = []
        async with contextlib.AsyncExitStack() as stack:
            stage = await stack.enter_async_context(Stage(self.ledger).open())
            for crew in self.crews:
                for worker in crew.workers:
                    seats.append(await self._seat(stage, stack, crew, worker))
            hands = [WorkerHand(self, stage, seat) for seat in seats]
            crew_hands = [
                ProducerHand(self, stage, crew, [seat for seat in seats if seat.crew is crew]) for crew in self.crews
            ]
            await _all(*(hand.prepare() for hand in hands))
            await _all(*(hand.prepare() for hand in crew_hands))
            end = asyncio.get_running_loop().time() + self.seconds

            def is_over() -> bool:
                return bool(self.ledger.findings) or asyncio.get_running_loop().time() >= end

            await _all(*(hand.work(is_over) for hand in [*hands, *crew_hands]))
            if not self.ledger.findings:
                await _all(*(hand.wait_recovered("the storm") for hand in hands))
            await _all(*(hand.leave() for hand in crew_hands))
            await _all(*(hand.leave() for hand in hands))
        for seat in seats:
            await self.inspect(seat)
            self.ledger.counts["heartbeats, longest recovery"] = max(
                [self.ledger.counts["heartbeats, longest recovery"], *seat.waits]
            )

    async def inspect(self, seat: Seat) -> None:
        """Hold a store that nobody writes now against the seed, and against all that was promised."""
        store, crew = self.folder / seat.worker, seat.crew
        end, source = self.ledger.promised(seat.worker)
        if not end and not any(store.glob("*/*.numbers")):
            return
        census = await asyncio.to_thread(take_census, store, seat.worker, crew.numbers, SEED)
        self.ledger.note("census", worker=seat.worker, first=census.first, end=census.end, promised=end)
        self.ledger.counts[f"numbers, {seat.worker}"] = census.end
        if census.problem is not None:
            self.ledger.find(f"damaged: {seat.worker}: {census.problem}")
        if census.end < end:
            self.ledger.find(f"lost: {seat.worker} stores {census.end} numbers, and {source} promised {end}")

    async def _seat(self, stage: Stage, stack: contextlib.AsyncExitStack, crew: Crew, worker: str) -> Seat:
        port = free_port()
        arguments = [
            "worker", "--name", worker, "--listen", f"127.0.0.1:{port}", "--store", str(self.folder / worker),
            "--segment-bytes", str(crew.segment_bytes), "--grace", GRACE,
        ]  # fmt: skip
        if crew.retain_bytes is not None:
            arguments += ["--retain-bytes", str(crew.retain_bytes)]
        mutant = self.mutant if self.mutant_of == "worker" else None
        process = stage.process(worker, *arguments, mutant=mutant, on_event=self._hear_worker)
        proxy = FaultProxy(worker, port, self.ledger, heartbeat=HEARTBEAT)
        await stack.enter_async_context(proxy.running())
        return Seat(worker, crew, process, proxy)

    def _hear_worker(self, event: Event) -> None:
        self._hear(event)
        if event["event"] == "link.closed" and event.get("reason") == "takeover":
            self.ledger.counts["takeovers"] += 1

    def _hear(self, event: Event) -> None:
        if event.get("level") == "error":
            self.ledger.find(f"logged: {event}")

    def hear_producer(self, targets: dict[str, str]) -> Callable[[Event], None]:
        """By target, not by name: a corrupted `#hello` gives a link another worker's name for a while."""

        def hear(event: Event) -> None:
            self._hear(event)
            if event["event"] in ("link.resumed", "link.lost", "link.closed") and event.get("target") in targets:
                self.ledger.claim(targets[event["target"]], event, "a producer")

        return hear


class Hand:
    """Does one plan, fault by fault, and sees that the streams it touches move again after each."""

    def __init__(self, storm: Storm, stage: Stage, seats: list[Seat], plan: Iterator[Fault]) -> None:
        self.storm = storm
        self.ledger = storm.ledger
        self.stage = stage
        self.seats = seats
        self._plan = plan

    async def work(self, is_over: Callable[[], bool]) -> None:
        """Do the plan until `is_over`."""
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

    async def inflict(self, fault: Fault) -> None:
        raise NotImplementedError

    async def freeze(self, process: Process, fault: Fault) -> None:
        """SIGSTOP, and SIGCONT when the time has come."""
        process.send_signal(signal.SIGSTOP)
        self.ledger.count(fault.kind, process=process.name)
        try:
            await asyncio.sleep(fault.lasts * HEARTBEAT)
        finally:
            process.send_signal(signal.SIGCONT)


class WorkerHand(Hand):
    """Faults of one worker and its network."""

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


class ProducerHand(Hand):
    """Faults of one crew's producers. One of them streams; the next one is named otherwise."""

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
        """A second producer takes the streams over; both live for a while, then one of them ends."""
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


def describe(ledger: Ledger, seconds: float) -> str:
    """The account of a run, for people."""
    counts = ledger.counts
    kills = sum(counts[kind] for kind in (Kind.KILL_WORKER, Kind.KILL_PRODUCER))
    cuts = sum(counts[kind] for kind in CUTS)
    corruptions = sum(counts[kind] for kind in CORRUPTIONS)
    numbers = sum(count for what, count in counts.items() if what.startswith("numbers, "))
    lost = sum(finding.startswith("lost") for finding in ledger.findings)
    lines = [f"  {what:<32}{count:>12,}" for what, count in sorted(counts.items())]
    verdict = (
        f"{numbers:,} numbers stored; every one is where the seed puts it: 0 lost, 0 repeated, 0 out of order, 0 changed"
        if not ledger.findings
        else f"NOT EXACT: {len(ledger.findings)} findings, {lost} of them losses; the journal: {ledger.path}"
    )
    return "\n".join(
        [
            f"{seconds:.0f} s: {kills + cuts} kills and cuts ({kills} kills, {cuts} cuts), {corruptions} corruptions",
            *lines,
            verdict,
            *ledger.findings[:10],
        ]
    )


async def _all(*works: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)

