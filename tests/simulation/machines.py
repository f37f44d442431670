"""Machines of a simulated cluster: a worker with its disk, a producer, and the names that producers look up.

The roles are the real ones. The clock, chance, DNS and the file layer are passed in; the loop is the world's.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.simulation.burial import Outside
from tests.simulation.network import Host
from tests.simulation.world import Pace, Process, World
from tests.store.disk import Dead, Disk, Folder
from tests.store.disk import Names as NamesOnDisk

from randstream.clock import Clock
from randstream.observe.status import LinkState
from randstream.producer import Producer
from randstream.producer.dns import Dns
from randstream.protocol.frames import Lines, Open
from randstream.protocol.states import State
from randstream.settings import ProducerSettings, WorkerSettings
from randstream.store import DurableSink
from randstream.worker import Worker

STORE: Final = Path("/data/store")
PORT: Final = 9000
STARTED_IN_1970: Final = 1.7e9


class WorldClock(Clock, Outside):
    """The world's time. The time of day may step, and that must disturb nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.day = STARTED_IN_1970

    def now(self) -> float:
        return self._world.now

    def wall_time(self) -> float:
        return self.day + self._world.now


class Names(Dns, Outside):
    """A name server that answers from `addresses`, late, or not at all while `trouble` says so."""

    def __init__(self, world: World, random: Random) -> None:
        super().__init__()
        self.addresses: dict[str, list[str]] = {}
        self.trouble = ""
        """`fails`: there is no answer; `hangs`: it takes ten seconds."""
        self._world = world
        self._random = random

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()
        delay = 10.0 if self.trouble == "hangs" else self._random.uniform(0.0, 0.02)
        self._world.after(delay, loop.call_soon, self._answer, answer, host)
        return answer

    def _answer(self, answer: asyncio.Future[list[str]], host: str) -> None:
        if answer.done():
            return
        found = self.addresses.get(host)
        if self.trouble == "fails" or not found:
            answer.set_exception(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
        else:
            answer.set_result(list(found))


class KilledByDisk(Disk, Outside):
    """A disk that kills the process in the middle of a commit, at a given call."""

    def __init__(self, random: Random, kill: Callable[[], None]) -> None:
        super().__init__(random)
        self._kill = kill

    def images(self, folder: Path) -> tuple[NamesOnDisk, NamesOnDisk]:
        """The files of `folder` that a power loss would leave now, if no unsynced name survives, and if all do."""
        early = late = self._root
        for name in folder.parts[1:]:
            early, late = _subfolder(early.disk, name), _subfolder(late.cache, name)
        return early.disk, late.cache

    def trouble(self, name: str) -> BaseException | None:
        trouble = super().trouble(name)
        if isinstance(trouble, Dead):
            self.dies_at = 0
            self._kill()
        return trouble


def _subfolder(names: NamesOnDisk, name: str) -> Folder:
    found = names.get(name)
    return found if isinstance(found, Folder) else Folder()


class Machine(Outside):
    """A host with one process of a role on it, which can be started again and again."""

    def __init__(self, host: Host, clock: WorldClock, random: Random) -> None:
        self.host = host
        self.clock = clock
        self.random = random
        self.pace = Pace()
        self.process: Process | None = None
        self.is_frozen = False
        self.lives = 0
        self.steady_from = 0.0
        """From when on the process runs as a healthy one does, neither frozen nor late."""
        self.endings: list[Process] = []
        """Processes that were told to end, to be checked once they have."""
        self.told_at = 0.0
        """When the last of them was told."""

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.alive

    @property
    def name(self) -> str:
        raise NotImplementedError  # each kind of machine has its own

    def start(self) -> None:
        """Start the process, if none runs. The machine is switched on for it."""
        if self.is_running:
            return
        if not self.host.up:
            self.host.power_on()
        self.lives += 1
        self.is_frozen = False
        self.steady_from = max(self.steady_from, self.clock.now())
        self.process = self.host.start(f"{self.name}#{self.lives}", self._main, self.pace)

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.process.alive:
            self.process.kill()

    def stop(self) -> None:
        """SIGTERM: the graceful end begins."""
        if self.is_running and self.process is not None and not self.is_frozen:
            self.endings.append(self.process)
            self.told_at = self.clock.now()
            self.process.loop.call_soon(self._stop_role)

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.is_running and self.process is not None and not self.is_frozen:
            self.is_frozen = True
            self.process.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        if self.is_running and self.process is not None and self.is_frozen:
            self.is_frozen = False
            self.steady_from = max(self.steady_from, self.clock.now())
            loop = self.process.loop
            if self.random.random() < 0.5:  # as uvloop does: timers come before what arrived in that time
                loop.ready.extendleft(reversed(loop.late))
                loop.late.clear()
            self.process.thaw()

    def lose_power(self) -> None:
        """Everything that runs here is gone, and with it what was not synced."""
        self.host.power_off()

    async def _main(self) -> None:
        raise NotImplementedError  # each kind of machine has its own

    def _stop_role(self) -> None:
        raise NotImplementedError  # each kind of machine has its own


class WitnessedSink(DurableSink, Outside):
    """A durable sink that tells `witness` what it promises: the stream, and the offset below which it keeps all."""

    def __init__(
        self,
        worker: str,
        witness: Callable[[str, int], None],
        witness_numbers: Callable[[], None],
        witness_commit: Callable[[str, int], None],
        **more: Any,
    ) -> None:
        super().__init__(STORE, worker, **more)
        self._witness = witness
        self._witness_commit = witness_commit
        self._witness_numbers = witness_numbers
        self._stream_id = ""

    async def open(self, offered: Open) -> int:
        offset = await super().open(offered)
        self._stream_id = offered.stream
        self._witness(self._stream_id, offset)
        return offset

    def append(self, lines: Lines, count: int) -> None:
        self._witness_numbers()
        super().append(lines, count)

    async def commit(self) -> int:
        offset = await super().commit()
        self._witness(self._stream_id, offset)
        self._witness_commit(self._stream_id, offset)
        return offset


class WorkerMachine(Machine):
    """A durable worker and its disk. `promised`: the offsets that its sink has named, by stream, and when."""

    def __init__(
        self, host: Host, clock: WorldClock, random: Random, settings: WorkerSettings, limits: dict[str, Any]
    ) -> None:
        super().__init__(host, clock, random)
        self.settings = settings
        self.disk = KilledByDisk(random, self.kill)
        self.worker: Worker | None = None
        self.promised: dict[str, tuple[int, float]] = {}
        self.committed: dict[str, int] = {}
        """Up to where its process has committed each stream."""
        self.moved_at: list[float] = []
        """When a commit, in any of its lives, last advanced a stream."""
        self.broken_promises: list[str] = []
        self.is_misquoted = False
        """Whether a byte it sent was damaged on the way: acks have no checksum, so a producer may see a wrong one."""
        self._limits = limits

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def is_streaming(self) -> bool:
        """Whether numbers flow in."""
        return self.is_running and self.worker is not None and self.worker.intake.state is LinkState.STREAMING

    def lose_power(self) -> None:
        super().lose_power()
        self.disk.dies_at = 0
        self.disk.lose_power()

    async def _main(self) -> None:
        sink = WitnessedSink(
            self.name,
            self._hear,
            self._hear_numbers,
            self._hear_commit,
            clock=self.clock,
            files=self.disk,
            **self._limits,
        )
        self.worker = Worker(self.settings, sink, clock=self.clock, random=self.random)
        self.committed.clear()
        await self.worker.run()

    def _stop_role(self) -> None:
        assert self.worker is not None
        self.worker.stop()

    def _hear_numbers(self) -> None:
        """Numbers go to the sink, from the connection that has it and knows where they begin."""
        live: Any = None if self.worker is None else self.worker.line.serving
        if live is None or live.receiver.state not in (State.STREAMING, State.CLOSED):  # or closes after them
            self.broken_promises.append(f"{self.name} took numbers from a connection that was over")

    def _hear_commit(self, stream: str, offset: int) -> None:
        if offset > self.committed.get(stream, 0):
            self.committed[stream] = offset
            self.moved_at.append(self.clock.now())

    def _hear(self, stream: str, offset: int) -> None:
        before, _ = self.promised.get(stream, (0, 0.0))
        if offset > before:
            self.promised[stream] = offset, self.clock.now()
        elif offset < before:
            self.broken_promises.append(f"{self.name} kept {before} numbers of {stream}, and now {offset}")


class ProducerMachine(Machine):
    """A producer and its own view of DNS."""

    def __init__(self, host: Host, clock: WorldClock, random: Random, settings: ProducerSettings, names: Names) -> None:
        super().__init__(host, clock, random)
        self.settings = settings
        self.names = names
        self.producer: Producer | None = None

    @property
    def name(self) -> str:
        return self.settings.name

    async def _main(self) -> None:
        self.producer = Producer(self.settings, clock=self.clock, random=self.random, dns=self.names)
        await self.producer.run()

    def _stop_role(self) -> None:
        assert self.producer is not None
        self.producer.stop()
