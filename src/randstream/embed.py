"""Embed: a worker and a producer inside another asyncio program. No signal handlers, no global state, no log set-up."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from types import TracebackType
from typing import Self, SupportsIndex

from .errors import SettingsError
from .numbers.known_answers import check_known_answers
from .producer import producer
from .settings import ProducerSettings, WorkerSettings
from .sinks.batches import Batch, BatchSink
from .worker import worker


class _Embedded:
    """Runs a role in the background of an `async with` block."""

    _tasks: asyncio.TaskGroup

    @abstractmethod
    async def run(self) -> None: ...
    @abstractmethod
    def stop(self) -> None: ...

    async def __aenter__(self) -> Self:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._tasks.create_task(self.run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            cause: BaseException = group
            while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
                cause = cause.exceptions[0]
            raise cause from None


class Worker(worker.Worker, _Embedded):
    """A worker whose numbers a program takes as batches.

        async with Worker(WorkerSettings(listen="127.0.0.1:9000", name="worker-0")) as worker:
            async for batch in worker:
                total += batch.numbers.sum()

    A batch is acknowledged after the loop's body has run: a crash loses nothing, and repeats at most the batches
    whose acknowledgement had not gone out, for as long as the producer lives, which remembers the last one. A body
    that saves `batch.end_offset` and `batch.stream` with its result, and passes them as `offset` and `stream` at the
    next start, repeats nothing, no matter what has died.

    Raises SettingsError: the address cannot be bound, the settings name another place for the numbers, or `stream` is
    not a stream's id; TypeError, ValueError: `offset` is not an integer, or not from 0 to 2^63 - 1.
    """

    def __init__(
        self, settings: WorkerSettings, *, offset: SupportsIndex | None = None, stream: str | None = None
    ) -> None:
        if settings.store or settings.discard or settings.command:
            raise SettingsError("numbers go to the loop: give an embedded worker no store, command or discard")
        if settings.accept_raw:
            raise SettingsError(
                "raw numbers belong to no stream, and a batch does: give an embedded worker no accept_raw"
            )
        self._batches = BatchSink(offset, stream)
        super().__init__(settings, self._batches)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            await self.wait_listening()
        except asyncio.CancelledError as error:
            await super().__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._batches.finish(is_done=kind is None)
        await asyncio.sleep(0)  # what is finished may now be acknowledged
        self.end_stream()
        await super().__aexit__(kind, error, traceback)

    def stop(self) -> None:
        """End the iteration and the worker."""
        self._batches.finish(is_done=False)
        super().stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch:
        batch = await self._batches.next_batch()
        if batch is None:
            raise StopAsyncIteration
        return batch


class Producer(producer.Producer, _Embedded):
    """A producer that streams while an `async with` block runs, and ends gracefully with it.

    async with Producer(ProducerSettings(workers="127.0.0.1:9000", seed="42")):
        ...

    Raises SettingsError: a file that the settings name cannot be read, or cannot be used; RandstreamError: this machine
    makes other numbers than it should.
    """

    def __init__(self, settings: ProducerSettings) -> None:
        check_known_answers()
        super().__init__(settings)
