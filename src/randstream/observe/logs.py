"""Logs: events to standard error, as JSON lines, or readable for a person at a terminal. Set up by the commands only.

An unread standard error must not stop the streams: a thread writes, and lines that find its queue full are counted and
left out.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable
from typing import Any, Final

import orjson
import structlog

from ..clock import Clock
from .throttle import LINES_A_MINUTE, Throttle

QUEUE_LINES: Final = 10_000
"""Lines that may wait to be written: ten thousand links log this much at once when they start."""
FLUSH_SECONDS: Final = 2.0
"""How long the process waits at its end for its last lines to be written."""

WIDTH_OF_EVENTS: Final = 18
"""Columns at a terminal, so that most lines fit: most events are shorter."""


class LineWriter:
    """Writes lines to a descriptor on a daemon thread; `write` never waits for it.

    `tell_left_out` is called on that thread with the count of lines that were left out, once there is room to `write`
    about them.
    """

    def __init__(self, fd: int, tell_left_out: Callable[[int], None]) -> None:
        self._fd = fd
        self._tell_left_out = tell_left_out
        self._waiting: list[str] = []
        self._left_out = 0
        self._is_writing = False
        # Its lock is re-entrant: the garbage collector may cause a log line in the middle of a `write`.
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: str) -> None:
        """Queue `line`, or count it as left out."""
        with self._changed:
            if len(self._waiting) < QUEUE_LINES:
                self._waiting.append(line)
                self._changed.notify_all()
            else:
                self._left_out += 1

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until everything is written, at most for `seconds`; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_writing, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                lines, self._waiting = self._waiting, []
                left_out, self._left_out = self._left_out, 0
                self._is_writing = True
                if left_out:
                    self._tell_left_out(left_out)  # now there is room, and it comes after the lines that were written
            self._write_all("".join(f"{line}\n" for line in lines).encode(errors="backslashreplace"))
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # shared with a process that made it non-blocking
                select.select([], [self._fd], [])
            except OSError:
                return  # there is no reader, and nowhere to say so

    # structlog's logger interface: one method per level.
    msg = debug = info = warning = error = critical = exception = write


_writer: LineWriter | None = None


def set_up_logs(level: str, *, fd: int = 2, has_colours: bool = True) -> None:
    """Send structlog's events, and the standard library's, to `fd`: for people if it is a terminal, else as JSON."""
    global _writer  # noqa: PLW0603 - standard error is one for the whole process
    writer = _writer = LineWriter(fd, _tell_left_out)
    number = logging.getLevelNamesMapping()[level.upper()]
    shape = _for_people(has_colours) if os.isatty(fd) else _for_machines()
    structlog.configure(
        processors=[structlog.processors.add_log_level, *shape],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: writer,
        cache_logger_on_first_use=False,
    )
    # Pass on only those of the libraries' own events that mean trouble, even at debug.
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[_ToStructlog()], force=True)
    logging.captureWarnings(True)


def flush_logs(seconds: float = FLUSH_SECONDS) -> None:
    """Wait until what was logged is written, if anything still reads it."""
    if _writer is not None:
        _writer.flush(seconds)


def _for_people(has_colours: bool) -> list[Any]:
    return [
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        # Rich would print the values of local variables: the seed is one.
        structlog.dev.ConsoleRenderer(
            WIDTH_OF_EVENTS, colors=has_colours, exception_formatter=structlog.dev.plain_traceback
        ),
    ]


def _for_machines() -> list[Any]:
    return [structlog.processors.TimeStamper(fmt="iso", utc=True), structlog.processors.format_exc_info, _render_json]


def _render_json(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    ordered = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event"), **event}
    try:
        return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a whole number above 64 bits, or a path that is not UTF-8
        return json.dumps(ordered, default=str, skipkeys=True)


def _tell_left_out(count: int) -> None:
    structlog.get_logger("randstream").warning("log.lines_left_out", count=count)


class _ToStructlog(logging.Handler):
    """Passes on what libraries log, including asyncio's own warnings, as events of ours, throttled for each library."""

    def __init__(self) -> None:
        super().__init__()
        self._clock = Clock()
        self._throttles: dict[str, Throttle] = {}

    def emit(self, record: logging.LogRecord) -> None:
        try:
            lines = self._throttles.setdefault(record.name, Throttle(LINES_A_MINUTE))
            log = structlog.get_logger("randstream")
            lines.say(
                log.error if record.levelno >= logging.ERROR else log.warning, "library.message", self._clock.now(),
                logger=record.name, message=record.getMessage(), exc_info=record.exc_info,
            )  # fmt: skip
        except Exception:
            self.handleError(record)
