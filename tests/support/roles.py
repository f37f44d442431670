"""Roles: workers and producers that run in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from tests.simulation.virtual import running_virtual_loop
from tests.support.peers import Listener
from tests.support.sinks import Memory
from tests.support.stream import NUMBERS, SEED, WORKER
from tests.support.waiting import until

from randstream.clock import Clock
from randstream.producer.dns import Dns
from randstream.producer.producer import Producer
from randstream.settings.roles import ProducerSettings, WorkerSettings
from randstream.sinks import Sink
from randstream.worker.session import Session
from randstream.worker.worker import Worker

HEARTBEAT: Final = 0.1
"""Seconds: short, so that beats come soon, and long enough that a busy machine is not taken for a dead peer."""


@asynccontextmanager
async def running(role: Producer | Worker) -> AsyncIterator[asyncio.Task[None]]:
    """Run `role` during the block, then let it end gracefully."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(role.run())
        try:
            yield task
        finally:
            role.stop()


@asynccontextmanager
async def a_worker(
    sink: Sink | None = None,
    *,
    port: int = 0,
    clock: Clock | None = None,
    random: Random | None = None,
    **settings: Any,
) -> AsyncIterator[Worker]:
    """A running worker, on a free port if none is given. Without a sink its numbers go to a `Memory`."""
    given: dict[str, Any] = {"name": WORKER, "listen": f"127.0.0.1:{port}", "grace_period": 0.5, **settings}
    if sink is None and not {"store", "discard", "command"} & settings.keys():
        sink = Memory()
    loop = running_virtual_loop()
    if loop is not None:
        clock, random = clock or loop.clock, random or loop.world.random
    worker = Worker(WorkerSettings(**given), sink, clock=clock, random=random)
    async with running(worker):
        await worker.wait_listening()
        yield worker


def session_of(worker: Worker) -> Session:
    """The session that has the sink."""
    holder = worker.line.holder
    assert isinstance(holder, Session)
    return holder


def transport_of(worker: Worker) -> asyncio.Transport:
    """The connection of the session that has the sink."""
    transport = session_of(worker).connection.transport
    assert transport is not None
    return transport


def address_of(target: str | Worker | Listener) -> str:
    """What a producer is given to reach `target`."""
    if isinstance(target, Worker):
        assert target.address is not None
        return f"127.0.0.1:{target.address[1]}"
    return target.target if isinstance(target, Listener) else target


def a_producer(
    *targets: str | Worker | Listener,
    clock: Clock | None = None,
    random: Random | None = None,
    dns: Dns | None = None,
    **settings: Any,
) -> Producer:
    """A producer that sends `stream`s, not running yet."""
    workers = [address_of(target) for target in targets]
    given: dict[str, Any] = {
        "workers": ",".join(workers), "name": "producer-0", "seed": SEED, "numbers": NUMBERS, "rate": 1000,
        "heartbeat_interval": HEARTBEAT, "grace_period": 2.0, **settings,
    }  # fmt: skip
    loop = running_virtual_loop()
    if loop is not None:
        clock, random, dns = clock or loop.clock, random or loop.world.random, dns or loop.names
    return Producer(ProducerSettings(**given), clock=clock, random=random, dns=dns)


@asynccontextmanager
async def producing(*targets: str | Worker | Listener, **settings: Any) -> AsyncIterator[Producer]:
    """A running producer. Before it ends, the connections to listeners among its targets are cut."""
    producer = a_producer(*targets, **settings)
    async with running(producer):
        await until(lambda: producer.links)
        yield producer
        for target in targets:
            if isinstance(target, Listener):
                target.cut()


@asynccontextmanager
async def a_pair(**settings: Any) -> AsyncIterator[tuple[Producer, Worker]]:
    """A worker with these settings and a producer that streams to it. More than 100 numbers are acknowledged."""
    async with a_worker(**settings) as worker, producing(worker, heartbeat_interval=0.05) as producer:
        await until(lambda: producer.links[0].acked_offset > 100)
        yield producer, worker
