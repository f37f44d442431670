"""Promises: what must hold at every moment of a run, and at its end. A broken one raises `Broken`.

Nothing here trusts the code under test to judge itself: the files are read as lines and compared with the stream.
"""

from __future__ import annotations

import re
from typing import Final

from tests.simulation.burial import Outside
from tests.simulation.cluster import GRACE_SECONDS, NUMBERS, SEED, Cluster
from tests.simulation.machines import STORE, WorkerMachine

from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import crc32c
from randstream.protocol.states import State

MOST_BUFFERED_BYTES: Final = 4 * 2**20
"""In all kernels and transports together: the streams are slow, so that nothing may pile up."""
MOST_TASKS: Final = 200
"""Of one process."""
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
        """The longest time that each stream stood still while all that it needs worked."""
        self._read_lives: dict[str, int] = {}

    def check(self) -> None:
        """All that must hold while the cluster runs."""
        self._check_processes()
        for worker in self._cluster.workers:
            self._check_acks(worker)
            self._check_one_session(worker)
            self._check_silence(worker)
        if (buffered := self._cluster.network.buffered()) > MOST_BUFFERED_BYTES:
            self._break(f"{buffered} bytes wait in buffers")

    def check_end(self) -> None:
        """All that must hold when every process has ended gracefully."""
        self._check_processes()
        for worker in self._cluster.workers:
            self._check_store(worker)

    def _check_processes(self) -> None:
        if self._world.bugs:
            self._break("\n".join(f"{bug.process}: {bug.text}" for bug in self._world.bugs))
        for machine in self._cluster.machines:
            for process in [process for process in machine.endings if not process.alive]:
                machine.endings.remove(process)
                if process.left:
                    self._break(f"{process.name} left behind: {process.left}")

    def _check_acks(self, worker: WorkerMachine) -> None:
        name, stream = worker.name, self._streams[worker.name]
        if worker.broken_promises:
            self._break("\n".join(worker.broken_promises))
        if stream.id in worker.promised:
            self.acked[name], self.moved_at[name] = worker.promised[stream.id]
        if worker.is_streaming and self._read_lives.get(name) != worker.lives:
            self._read_lives[name] = worker.lives
            self._check_store(worker)
        for producer in self._cluster.producers:
            links = producer.producer.links if producer.producer is not None else []
            for link in links:
                if link.worker == name and link.acked_offset > self.acked[name] and not worker.is_misquoted:
                    self._break(f"{producer.name} heard {link.acked_offset} acknowledged of {name}: never said")

    def _check_one_session(self, worker: WorkerMachine) -> None:
        if worker.worker is None or not worker.is_running:
            return
        present = worker.worker.admission.present
        speaking = [each for each in present if each.receiver.state in (State.RESUMING, State.PROVING, State.STREAMING)]  # type: ignore[attr-defined]
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

    def _check_store(self, worker: WorkerMachine) -> None:
        """The files are a byte-exact part of the stream, without a gap, and hold all that was acknowledged."""
        stream = self._streams[worker.name]
        files = worker.disk.contents(STORE / f"{worker.name}-{stream.id}")
        following: int | None = None
        for name, content in sorted(files.items()):
            if not name.endswith(".numbers"):
                continue
            first = int(name.removesuffix(".numbers"))
            if following not in (None, first):
                self._break(f"{worker.name}: {name} follows a segment that ends at {following}")
            following = self._check_segment(worker.name, stream, first, content)
        if (following or 0) < self.acked[worker.name]:
            self._break(
                f"{worker.name} acknowledged {self.acked[worker.name]} numbers, and its files end at {following}"
            )

    def _check_segment(self, worker: str, stream: NumberStream, first: int, content: bytes) -> int:
        position = content.index(b"\n") + 1
        offset = first
        for beat in _BEAT.finditer(content, position):
            lines, end = content[position : beat.start()], int(beat[1])
            if lines != stream.lines(offset, end - offset) or crc32c(lines) != int(beat[2], 16):
                self._break(f"{worker}: numbers {offset} to {end} in the segment of {first} are not the stream's")
            position, offset = beat.end(), end
        return offset

    def _break(self, what: str) -> None:
        raise Broken(f"at {self._world.now:.3f} s: {what}")


def grace_of_all() -> float:
    """Seconds in which everything that was told to end has ended."""
    return GRACE_SECONDS + 5.0
