"""Old segments that cannot be removed: the stream goes on, and every place an operator looks at says so."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from random import Random

import aiohttp
from tests.protocol.network import beat_line
from tests.store.disk import Disk
from tests.store.streams import FOLDER, OFFERED, WORKER, text
from tests.support.log import Log
from tests.support.peers import Peer, dialled
from tests.support.roles import a_worker
from tests.support.stream import NUMBERS, stream
from tests.support.waiting import until

from randstream.admin.server import AdminServer
from randstream.numbers.stream import NumberStream
from randstream.protocol.frames import Beat, crc32c
from randstream.settings import Address
from randstream.store import DurableSink
from randstream.worker.worker import Worker

STORE = Path("/store")
WARNING = "cannot remove old segments: Input/output error"


def a_sink(disk: Disk) -> DurableSink:
    """Each commit fills a segment, and only the last is kept."""
    return DurableSink(STORE, WORKER, segment_bytes=1, retain_bytes=0, files=disk)


async def commit(sink: DurableSink, number: int) -> None:
    lines = text(number, number + 1)
    sink.append(lines, 1)
    sink.prove(Beat(number + 1, crc32c(lines), "17"))
    assert await sink.commit() == number + 1


async def test_a_sink_warns_while_old_segments_cannot_be_removed_and_stores_on() -> None:
    disk = Disk(Random(0))
    sink = a_sink(disk)
    await sink.start()
    await sink.open(OFFERED)
    disk.fault = lambda call, name: errno.EIO if name == "unlink" else None
    await commit(sink, 0)
    assert (sink.warning, sink.problem) == (WARNING, None)
    await commit(sink, 1)
    disk.fault = lambda call, name: None
    await commit(sink, 2)
    assert sink.warning is None
    assert list(disk.contents(STORE / FOLDER)) == ["00000000000000000003.numbers"]
    await sink.close()


async def send(peer: Peer, number: int) -> None:
    """One number, its beat and its ack."""
    lines = stream().lines(number, 1)
    peer.say(lines, beat_line(number + 1, lines))
    await peer.line_starting(b"#ack offset=%d " % (number + 1))


async def seen(worker: Worker, metric: str = "sink_warning") -> tuple[str | None, float]:
    """The warning that /api/links shows, and the metric."""
    admin = AdminServer(worker, Address("127.0.0.1", 0))
    _, port = await admin.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            async with client.get("/api/links") as answer:
                snapshot = json.loads(await answer.text())
            async with client.get("/metrics") as answer:
                metrics = (await answer.text()).splitlines()
    finally:
        await admin.close()
    assert snapshot["problem"] is None
    (value,) = [line.split()[1] for line in metrics if line.startswith(f"randstream_{metric} ")]
    return snapshot["warning"], float(value)


async def test_a_warning_of_the_sink_is_in_the_log_the_journal_the_api_and_the_metrics_until_it_is_over(
    log: Log,
) -> None:
    disk = Disk(Random(0))
    async with a_worker(a_sink(disk)) as worker, dialled(worker) as peer:
        await peer.start(0, heartbeat="60")
        await send(peer, 0)
        assert worker.warning is None
        assert await seen(worker) == (None, 0)

        disk.fault = lambda call, name: errno.EIO if name == "unlink" else None
        for number in (1, 2):
            await send(peer, number)
            assert (worker.warning, worker.problem) == (WARNING, None)
        assert await seen(worker) == (WARNING, 1)
        (told,) = log.of("sink.warning")
        assert (told["warning"], told["log_level"]) == (WARNING, "warning")
        (entry,) = [entry for entry in worker.journal.entries if entry.event == "sink.warning"]
        assert (entry.link, entry.detail) == (WORKER, WARNING)

        disk.fault = lambda call, name: None
        await send(peer, 3)
        await until(lambda: worker.warning is None)
        assert await seen(worker) == (None, 0)
        (over,) = log.of("sink.warning_over")
        assert over["warning"] == WARNING


async def test_another_seed_is_told_once_in_the_log_the_journal_the_api_and_the_metrics(log: Log) -> None:
    disk = Disk(Random(0))
    async with a_worker(a_sink(disk)) as worker:
        for seed in ("old", "new"):
            other = NumberStream(seed, WORKER, NUMBERS)
            async with dialled(worker) as peer:
                await peer.start(0, stream=other.id, heartbeat="60")
                assert await seen(worker, "store_other_streams") == (worker.warning, seed == "new")
                assert (worker.warning is not None) == (seed == "new")
                await send(peer, 0)
                await send(peer, 1)
            await until(lambda: worker.line.holder is None)
        warning = worker.warning
        assert warning is not None
        assert "wrong seed?" in warning
        assert [told["warning"] for told in log.of("sink.warning")] == [warning]
        assert [entry.detail for entry in worker.journal.entries if entry.event == "sink.warning"] == [warning]
