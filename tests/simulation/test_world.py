"""A world: what its processes may rely on, and what is done to them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.simulation.network import Network
from tests.simulation.world import START, Pace, Process, Stuck, World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world() -> Iterator[World]:
    with World(seed=1) as world:
        yield world
        assert world.bugs == []


class Witness:
    """Notes what happens, and when."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.events.append((event, round(self.world.now - START, 3)))


@pytest.fixture
def witness(world: World) -> Witness:
    return Witness(world)


async def forever() -> None:
    await asyncio.Event().wait()


# ---- time and turns --------------------------------------------------------------------------------------------------


def test_time_jumps_to_the_next_timer(world: World, witness: Witness) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(3600)
        witness(loop.time() - START)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await forever()
        witness("timeout")

    world.start("a", main)
    assert not world.run(), "nobody has anything left to do"
    assert witness.events == [(3600.0, 3600.0), ("timeout", 3660.0)]


def test_a_run_ends_at_its_time_or_when_its_condition_holds(world: World) -> None:
    process = world.start("a", forever)
    assert world.run(START + 5)
    assert world.now == START + 5
    assert world.run(lambda: world.now >= START + 5)
    assert not world.run(lambda: not process.alive)


def test_a_run_that_gets_nowhere_is_stuck(world: World) -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110
            await asyncio.sleep(0)

    world.start("a", main)
    with pytest.raises(Stuck):
        world.run(START + 1, steps=1000)


def test_time_passes_for_a_program_that_polls_if_its_turns_take_time(world: World) -> None:
    async def main() -> None:
        while world.time() < START + 1:  # noqa: ASYNC110
            await asyncio.sleep(0)

    process = world.start("a", main, pace=Pace(turn=0.001))
    world.run(steps=10_000)
    assert process.left is not None
    assert world.now == pytest.approx(START + 1, abs=0.01)


def test_callbacks_of_a_process_run_in_the_order_in_which_they_became_ready(world: World) -> None:
    order: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(10):
            loop.call_soon(order.append, number)
        for number in range(10, 20):
            loop.call_later(1, order.append, number)
        await asyncio.sleep(2)

    world.start("a", main)
    world.start("b", forever)
    world.run()
    assert order == list(range(20))


def test_chance_says_who_is_next_at_one_instant() -> None:
    def first(seed: int) -> str:
        order: list[str] = []

        async def main() -> None:
            await asyncio.sleep(1)
            order.append(asyncio.get_running_loop().process.name)  # type: ignore[attr-defined] # the loop is the simulation's

        world = World(seed)
        for name in "abc":
            world.start(name, main)
        world.run()
        return order[0]

    firsts = [first(seed) for seed in range(50)]
    assert set(firsts) == {"a", "b", "c"}
    assert firsts == [first(seed) for seed in range(50)]


def test_timers_are_late_by_as_much_as_the_pace_allows(world: World) -> None:
    lateness: list[float] = []

    async def main() -> None:
        for _ in range(100):
            before = world.now
            await asyncio.sleep(1)
            lateness.append(world.now - before - 1)

    world.start("a", main, pace=Pace(timer_lateness=0.5))
    world.run()
    assert -1e-9 <= min(lateness) < 0.1
    assert 0.4 < max(lateness) <= 0.5


def test_cancelled_timers_do_not_pile_up(world: World) -> None:
    async def main() -> None:
        for _ in range(20_000):
            async with asyncio.timeout(3600):
                await asyncio.sleep(0)
        assert len(world.heap) < 3000

    world.start("a", main)
    world.run()
    assert world.now < START + 3600


def test_everyday_asyncio_works(world: World, witness: Witness) -> None:
    async def main() -> str:
        lock, semaphore, queue = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Queue[int](1)

        async def work(number: int) -> None:
            async with semaphore, lock:
                await asyncio.sleep(1)
                await queue.put(number)

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(work(number))
            for _ in range(3):
                witness(await queue.get())
        assert await asyncio.gather(asyncio.sleep(1, "x"), asyncio.to_thread(lambda: "y")) == ["x", "y"]
        assert await asyncio.wait_for(asyncio.shield(asyncio.sleep(1, "z")), 2) == "z"
        done, pending = await asyncio.wait([asyncio.create_task(asyncio.sleep(n)) for n in (1, 2)], timeout=1.5)
        assert (len(done), len(pending)) == (1, 1)
        return "done"

    process = world.start("a", main)
    world.run()
    assert witness.events == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert process.result == "done"


# ---- errors and what is left over ------------------------------------------------------------------------------------


def test_an_exception_that_nobody_handles_is_a_bug_with_its_process_and_traceback() -> None:
    async def main() -> None:
        async def fail_later() -> None:
            raise ValueError("in a task")

        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        task = asyncio.create_task(fail_later())
        await asyncio.sleep(1)
        del task
        raise KeyError("in main")

    world = World(1)
    world.start("a", main)
    world.run()
    assert [(each.process, each.time - START) for each in world.bugs] == [("a", 0), ("a", 1), ("a", 1)]
    for bug, text in zip(
        world.bugs, ("ZeroDivisionError", "ValueError: in a task", "KeyError: 'in main'"), strict=True
    ):
        assert text in bug.text
        assert __file__ in bug.text


def test_a_program_ends_as_under_asyncio_run(world: World, witness: Witness) -> None:
    async def main() -> None:
        async def background() -> None:
            try:
                await forever()
            finally:
                witness("cleaned up")

        asyncio.create_task(background(), name="background")  # noqa: RUF006
        asyncio.get_running_loop().call_later(60, print)
        await asyncio.sleep(1)

    process = world.start("a", main)
    world.run()
    assert witness.events == [("cleaned up", 1.0)]
    assert not process.alive
    assert process.left is not None
    assert [each.split(":")[0] for each in process.left.tasks] == ["background"]
    assert len(process.left.timers) == 1
    assert world.now == START + 1


def test_what_is_left_over_can_be_asked_at_any_time(world: World) -> None:
    network = Network(world)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(asyncio.Protocol, port=7)
        await loop.create_connection(asyncio.Protocol, "localhost", 7)
        await forever()
        del server

    process = network.host("10.0.0.1").start("a", main)
    world.run(START + 1)
    left = process.leftovers()
    assert left
    assert (len(left.tasks), len(left.timers), len(left.transports), len(left.servers)) == (1, 0, 2, 1)


# ---- death -----------------------------------------------------------------------------------------------------------


def test_a_killed_process_runs_nothing_more(world: World, witness: Witness) -> None:
    @contextlib.contextmanager
    def guard() -> Iterator[None]:
        try:
            yield
        finally:
            witness("a context manager's finally")

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                yield number
                await asyncio.sleep(1)
        finally:
            witness("an async generator's finally")

    class Resource:
        def __del__(self) -> None:
            witness("a finalizer")

    async def inner(resource: Resource) -> None:
        try:
            with guard():
                async for number in numbers():
                    witness(number)
                    await asyncio.sleep(1)
        except BaseException:
            witness("an except")
            raise
        finally:
            witness("a finally")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(5, witness, "a timer")
        unfinished = numbers()
        await anext(unfinished)
        generator = (each for each in [1, 2])
        next(generator)
        async with asyncio.TaskGroup() as group:
            group.create_task(inner(Resource()))
            group.create_task(asyncio.to_thread(witness, "a thread"))
            await loop.create_future()

    process = world.start("a", main, pace=Pace(call_delay=(9, 9)))
    world.run(START + 2.5)
    assert process.alive
    before = list(witness.events)
    process.kill()
    assert not process.alive
    world.run()
    gc.collect()
    assert witness.events == before == [(0, 0.0), (1, 2.0)]


def test_a_task_that_was_killed_before_its_first_step_dies_in_silence(world: World) -> None:
    async def main() -> None:
        asyncio.create_task(forever())  # noqa: RUF006
        world.at(world.now, process.kill)

    process = world.start("a", main)
    world.run()
    process = world.start("b", forever)
    process.kill()
    gc.collect()


def test_memory_of_the_dead_is_freed(world: World) -> None:
    class Memory:
        pass

    memories: list[weakref.ref[Memory]] = []

    async def main() -> None:
        async def hold(memory: Memory) -> None:
            async with asyncio.timeout(1e6):
                await forever()

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                memory = Memory()
                memories.append(weakref.ref(memory))
                group.create_task(hold(memory))

    process = world.start("a", main)
    world.run(START + 1)
    loop = weakref.ref(process.loop)
    process.kill()
    del process
    gc.collect()
    assert [each() for each in memories] == [None, None, None]
    assert loop() is not None, "the cancelled timer stays in the heap"
    world.run()
    gc.collect()
    assert loop() is None


def test_a_process_can_kill_itself_in_the_midst_of_a_turn(world: World, witness: Witness) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(witness, "never")
        try:
            process.kill()
            loop.call_soon(witness, "never")
            await asyncio.sleep(1)
            witness("never")
        finally:
            witness("never")

    process = world.start("a", main)
    world.run()
    gc.collect()
    assert witness.events == []


def test_a_kill_leaves_the_generators_of_others_alone(world: World, witness: Witness) -> None:
    shared: list[Any] = []

    async def other() -> None:
        async def wait() -> None:
            try:
                await forever()
            finally:
                witness("cancelled")

        task = asyncio.create_task(wait())
        shared.append(task)
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.sleep(0)

    async def main() -> None:
        mine = shared
        await forever()
        del mine

    world.start("other", other)
    world.run(START + 1)
    process = world.start("a", main)
    world.run(START + 2)
    process.kill()
    world.run()
    assert witness.events == [("cancelled", 5.0)]


def test_a_restarted_process_is_a_new_one_in_the_same_place(world: World, witness: Witness) -> None:
    async def main() -> None:
        witness(id(asyncio.get_running_loop()))
        await forever()

    process = world.start("a", main, pace=Pace(timer_lateness=3))
    world.run(START + 1)
    again = process.restart()
    world.run(START + 2)
    assert not process.alive
    assert again.alive
    assert (again.name, again.pace) == (process.name, process.pace)
    (first, _), (second, at) = witness.events
    assert first != second
    assert at == 1.0


def test_a_signal_is_handled_or_kills(world: World, witness: Witness) -> None:
    async def polite() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(15, stop.set)
        await stop.wait()
        witness("stopped")

    process, rude = world.start("a", polite), world.start("b", forever)
    world.run(START + 1)
    process.signal(15)
    rude.signal(15)
    world.run()
    assert witness.events == [("stopped", 1.0)]
    assert not rude.alive


# ---- freezing --------------------------------------------------------------------------------------------------------


def test_a_frozen_process_waits_and_its_timers_fire_late(world: World, witness: Witness) -> None:
    async def main() -> None:
        for _ in range(3):
            await asyncio.sleep(1)
            witness("tick")

    process = world.start("a", main)
    world.at(START + 1.5, process.freeze)
    world.at(START + 10, process.thaw)
    world.run()
    assert witness.events == [("tick", 1.0), ("tick", 10.0), ("tick", 11.0)]


def test_a_thawed_process_reads_what_came_before_its_timers_fire(world: World, witness: Witness) -> None:
    network = Network(world)

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            asyncio.get_running_loop().call_later(5, witness, "timer")

        def data_received(self, data: bytes) -> None:
            witness(data)

    async def server() -> None:
        async with await asyncio.get_running_loop().create_server(Reader, port=7) as listening:
            await listening.serve_forever()

    async def client() -> None:
        _, writer = await asyncio.open_connection("10.0.0.1", 7)
        await asyncio.sleep(2)
        writer.write(b"in time\n")
        await asyncio.sleep(100)
        writer.close()

    process = network.host("10.0.0.1").start("server", server)
    network.host("10.0.0.2").start("client", client)
    world.at(START + 1, process.freeze)
    world.at(START + 20, process.thaw)
    world.run()
    assert witness.events == [(b"in time\n", 20.0), ("timer", 20.0)]


# ---- threads ---------------------------------------------------------------------------------------------------------


def test_a_call_in_a_thread_takes_time_and_no_thread(world: World, witness: Witness) -> None:
    async def main() -> None:
        def call(number: int) -> int:
            witness("called")
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return number + 1

        witness(await asyncio.get_running_loop().run_in_executor(None, call, 41))
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)

    world.start("a", main, pace=Pace(call_delay=(1, 1), result_delay=(2, 2)))
    world.run()
    assert witness.events == [("called", 1.0), (42, 3.0)]


def test_calls_of_a_one_thread_executor_run_one_after_another(world: World, witness: Witness) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(2) as two:
            calls = [loop.run_in_executor(one, witness, f"one {number}") for number in range(3)]
            calls += [loop.run_in_executor(two, witness, f"two {number}") for number in range(2)]
            await asyncio.gather(*calls)

    world.start("a", main, pace=Pace(call_delay=(1, 1), result_delay=(5, 5)))
    world.run()
    assert witness.events == [("one 0", 1.0), ("two 0", 1.0), ("two 1", 1.0), ("one 1", 2.0), ("one 2", 3.0)]


def test_a_call_that_waits_for_a_thread_can_be_cancelled_but_no_other(world: World, witness: Witness) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as one:
            begun, waiting = (loop.run_in_executor(one, witness, name) for name in ("begun", "waiting"))
            begun.cancel()
            waiting.cancel()
            await loop.run_in_executor(one, witness, "last")

    world.start("a", main, pace=Pace(call_delay=(1, 1)))
    world.run()
    assert witness.events == [("begun", 1.0), ("last", 2.0)]


def test_a_call_of_a_process_that_is_killed_has_happened_and_nobody_hears_of_it(world: World, witness: Witness) -> None:
    async def main() -> None:
        try:
            await asyncio.to_thread(witness, "written")
        finally:
            witness("heard")

    process = world.start("a", main, pace=Pace(call_delay=(1, 1), result_delay=(2, 2)))
    world.at(START + 2, process.kill)
    world.run()
    assert witness.events == [("written", 1.0)]


def test_a_frozen_process_hears_late_of_its_call(world: World, witness: Witness) -> None:
    async def main() -> None:
        await asyncio.to_thread(witness, "written")
        witness("heard")

    process = world.start("a", main, pace=Pace(call_delay=(2, 2)))
    world.at(START + 1, process.freeze)
    world.at(START + 9, process.thaw)
    world.run()
    assert witness.events == [("written", 2.0), ("heard", 9.0)]


def test_a_process_does_not_end_before_its_threads(world: World, witness: Witness) -> None:
    async def main() -> None:
        asyncio.get_running_loop().run_in_executor(None, witness, "written")
        await asyncio.sleep(0)

    process = world.start("a", main, pace=Pace(call_delay=(5, 5)))
    world.run()
    assert witness.events == [("written", 5.0)]
    assert not process.alive


# ---- the same again --------------------------------------------------------------------------------------------------


def play(seed: int, chance: Callable[[World, list[Process]], object] | None = None) -> str:
    """The trace of a small cluster that has a bad day."""
    with World(seed, tracing=True) as world:
        network = Network(world)
        hosts = [network.host(f"10.0.0.{number}") for number in range(4)]

        async def server() -> None:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    while data := await reader.readexactly(100):
                        await asyncio.to_thread(world.note, "writes")
                        writer.write(data * 3)
                        await writer.drain()
                writer.close()

            async with await asyncio.start_server(serve, port=7) as listening:
                await listening.serve_forever()

        async def client() -> None:
            async def talk(number: int) -> None:
                while True:
                    with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                        async with asyncio.timeout(1):
                            reader, writer = await asyncio.open_connection("10.0.0.0", 7)
                            try:
                                while True:
                                    writer.write(bytes(100))
                                    await reader.readexactly(300)
                                    world.note(f"{number} got an answer")
                                    await asyncio.sleep(world.random.random() / 10)
                            finally:
                                writer.transport.abort()
                    await asyncio.sleep(0.1)

            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(talk(number))

        processes = [hosts[0].start("server", server)]
        processes += [host.start(f"client {host.address}", client) for host in hosts[1:]]
        for number in range(4):
            when = START + number
            world.at(when + 0.2, processes[number % 4].freeze)
            world.at(when + 0.4, processes[number % 4].thaw)
            world.at(when + 0.5, network.partition, hosts[0], hosts[1 + number % 3])
            world.at(when + 0.9, network.heal)
            world.at(when + 0.95, hosts[number % 4].kill_connections)
        world.at(START + 4.5, processes[1].kill)
        world.run(START + 5)
        assert world.bugs == []
        return "\n".join(f"{time!r} {process} {text}" for time, process, text in world.trace or ())


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    assert play(1) == play(1)
    assert play(1) != play(2)
    assert play(1).count("got an answer") > 500


def test_the_same_seed_gives_the_same_trace_in_another_interpreter() -> None:
    script = (
        "from tests.simulation.test_world import play; import hashlib; print(hashlib.md5(play(3).encode()).hexdigest())"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout)
    assert len(digests) == 1
