"""Embed: Worker and Producer inside another program. Batches, when they are acknowledged, what is repeated."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from tests.support.stream import NUMBERS, SEED, WORKER, stream
from tests.support.waiting import until

from randstream import Batch, Producer, ProducerSettings, Worker, WorkerSettings
from randstream.errors import RandstreamError, Reason, SettingsError
from randstream.numbers import known_answers
from randstream.observe.status import LinkState
from randstream.protocol.frames import Open

OFFERED = Open(WORKER, stream().id, NUMBERS, "p", 1.0)
SETTINGS = WorkerSettings(name=WORKER, listen="127.0.0.1:0", grace_period=1.0)


def a_producer_for(worker: Worker, rate: float | str = "max") -> Producer:
    assert worker.address is not None
    host, port = worker.address
    return Producer(
        ProducerSettings(
            workers=f"{host}:{port}", seed=SEED, numbers=NUMBERS, rate=rate, heartbeat_interval=0.05, grace_period=0.0
        )
    )


def assert_exact(batch: Batch) -> None:
    assert batch.stream == stream().id
    np.testing.assert_array_equal(batch.numbers, stream().read(batch.offset, len(batch.numbers)))
    assert batch.end_offset == batch.offset + len(batch.numbers)


async def test_batches_are_the_stream_without_a_gap() -> None:
    async with Worker(SETTINGS) as worker, a_producer_for(worker):
        end_offset = 0
        async for batch in worker:
            assert batch.offset == end_offset
            assert_exact(batch)
            end_offset = batch.end_offset
            if end_offset > 200_000:
                break


async def test_a_saved_end_offset_repeats_nothing_after_a_restart() -> None:
    seen: list[int] = []
    saved: int | None = None
    for _ in range(3):
        async with Worker(SETTINGS, offset=saved) as worker, a_producer_for(worker, rate=2000):
            async for batch in worker:
                seen.extend(range(batch.offset, batch.end_offset))
                saved = batch.end_offset
                if saved >= 20 * (_ + 1):
                    break
    assert seen == list(range(len(seen)))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"offset": -1}, ValueError, "offset is -1; give one from 0"),
        ({"offset": 2**63}, ValueError, "offset is 9223372036854775808; give one from 0"),
        ({"offset": 5.0}, TypeError, "offset is of type float; give an integer"),
        ({"offset": 5, "stream": "junk"}, SettingsError, "stream is 'junk'; give what Batch.stream was"),
    ],
)
def test_a_worker_that_could_never_go_on_there_is_not_made(given: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        Worker(SETTINGS, **given)


async def test_a_cut_while_a_body_runs_acknowledges_nothing_of_its_batch() -> None:
    async with Worker(SETTINGS) as worker, a_producer_for(worker) as producer:
        batch = await anext(worker)
        (link,) = producer.links
        assert worker.line.holder is not None
        worker.line.holder.end(Reason.TIMEOUT, worker.clock.now())
        await until(lambda: link.state is LinkState.STALLED)
        assert link.acked_offset <= batch.offset
        again = await anext(worker)
        assert again.offset == batch.end_offset
        await until(lambda: link.acked_offset >= batch.end_offset)


async def test_an_exception_in_the_body_ends_the_worker_and_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is how it is used
        async with Worker(SETTINGS) as worker, a_producer_for(worker):
            async for _ in worker:
                raise ZeroDivisionError
    assert worker.problem == "not listening"


async def test_stop_ends_the_iteration() -> None:
    async with Worker(SETTINGS) as worker:
        worker.stop()
        assert [batch async for batch in worker] == []


async def test_a_port_in_use_is_a_settings_error() -> None:
    async with Worker(SETTINGS) as worker:
        assert worker.address is not None
        host, port = worker.address
        with pytest.raises(SettingsError, match="cannot listen"):
            async with Worker(WorkerSettings(name=WORKER, listen=f"{host}:{port}")):
                pytest.fail("it listens")  # pragma: no cover - only if the test fails


def test_embedded_worker_takes_no_other_sink() -> None:
    with pytest.raises(SettingsError, match="go to the loop"):
        Worker(WorkerSettings(name=WORKER, discard=True))


def test_embedded_worker_takes_no_raw_numbers() -> None:
    with pytest.raises(SettingsError, match="raw numbers belong to no stream"):
        Worker(WorkerSettings(name=WORKER, accept_raw=True))


def test_arithmetic_that_differs_on_this_machine_makes_no_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(known_answers.ENCODINGS, "int64", ((1, "one"),))
    with pytest.raises(RandstreamError, match="int64 text"):
        Producer(ProducerSettings(workers="127.0.0.1:9000"))


def test_a_seed_file_that_cannot_be_read_makes_no_producer() -> None:
    settings = ProducerSettings(workers="127.0.0.1:9000", seed_file="/nope")
    with pytest.raises(SettingsError, match=r"^--seed-file /nope: cannot read /nope: No such file or directory$"):
        Producer(settings)


def of_the_program() -> list[object]:
    """Global state of the program, as far as libraries are known to change it."""
    return [
        [signal.getsignal(number) for number in signal.valid_signals()],
        structlog.get_config(), structlog.is_configured(), logging.root.handlers[:], logging.root.level,
        warnings.showwarning, warnings.filters[:],
        asyncio.get_event_loop_policy(), asyncio.get_running_loop().get_exception_handler(),
        sys.excepthook, threading.excepthook, sys.stdout, sys.stderr, sys.getswitchinterval(), gc.get_threshold(),
        dict(os.environ), Path.cwd(), random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tolist(),
    ]  # fmt: skip


async def test_embedding_changes_no_global_state() -> None:
    before = of_the_program()
    async with Worker(SETTINGS) as worker, a_producer_for(worker):
        await anext(aiter(worker))
        assert of_the_program() == before
    assert of_the_program() == before
