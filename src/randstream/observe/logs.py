"""Logs: events to standard error, as JSON lines, or in colours for a person at a terminal. Set up by the commands only.

A standard error that nobody reads must not stop the streams: a thread writes, and lines that find its queue full are
counted and left out.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from queue import Empty, Full, Queue
from typing import Any, Final

import orjson
import structlog

QUEUE_LINES: Final = 10_000
"""Lines that may wait to be written: a start of ten thousand links says so much at once."""
FLUSH_SECONDS: Final = 2.0
"""How long an end waits for its last lines to be written."""


class LineWriter:
    """Writes lines to a descriptor on a daemon thread; `write` never blocks."""

    def __init__(self, fd: int = 2) -> None:
        self._fd = fd
        self._lines: Queue[bytes] = Queue(QUEUE_LINES)
        self._left_out = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush)

    def write(self, line: str) -> None:
        """Have `line` written, or counted as left out."""
        try:
            self._lines.put_nowait(line.encode() + b"\n")
        except Full:
            self._left_out += 1

    def flush(self) -> None:
        """Wait until all is written, but not longer than FLUSH_SECONDS."""
        waiting = threading.Thread(target=self._lines.join, daemon=True)
        waiting.start()
        waiting.join(FLUSH_SECONDS)

    def _run(self) -> None:
        while True:
            lines = [self._lines.get()]
            try:
                while len(lines) < 1000:
                    lines.append(self._lines.get_nowait())
            except Empty:
                pass
            if self._left_out:
                left_out, self._left_out = self._left_out, 0
                lines.append(b'{"level":"warning","event":"log.lines_left_out","count":%d}\n' % left_out)
            self._write_all(b"".join(lines))
            for _ in range(min(len(lines), self._lines.unfinished_tasks)):
                self._lines.task_done()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except OSError:
                return  # nobody can read it: there is nowhere to say so

    # structlog's logger interface: one method a level.
    msg = debug = info = warning = error = critical = exception = write


_writer: LineWriter | None = None


def set_up_logs(level: str, *, colours: bool | None = None) -> None:
    """Send structlog's events, and the standard library's, to standard error.

    `colours`: None means if standard error is a terminal.
    """
    global _writer  # noqa: PLW0603 - standard error is one for the whole process
    _writer = _writer or LineWriter()
    writer = _writer
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty() if colours is None else colours:
        render: list[Any] = [structlog.dev.ConsoleRenderer()]
    else:
        render = [structlog.processors.format_exc_info, _render_json]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_ToStructlog()], force=True)


def flush_logs() -> None:
    """Get what was logged written, if anybody still reads it."""
    if _writer is not None:
        _writer.flush()


def _render_json(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    ordered = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event"), **event}
    return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


class _ToStructlog(logging.Handler):
    """What libraries log, asyncio's own warnings among it, as one more event."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger("randstream")
        fields: dict[str, Any] = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = repr(record.exc_info[1])
        log.log(record.levelno, "library.message", **fields)
