"""Promises: what must hold at every moment of a run, and at its end. A broken one raises `Broken`.

Nothing here trusts the code under test to judge itself: the files are read as lines and compared with the stream.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Final

from tests.simulation.burial import Outside
from tests.simulation.cluster import GRACE_SECONDS, NUMBERS, SEED, Cluster
from tests.simulation.gaps import Gaps
from tests.simulation.machines import STORE, ProducerMachine, WorkerMachine
from tests.simulation.wire import Wire

from randstream.numbers.stream import NumberStream
from randstream.observe.status import LinkState
from randstream.producer.link import Link
from randstream.protocol.frames import crc32c
from randstream.protocol.states import State

MOST_BUFFERED_BYTES: Final = 4 * 2**20
"""In all kernels and transports together: the streams are slow, so nothing may pile up."""
MOST_TASKS: Final = 12
MOST_TIMERS: Final = 12
MOST_TRANSPORTS: Final = 8
MOST_A_MACHINE: Final = 2
"""Per process: a few, and more for each machine in the cluster. Some come and go with every fault."""
STEADY_SECONDS: Final = 8.0
"""How long after the last harm a moving stream has fully recovered."""
RESTART_OF_BACKOFF_SECONDS: Final = 0.6
"""A link that has proved itself dials again within 0.1 s; the rest is for names, handshakes and the disk."""
GOODBYE_SECONDS: Final = 0.5
"""The time within which an undisturbed producer has its last ack."""
FLOW_SECONDS: Final = 20.0
LINE_SECONDS: Final = 2.0
"""For round trips, a sink's open and the tick of a check, beside the heartbeats that the line may take."""
SEARCH_SECONDS: Final = 5.0
"""How often to make the expensive checks: files, and what each process holds."""
_BEAT: Final = re.compile(rb"#beat offset=(\d+) crc=([0-9a-f]{8}) t=\d+\n")


class Broken(AssertionError):
    """A promise was not kept."""


class Promises(Outside):
    """Watches a cluster. Call `check` once a second, `check_end` when all has been healed and stopped."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._world = cluster.world
        self._streams = {worker.name: NumberStream(SEED, worker.name, NUMBERS) for worker in cluster.workers}
        self.acked = dict.fromkeys(self._streams, 0)
        """The highest offset that each worker has acknowledged, in all its lives."""
        self.moved_at = dict.fromkeys(self._streams, self._world.now)
        """When that last grew."""
        self.silences = dict.fromkeys(self._streams, 0.0)
        """The longest time that each stream stood still while everything it needs worked."""
        self._strange_at = dict.fromkeys(self._streams, 0.0)
        """When each worker was last seen being served a stream that is not its own."""
        self.held_promises = 0
        """How often the line's promise applied: a bound below that of a single producer."""
        self._read_lives: dict[str, int] = {}
        self._read_segments: dict[str, dict[int, tuple[bytes, int]]] = {name: {} for name in self._streams}
        """The part of each segment that was right when last read, and the offset at its end: it is not read again."""
        self._flows = dict.fromkeys(self._streams, (0.0, 0))
        """Since when each stream flows undisturbed, and from which offset; 0.0: it does not."""
        self._flowed_at = dict.fromkeys(self._streams, 0.0)
        """When each was last seen to."""
        self._began_at = self._world.now
        self._searched_at = self._world.now
        self.wire = Wire(cluster)
        self.gaps = Gaps(cluster)

    def check(self) -> None:
        """Check everything that must hold while the cluster runs."""
        self._check_processes()
        self.wire.check()
        self._check_wire()
        if (wrong := self.gaps.check()) is not None:
            self._break(wrong)
        for worker in self._cluster.workers:
            self._check_acks(worker)
            self._check_one_session(worker)
            self._check_silence(worker)
            self._check_line(worker)
            self._check_flow(worker)
            self._check_restart_of_backoff(worker)
        if self._world.now - self._searched_at >= SEARCH_SECONDS:
            self._searched_at = self._world.now
            self._check_bounds()
            for worker in self._cluster.workers:
                self._check_store(worker)
        if (buffered := self._cluster.network.buffered()) > MOST_BUFFERED_BYTES:
            self._break(f"{buffered} bytes wait in buffers")

    def check_end(self) -> None:
        """Check everything that must hold when every process has ended gracefully."""
        self._check_processes()
        self._check_wire()
        for machine in self._cluster.machines:
            if machine.is_running and machine.process is not None:
                self._break(f"{machine.process.name} has not ended: {machine.process.leftovers()}")
        for worker in self._cluster.workers:
            self._check_store(worker)

    def check_goodbye(self) -> None:
        """Producers that were told to end while all was well have ended, with everything they sent acknowledged."""
        if len(self._cluster.producers) > 1 or not all(since for since, _ in self._flows.values()):
            return
        for worker in self._cluster.workers:
            for machine, link in self._links(worker):
                if machine.is_running or link.acked_offset != link.offset:
                    self._break(
                        f"{machine.name} was told to end: {worker.name} has acknowledged {link.acked_offset} of"
                        f" {link.offset}, and it runs: {machine.is_running}"
                    )

    def _check_processes(self) -> None:
        if self._world.bugs:
            self._break("\n".join(f"{bug.process}: {bug.text}" for bug in self._world.bugs))
        for machine in self._cluster.machines:
            for process in [process for process in machine.endings if not process.alive]:
                machine.endings.remove(process)
                if process.left:
                    self._break(f"{process.name} left behind: {process.left}")

    def _check_bounds(self) -> None:
        more = MOST_A_MACHINE * len(self._cluster.machines)
        timers = Counter(each[3]._loop for each in self._world.heap if each[2] is None and not each[3]._cancelled)
        for process in self._world.processes:
            loop = process.loop
            held = {
                "tasks": (sum(not task.done() for task in loop.tasks), MOST_TASKS),
                "timers": (timers[loop], MOST_TIMERS),
                "transports": (len(loop.transports), MOST_TRANSPORTS),
            }
            for what, (count, most) in held.items():
                if count > most + more:
                    self._break(f"{process.name} has {count} {what}: {process.leftovers()}")

    def _check_wire(self) -> None:
        if self.wire.broken:
            raise Broken("\n".join(self.wire.broken))

    def _check_acks(self, worker: WorkerMachine) -> None:
        name, stream = worker.name, self._streams[worker.name]
        if worker.broken_promises:
            self._break("\n".join(worker.broken_promises))
        if stream.id in worker.promised:
            self.acked[name], self.moved_at[name] = worker.promised[stream.id]
        if worker.is_streaming and self._read_lives.get(name) != worker.lives:
            self._read_lives[name] = worker.lives
            self._check_store(worker)
        for producer, link in self._links(worker):
            if link.acked_offset > self.acked[name] and not worker.is_misquoted:
                self._break(f"{producer.name} heard {link.acked_offset} acknowledged of {name}: never said")

    def _check_one_session(self, worker: WorkerMachine) -> None:
        if worker.worker is None or not worker.is_running:
            return
        present = worker.worker.admission.present
        speaking = [each for each in present if each.receiver.state in (State.PROVING, State.STREAMING)]  # type: ignore[attr-defined] # a Guest is a Session here
        if len(speaking) > 1:
            self._break(f"{worker.name} serves {len(speaking)} connections at once")

    def _check_silence(self, worker: WorkerMachine) -> None:
        since = max(self.moved_at[worker.name], self._cluster.harmed_until[worker.name])
        silence = self._world.now - since
        self.silences[worker.name] = max(silence, self.silences[worker.name])
        longest = self._cluster.plan.shape.longest_silence + 1 / self._cluster.plan.shape.rate
        if silence > longest:
            self._break(f"{worker.name} has been silent for {silence:.1f} s, and nothing is wrong")
        calm = self._world.now - self._cluster.harmed_until[worker.name]
        if calm > longest and worker.worker is not None and worker.worker.problem is not None:
            self._break(f"{worker.name} is not ready, and nothing is wrong: {worker.worker.problem}")

    def _check_line(self, worker: WorkerMachine) -> None:
        """line-promise: while one of several producers is healthy, harm to the others is only a brief silence."""
        cluster, shape, now = self._cluster, self._cluster.plan.shape, self._world.now
        if worker.worker is None or (serving := worker.worker.line.serving) is None:
            stream = None
        else:
            stream = serving.offered.stream
        if stream not in (None, self._streams[worker.name].id):  # no other was there when a stranger came
            self._strange_at[worker.name] = now
        window = 3 * shape.heartbeat * len(cluster.producers) + LINE_SECONDS
        is_spared = any(
            cluster.harmed(producer, worker) <= now - window - shape.longest_silence for producer in cluster.producers
        )
        if not is_spared or len(cluster.producers) == 1:
            return
        harmed = sum(cluster.harmed(producer, worker) > now - window for producer in cluster.producers)
        # The next to serve begins to count its rate then, and its next beat proves what it sends.
        longest = (3 * harmed + 2.25) * shape.heartbeat + 2 / shape.rate + LINE_SECONDS
        since = max(self.moved_at[worker.name], cluster.harmed(None, worker), self._strange_at[worker.name])
        if now - since > longest:
            self._break(f"{worker.name} has been silent for {now - since:.1f} s, and a producer has long been there")
        self.held_promises += 1

    def _check_flow(self, worker: WorkerMachine) -> None:
        """A stream never exceeds its rate; an undisturbed one keeps to it, and its processes report no problem."""
        name, rate, now = worker.name, self._cluster.plan.shape.rate, self._world.now
        acked, harmed_until = self.acked[name], self._cluster.harmed_until[name]
        if acked > rate * (now - self._began_at) + 1:
            self._break(f"{name} has got {acked} numbers in {now - self._began_at:.1f} s, at {rate} a second")
        if (
            len(self._cluster.producers) > 1
            or now < harmed_until + STEADY_SECONDS
            or self.moved_at[name] < harmed_until
        ):
            self._flows[name] = 0.0, 0
            return
        since, first = self._flows[name]
        self._flowed_at[name] = now
        if not since:
            self._flows[name] = now, acked
            return
        under_way = rate * (1.5 * self._cluster.plan.shape.heartbeat + 0.5) + 1
        if acked - first < rate * (now - since) - under_way:
            self._break(f"{name} got {acked - first} numbers in {now - since:.1f} s, at {rate} a second")
        if now - since > FLOW_SECONDS:
            self._flows[name] = now, acked
        self._check_health(worker)

    def _check_health(self, worker: WorkerMachine) -> None:
        assert worker.worker is not None
        for role in (worker.worker, *(machine.producer for machine in self._cluster.producers)):
            if role is not None and role.problem is not None:
                self._break(f"{role.name} is not ready, and nothing is wrong: {role.problem}")
        for machine, link in self._links(worker):
            if link.state is not LinkState.STREAMING:
                self._break(f"{machine.name} calls its link to {worker.name} {link.state}, and nothing is wrong")

    def _check_restart_of_backoff(self, worker: WorkerMachine) -> None:
        """A link that proved itself and is cut is back at once."""
        name, shape = worker.name, self._cluster.plan.shape
        at = self._cluster.reset_at[name]
        if self._world.now < at + RESTART_OF_BACKOFF_SECONDS + 1 / shape.rate + 1.25 * shape.heartbeat:
            return
        self._cluster.reset_at[name] = math.inf
        has_flowed = at - self._flowed_at[name] <= 1.0 and self._cluster.harmed_until[name] == at
        if has_flowed and self.moved_at[name] <= at:
            self._break(
                f"{name} was cut at {at:.3f} s, and its link is not there again: backoff-starts-over-at-progress"
            )

    def _links(self, worker: WorkerMachine) -> list[tuple[ProducerMachine, Link]]:
        return [
            (machine, link)
            for machine in self._cluster.producers
            if machine.producer is not None
            for link in machine.producer.links
            if link.worker == worker.name
        ]

    def _check_store(self, worker: WorkerMachine) -> None:
        """The files are a byte-exact part of the stream, without a gap, and hold all that was acknowledged."""
        stream = self._streams[worker.name]
        files = worker.disk.contents(STORE / f"{worker.name}-{stream.id}")
        following: int | None = None
        segments = {name: content for name, content in sorted(files.items()) if name.endswith(".numbers")}
        first_of_all = min((int(name.removesuffix(".numbers")) for name in segments), default=0)
        retain_bytes, kept_bytes = self._cluster.plan.shape.retain_bytes, sum(map(len, segments.values()))
        if first_of_all and (retain_bytes is None or kept_bytes < retain_bytes):
            self._break(f"{worker.name} keeps {kept_bytes} bytes from {first_of_all} on, and was told {retain_bytes}")
        known = self._read_segments[worker.name]
        read: dict[int, tuple[bytes, int]] = {}
        for name, content in segments.items():
            first = int(name.removesuffix(".numbers"))
            if following not in (None, first):
                self._break(f"{worker.name}: {name} follows a segment that ends at {following}")
            read[first] = self._check_segment(worker.name, stream, first, content, known.get(first))
            following = read[first][1]
        self._read_segments[worker.name] = read
        if (following or 0) < self.acked[worker.name]:
            self._break(
                f"{worker.name} acknowledged {self.acked[worker.name]} numbers, and its files end at {following}"
            )

    def _check_segment(
        self, worker: str, stream: NumberStream, first: int, content: bytes, known: tuple[bytes, int] | None
    ) -> tuple[bytes, int]:
        """The part of `content` that is right, and the offset at its end. `known` is what this returned before."""
        if known is not None and content.startswith(known[0]):
            position, offset = len(known[0]), known[1]
        else:
            position, offset = content.find(b"\n") + 1, first
            if not position:
                self._break(f"{worker}: the segment of {first} has no header: born-whole")
        for beat in _BEAT.finditer(content, position):
            lines, end = content[position : beat.start()], int(beat[1])
            if lines != stream.lines(offset, end - offset) or crc32c(lines) != int(beat[2], 16):
                self._break(f"{worker}: numbers {offset} to {end} in the segment of {first} are not the stream's")
            position, offset = beat.end(), end
        return content[:position], offset

    def _break(self, what: str) -> None:
        raise Broken(f"at {self._world.now:.3f} s: {what}")


def grace_of_all() -> float:
    """Seconds within which everything that was told to end has ended."""
    return GRACE_SECONDS + 5.0
