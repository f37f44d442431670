"""Storm: producers, workers and proxies under plans of faults. At the end every store is compared with the seed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.census import take_census
from tests.chaos.crew import CREW, GRACE, Crew, Seat, Silences
from tests.chaos.hands import Hand, ProducerHand, WorkerHand
from tests.chaos.ledger import Ledger
from tests.chaos.plan import CORRUPTIONS, CUTS, KILLS, PRODUCER_WEIGHTS, WORKER_WEIGHTS, Kind
from tests.chaos.process import HEARTBEAT, SEED, Event, Process, Stage
from tests.chaos.proxy import LOOPBACK, FaultProxy
from tests.support.ports import free_port

from randstream.protocol.rank import rank

HOMECOMING: Final = 1000
"""Heartbeats: ten times SETTLE, which may have doubled."""


@dataclass(frozen=True, slots=True)
class Storm:
    """One run. With a `mutant`, all processes of the role `mutant_of` ("worker" or "producer") run it."""

    seed: str
    seconds: float
    folder: Path
    ledger: Ledger
    crew: Crew = CREW
    worker_weights: dict[Kind, int] = field(default_factory=lambda: WORKER_WEIGHTS)
    producer_weights: dict[Kind, int] = field(default_factory=lambda: PRODUCER_WEIGHTS)
    kills_an_inspection: int = 8
    """After every so many kills of a worker, its store is checked as the kill left it."""
    mutant: str = "honest"
    mutant_of: str = ""
    silences: Silences = field(default_factory=Silences)

    async def run(self) -> None:
        """Run for `seconds`, or until there is a finding in the ledger."""
        ledger = self.ledger
        async with contextlib.AsyncExitStack() as stack:
            stage = await stack.enter_async_context(Stage(ledger).open())
            seats = [await self._seat(stage, stack, worker) for worker in self.crew.workers]
            workers = [WorkerHand(self, stage, seat) for seat in seats]
            producers = [
                ProducerHand(self, stage, self._producer(stage, name, seats), seats) for name in self.crew.producers
            ]
            hands: list[Hand] = [*producers, *workers]
            await _all(*(hand.prepare() for hand in workers))
            await _all(*(hand.prepare() for hand in producers))
            end = asyncio.get_running_loop().time() + self.seconds

            def is_over() -> bool:
                return bool(ledger.findings) or asyncio.get_running_loop().time() >= end

            await _all(*(hand.work(is_over) for hand in hands))
            if not ledger.findings:
                await _all(*(hand.wait_recovered("the storm") for hand in workers))
                await _all(*(self._come_home(stage, seat) for seat in seats))
            await _all(*(hand.leave() for hand in producers))
            await _all(*(hand.leave() for hand in workers))
        for seat in seats:
            await self.inspect(seat)
            ledger.counts["longest recovery, in heartbeats"] = max(
                [ledger.counts["longest recovery, in heartbeats"], *seat.waits]
            )

    async def inspect(self, seat: Seat) -> None:
        """Compare a store that nobody is writing with the seed, and with everything that was promised."""
        store = self.folder / seat.worker
        end, source = self.ledger.promised(seat.worker)
        if not end and not any(store.glob("*/*.numbers")):
            return
        census = await asyncio.to_thread(take_census, store, seat.worker, self.crew.numbers, SEED)
        self.ledger.note("census", worker=seat.worker, first=census.first, end=census.end, promised=end)
        self.ledger.counts[f"numbers, {seat.worker}"] = census.end
        if census.problem is not None:
            self.ledger.find(f"damaged: {seat.worker}: {census.problem}")
        if census.end < end:
            self.ledger.find(f"lost: {seat.worker} stores {census.end} numbers, and {source} promised {end}")

    async def _come_home(self, stage: Stage, seat: Seat) -> None:
        """Without faults, a stream that another serves is handed over to the producer that the worker ranks best."""
        home = max(self.crew.producers, key=lambda producer: rank(seat.worker, producer))
        if seat.serving == home:
            seat.accuse(Kind.RESET, home)
            seat.proxies[home].reset()
            await stage.metronome.wait_until(lambda: seat.serving not in (home, None))
        if await stage.metronome.wait_until(lambda: seat.serving == home, HOMECOMING) is None:
            self.ledger.find(f"astray: {seat.worker} is served by {seat.serving}, not by {home}, after the storm")

    async def _seat(self, stage: Stage, stack: contextlib.AsyncExitStack, worker: str) -> Seat:
        port, crew = free_port(), self.crew
        arguments = [
            "worker", "--name", worker, "--listen", f"{LOOPBACK}:{port}", "--store", str(self.folder / worker),
            "--segment-bytes", str(crew.segment_bytes), "--grace", GRACE,
        ]  # fmt: skip
        if worker in crew.retain_bytes:
            arguments += ["--retain-bytes", str(crew.retain_bytes[worker])]
        mutant = self.mutant if self.mutant_of == "worker" else "honest"

        def hear(event: Event) -> None:
            self._hear_worker(seat, event)

        process = stage.process(worker, *arguments, mutant=mutant, on_event=hear)
        proxies = {
            producer: await stack.enter_async_context(
                FaultProxy(worker, port, self.ledger, heartbeat=HEARTBEAT).running()
            )
            for producer in crew.producers
        }
        seat = Seat(worker, process, proxies, self.silences)
        return seat

    def _producer(self, stage: Stage, name: str, seats: list[Seat]) -> Process:
        targets = {f"{LOOPBACK}:{seat.proxies[name].port}": seat.worker for seat in seats}
        mutant = self.mutant if self.mutant_of == "producer" else "honest"
        return stage.process(
            name, "producer", "--name", name, "--workers", ",".join(targets), "--seed", SEED,
            "--rate", self.crew.producers[name], "--numbers", self.crew.numbers, "--heartbeat", str(HEARTBEAT),
            "--grace", GRACE, mutant=mutant, on_event=self._hear_producer(targets),
        )  # fmt: skip

    def _hear(self, event: Event) -> None:
        if event.get("level") == "error":
            self.ledger.find(f"logged: {event}")

    def _hear_worker(self, seat: Seat, event: Event) -> None:
        self._hear(event)
        seat.hear(event)
        if event["event"] == "link.resumed":
            self.ledger.counts[f"resumed after {event['after']}"] += 1

    def _hear_producer(self, targets: dict[str, str]) -> Callable[[Event], None]:
        """Goes by target, not by name: a corrupted `#hello` may give a link another worker's name for a while."""

        def hear(event: Event) -> None:
            self._hear(event)
            if event["event"] in ("link.resumed", "link.lost", "link.closed") and event.get("target") in targets:
                self.ledger.claim(targets[event["target"]], event, "a producer")

        return hear


def describe(storm: Storm) -> str:
    """A summary of a run, for people."""
    ledger = storm.ledger
    counts = ledger.counts
    kills = sum(counts[kind] for kind in KILLS)
    cuts = sum(counts[kind] for kind in CUTS)
    corruptions = sum(counts[kind] for kind in CORRUPTIONS)
    numbers = sum(count for what, count in counts.items() if what.startswith("numbers, "))
    lost = sum(finding.startswith("lost") for finding in ledger.findings)
    lines = [f"  {what:<32}{count:>12,}" for what, count in sorted(counts.items())]
    verdict = (
        f"{numbers:,} numbers stored, each where the seed puts it: 0 lost, 0 repeated, 0 out of order, 0 changed"
        if not ledger.findings
        else f"NOT EXACT: {len(ledger.findings)} findings, {lost} of them losses; the journal: {ledger.path}"
    )
    return "\n".join(
        [
            f"{storm.seconds:.0f} s: {kills + cuts} kills and cuts ({kills}, {cuts}), {corruptions} corruptions",
            *lines,
            f"  {'acks forged by a corrupted byte':<32}{ledger.forged:>12,}",
            *storm.silences.table(),
            verdict,
            *ledger.findings[:10],
        ]
    )


async def _all(*works: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
