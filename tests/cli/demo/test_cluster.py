"""The processes of the demo."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from randstream.cli.demo.cluster import PRODUCERS, RELAYED, WORKERS, Cluster

pytestmark = [pytest.mark.kernel, pytest.mark.asyncio(loop_factories=["asyncio"])]


@pytest.mark.parametrize("fails", [False, True])
async def test_producers_reach_one_worker_by_ways_of_their_own_and_all_processes_are_gone_at_the_end(
    tmp_path: Path, fails: bool
) -> None:
    cluster = Cluster(tmp_path, "42")
    with contextlib.suppress(ExceptionGroup):
        async with cluster.running():
            await cluster.start_workers()
            ports = {name: int(worker.arguments[4].rpartition(":")[2]) for name, worker in cluster.workers.items()}
            ways: dict[str, set[int]] = {name: set() for name in cluster.workers}
            for producer in cluster.producers.values():
                targets = producer.arguments[producer.arguments.index("--workers") + 1].split(",")
                for name, target in zip(cluster.workers, targets, strict=True):
                    ways[name].add(int(target.rpartition(":")[2]))
            assert ports[RELAYED] not in ways[RELAYED]
            assert len(ways[RELAYED]) == PRODUCERS
            assert all(ways[name] == {ports[name]} for name in ports if name != RELAYED)
            await asyncio.gather(*map(cluster.start_producer, cluster.producers))
            assert len(set(cluster.urls.values())) == PRODUCERS
            await asyncio.gather(*(worker.wait_said("link.resumed") for worker in cluster.workers.values()))
            if fails:
                raise OSError
    processes = [*cluster.workers.values(), *cluster.producers.values()]
    children = [process.child for process in processes if process.child is not None]
    assert len(children) == WORKERS + PRODUCERS
    assert {child.returncode for child in children} == ({-9} if fails else {0})
