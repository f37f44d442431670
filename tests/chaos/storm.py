"""Storm: producers, workers and proxies under their plans of faults; at the end every store is held to the seed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.census import take_census
from tests.chaos.crew import CREWS, GRACE, Crew, Seat
from tests.chaos.hands import ProducerHand, WorkerHand
from tests.chaos.ledger import Ledger
from tests.chaos.plan import CORRUPTIONS, CUTS, KILLS, PRODUCER_WEIGHTS, WORKER_WEIGHTS, Kind
from tests.chaos.process import HEARTBEAT, SEED, Event, Stage
from tests.chaos.proxy import FaultProxy
from tests.support.ports import free_port


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
            self.ledger.counts["longest recovery, in heartbeats"] = max(
                [self.ledger.counts["longest recovery, in heartbeats"], *seat.waits]
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
        process = stage.process(worker, *arguments, mutant=mutant, on_event=self._hear)
        proxy = FaultProxy(worker, port, self.ledger, heartbeat=HEARTBEAT)
        await stack.enter_async_context(proxy.running())
        return Seat(worker, crew, process, proxy)

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


def describe(ledger: Ledger, seconds: float) -> str:
    """The account of a run, for people."""
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
            f"{seconds:.0f} s: {kills + cuts} kills and cuts ({kills} kills, {cuts} cuts), {corruptions} corruptions",
            *lines,
            f"  {'acks forged by a corrupted byte':<32}{ledger.forged:>12,}",
            verdict,
            *ledger.findings[:10],
        ]
    )


async def _all(*works: Coroutine[Any, Any, None]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
