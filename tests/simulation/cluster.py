"""Cluster: the machines of a plan in one world, and the code that does to them what the plan says."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Final

from tests.simulation.burial import Outside
from tests.simulation.machines import PORT, Machine, Names, ProducerMachine, WorkerMachine, WorldClock
from tests.simulation.network import Host, Network
from tests.simulation.plan import Fault, Plan
from tests.simulation.world import World

from randstream.settings import ProducerSettings, WorkerSettings

SEED: Final = "42"
OTHER_SEED: Final = "43"
NUMBERS: Final = "integers:1:100"
GRACE_SECONDS: Final = 2.0
RESTART_SECONDS: Final = 0.5
"""How soon a process that has died by itself is noticed and restarted."""
DISK_ERRORS: Final = (errno.EIO, errno.ENOSPC)
SYNCS: Final = ("fdatasync", "fsync", "sync_folder")


class Cluster(Outside):
    """Workers, producers and what is wrong with them now. After `harmed_until` each worker's stream must heal."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self.network = Network(world)
        self.faults: Counter[str] = Counter()
        self._random = Random(f"hands {plan.seed}")
        shape = plan.shape
        limits = {"segment_bytes": shape.segment_bytes, "retain_bytes": shape.retain_bytes}
        self.workers = [self._make_worker(number, limits) for number in range(shape.workers)]
        self.producers = [self._make_producer(number, f"producer-{number}", SEED) for number in range(shape.producers)]
        self.harmed_until = {machine.name: world.now for machine in self.workers}
        self.harms: dict[tuple[str | None, str | None], float] = {}
        """Until when each producer, each worker (None: any) and each pair of them is harmed."""
        self.reset_at = dict.fromkeys(self.harmed_until, 0.0)
        """When each worker's connections were last cut, and both ends knew: the least of harms."""
        self._held_down: dict[Machine, float] = {}
        self.strangers: list[ProducerMachine] = []

    @property
    def machines(self) -> list[Machine]:
        """All that belong to the cluster."""
        return [*self.workers, *self.producers]

    def start(self) -> None:
        """Switch everything on, and let the plan happen."""
        began = self.world.now
        for machine in self.machines:
            machine.start()
        for fault in self.plan.faults:
            self.world.at(began + fault.at, self._harm, fault)

    def supervise(self) -> None:
        """Start what is down, unless it is down on purpose. Call it often."""
        for machine in self.machines:
            if not machine.is_running and self._held_down.get(machine, 0.0) <= self.world.now:
                machine.start()

    def heal(self) -> None:
        """End all faults, except for what still runs."""
        for machine in self.machines:
            self._held_down.pop(machine, None)
            machine.thaw()
            machine.pace.timer_lateness = 0.0
        for stranger in self.strangers:
            stranger.kill()
        self.network.heal()
        self.supervise()

    # ---- building ----------------------------------------------------------------------------------------------------

    def _make_worker(self, number: int, limits: dict[str, Any]) -> WorkerMachine:
        host = self.network.host(f"10.0.0.{number + 1}")
        host.send_buffer = host.receive_buffer = self.plan.shape.buffer_bytes
        settings = WorkerSettings(name=f"worker-{number}", listen=f"0.0.0.0:{PORT}", grace_period=GRACE_SECONDS)
        return WorkerMachine(host, WorldClock(self.world), self._new_random(), settings, limits)

    def _make_producer(self, number: int, name: str, seed: str) -> ProducerMachine:
        host = self.network.host(f"10.0.1.{number + 1}")
        host.send_buffer = host.receive_buffer = self.plan.shape.buffer_bytes
        settings = ProducerSettings(
            name=name, workers=",".join(f"{worker.name}:{PORT}" for worker in self.workers), seed=seed,
            rate=self.plan.shape.rate, numbers=NUMBERS, heartbeat_interval=self.plan.shape.heartbeat,
            grace_period=GRACE_SECONDS,
        )  # fmt: skip
        names = Names(self.world, self._new_random())
        names.addresses = {worker.name: [worker.host.address] for worker in self.workers}
        return ProducerMachine(host, WorldClock(self.world), self._new_random(), settings, names)

    def _new_random(self) -> Random:
        return Random(self._random.getrandbits(64))

    # ---- faults ------------------------------------------------------------------------------------------------------

    def _harm(self, fault: Fault) -> None:
        worker = self.workers[fault.worker]
        producer = self.producers[fault.producer]
        self.world.note(str(fault), "fault")
        self.faults[fault.kind] += 1
        happens: dict[str, Callable[[], float]] = {
            "kill worker": lambda: self._take_down(worker, worker.kill, fault.seconds),
            "cut power": lambda: self._take_down(worker, worker.lose_power, fault.seconds),
            "stop worker": lambda: self._stop(worker, fault.seconds),
            "freeze worker": lambda: self._freeze(worker, fault.seconds),
            "delay worker": lambda: self._delay(worker, fault),
            "kill in a disk call": lambda: self._kill_in_a_disk_call(worker, fault),
            "fail disk": lambda: self._fail_disk(worker, fault),
            "slow disk": lambda: self._slow_disk(worker, fault),
            "kill producer": lambda: self._take_down(producer, producer.kill, fault.seconds),
            "cut producer's power": lambda: self._take_down(producer, producer.lose_power, fault.seconds),
            "stop producer": lambda: self._stop(producer, fault.seconds),
            "freeze producer": lambda: self._freeze(producer, fault.seconds),
            "delay producer": lambda: self._delay(producer, fault),
            "partition": lambda: self._block(producer, worker, fault, both=True),
            "block one way": lambda: self._block(producer, worker, fault, both=False),
            "reset": lambda: self._reset(producer, worker),
            "reset one side": lambda: self._reset(producer, worker, (worker, producer)[fault.number % 2].host),
            "reset inside a line": lambda: self._reset_inside(producer, worker, fault),
            "damage a byte": lambda: self._damage(producer, worker, fault),
            "slow link": lambda: self._slow_link(producer, worker, fault),
            "split and merge": lambda: self._split(producer, worker, fault),
            "dns fails": lambda: self._trouble_names(producer, "fails", fault.seconds),
            "dns hangs": lambda: self._trouble_names(producer, "hangs", fault.seconds),
            "dns is wrong": lambda: self._mislead(producer, worker, fault.seconds),
            "step the clock": lambda: self._step_clock(fault),
            "another seed": lambda: self._start_stranger(worker, fault.seconds),
            "rolling restart": lambda: self._roll(fault.seconds),
        }
        harmed_until = happens[fault.kind]()
        if fault.kind in _A_PRODUCERS:
            harmed: list[tuple[str | None, str | None]] = [(producer.name, None)]
        elif fault.kind in _A_PAIRS:
            harmed = [(producer.name, worker.name)]
        elif fault.kind == "another seed":
            harmed = []  # it waits behind all others; but there may be none
        else:
            harmed = [(None, each.name) for each in self.workers if fault.kind in _ALL_WORKERS or each is worker]
        for pair in harmed:
            self.harms[pair] = max(self.harms.get(pair, 0.0), harmed_until)
        for each in self.workers:
            if fault.kind == "another seed" or any(name in (None, each.name) for _, name in harmed):
                self.harmed_until[each.name] = max(self.harmed_until[each.name], harmed_until)

    def harmed(self, producer: ProducerMachine | None, worker: WorkerMachine) -> float:
        """Until when the way from `producer` to `worker` is harmed, or None: `worker` itself."""
        if producer is None:
            return self.harms.get((None, worker.name), 0.0)
        return max(self.harms.get((producer.name, name), 0.0) for name in (None, worker.name))

    def _take_down(self, machine: Machine, down: Callable[[], None], seconds: float) -> float:
        down()
        return self._hold_down(machine, seconds)

    def _hold_down(self, machine: Machine, seconds: float) -> float:
        until = max(self._held_down.get(machine, 0.0), self.world.now + seconds)
        self._held_down[machine] = until
        self.world.at(until, self.supervise)
        return until + RESTART_SECONDS

    def _stop(self, machine: Machine, seconds: float) -> float:
        machine.stop()
        return self._hold_down(machine, GRACE_SECONDS + seconds)

    def _freeze(self, machine: Machine, seconds: float) -> float:
        machine.freeze()
        self.world.after(seconds, machine.thaw)
        return self.world.now + seconds

    def _delay(self, machine: Machine, fault: Fault) -> float:
        machine.pace.timer_lateness = 2 * fault.severity
        machine.pace.late_until = self.world.now + fault.seconds
        self.world.after(fault.seconds, _set(machine.pace, "timer_lateness", 0.0))
        machine.steady_from = max(machine.steady_from, self.world.now + fault.seconds + 2.0)
        return self.world.now + fault.seconds + 2.0

    def _kill_in_a_disk_call(self, worker: WorkerMachine, fault: Fault) -> float:
        worker.disk.dies_at = worker.disk.calls + 1 + int(fault.severity * 30)
        self.world.after(fault.seconds + 5.0, _set(worker.disk, "dies_at", 0))
        return self.world.now + fault.seconds + 5.0 + RESTART_SECONDS

    def _fail_disk(self, worker: WorkerMachine, fault: Fault) -> float:
        random, likelihood = Random(f"disk {self.plan.seed} {fault.number}"), 0.02 + fault.severity
        names = SYNCS if fault.number % 2 else None

        def trouble(call: int, name: str) -> int | None:
            fails = (names is None or name in names) and random.random() < likelihood
            return random.choice(DISK_ERRORS) if fails else None

        worker.disk.fault = trouble
        self.world.after(fault.seconds, _set(worker.disk, "fault", lambda call, name: None))
        return self.world.now + fault.seconds + 2.0  # and the sink's own retry

    def _slow_disk(self, worker: WorkerMachine, fault: Fault) -> float:
        usual = type(worker.pace)().call_delay
        worker.pace.call_delay = (0.01, 3 * fault.severity)
        self.world.after(fault.seconds, _set(worker.pace, "call_delay", usual))
        return self.world.now + fault.seconds + 10.0  # what waits for the thread goes first

    def _block(self, producer: ProducerMachine, worker: WorkerMachine, fault: Fault, *, both: bool) -> float:
        ways = [(producer.host, worker.host), (worker.host, producer.host)]
        for way in ways if both else [ways[fault.number % 2]]:
            self.network.block(*way)
            self.world.after(fault.seconds, _set(self.network.link(*way), "blocked", False))
        return self.world.now + fault.seconds

    def _reset(self, producer: ProducerMachine, worker: WorkerMachine, *told: Host) -> float:
        for connection in self.network.connections(producer.host, worker.host):
            connection.cut(*told)
            self.reset_at[worker.name] = self.world.now
        return self.world.now

    def _reset_inside(self, producer: ProducerMachine, worker: WorkerMachine, fault: Fault) -> float:
        source = producer.host if fault.number % 3 else worker.host
        for connection in self.network.connections(producer.host, worker.host):
            connection.cut_after(source, int(fault.severity * 60))
        return self._after_some_bytes()

    def _damage(self, producer: ProducerMachine, worker: WorkerMachine, fault: Fault) -> float:
        source = producer.host if fault.number % 4 else worker.host
        worker.is_misquoted |= source is worker.host
        for connection in self.network.connections(producer.host, worker.host):
            connection.flip(source, after=int(fault.severity * 60), mask=fault.number % 2)  # 1: a digit stays a digit
        return self._after_some_bytes()

    def _after_some_bytes(self) -> float:
        """Beats alone are sixty bytes in two heartbeats, acks in four."""
        return self.world.now + 5 * self.plan.shape.heartbeat

    def _slow_link(self, producer: ProducerMachine, worker: WorkerMachine, fault: Fault) -> float:
        for way in (producer.host, worker.host), (worker.host, producer.host):
            link = self.network.link(*way)
            link.latency, link.jitter, link.bandwidth = 0.8 * fault.severity, 0.3, 200 + 20_000 * fault.severity
            self.world.after(fault.seconds, _restore_link(link))
        return self.world.now + fault.seconds + 15.0  # what is under way arrives late

    def _split(self, producer: ProducerMachine, worker: WorkerMachine, fault: Fault) -> float:
        for way in (producer.host, worker.host), (worker.host, producer.host):
            link = self.network.link(*way)
            link.split = 0.5 + fault.severity / 2
            self.world.after(fault.seconds, _restore_link(link))
        return self.world.now

    def _trouble_names(self, producer: ProducerMachine, trouble: str, seconds: float) -> float:
        producer.names.trouble = trouble
        self.world.after(seconds, _set(producer.names, "trouble", ""))
        return self.world.now + seconds + 10.0  # a question that hung still has to be over

    def _mislead(self, producer: ProducerMachine, worker: WorkerMachine, seconds: float) -> float:
        addresses = producer.names.addresses
        right = [worker.host.address]
        addresses[worker.name] = ["10.9.9.9"]
        self.world.after(seconds, addresses.__setitem__, worker.name, right)
        return self.world.now + seconds + 1.0  # answers are shared for a second

    def _step_clock(self, fault: Fault) -> float:
        for machine in self.machines:
            machine.clock.day += (fault.severity - 0.5) * 1e6
        return self.world.now

    def _start_stranger(self, worker: WorkerMachine, seconds: float) -> float:
        stranger = self._make_producer(100 + len(self.strangers), f"stranger-{len(self.strangers)}", OTHER_SEED)
        self.strangers.append(stranger)
        stranger.start()
        self.world.after(seconds, stranger.kill)
        return self.world.now + seconds

    def _roll(self, seconds: float) -> float:
        until = self.world.now
        for number, worker in enumerate(self.workers):
            self.world.after(number * (1 + seconds / 4), self._stop, worker, seconds / 4)
            until = self.world.now + number * (1 + seconds / 4) + GRACE_SECONDS + seconds / 4 + RESTART_SECONDS
        return until


_A_PRODUCERS: Final = frozenset(
    {
        "kill producer", "cut producer's power", "stop producer", "freeze producer", "delay producer", "dns fails",
        "dns hangs",
    }
)  # fmt: skip
"""Faults that harm one producer's links to all workers."""
_A_PAIRS: Final = frozenset(
    {
        "partition", "block one way", "reset", "reset one side", "reset inside a line", "damage a byte", "slow link",
        "split and merge", "dns is wrong",
    }
)  # fmt: skip
"""Faults that harm one link only."""
_ALL_WORKERS: Final = frozenset({"rolling restart", "step the clock"})


def _set(thing: object, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(thing, name, value)


def _restore_link(link: Any) -> Callable[[], None]:
    usual = type(link)()

    def restore() -> None:
        link.latency, link.jitter, link.bandwidth, link.split = (
            usual.latency,
            usual.jitter,
            usual.bandwidth,
            usual.split,
        )

    return restore
