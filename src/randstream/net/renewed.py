"""Renewed: a value read from files that may be replaced while this process runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from ..clock import Clock
from ..errors import SettingsError
from ..observe.throttle import LINES_A_MINUTE, Throttle

RETRY_SECONDS: Final = 60.0
"""How often unusable files are tried again although they have not changed, since the cause may lie outside them (no
descriptor left, say); and how often that is logged."""

Value = TypeVar("Value")
Stamp = tuple[int, int, int, int, int]

log = structlog.get_logger("randstream")


class Renewed(Generic[Value]):
    """The value that `read` returns for the files at `paths`, read again when one of them has changed.

    If they become unusable (`read` raises SettingsError), the last good value stays in use. `events` are the log events
    for that and for a new value, `advice` goes with the former and `fields` with the latter.

    The loop's thread checks the files (a `stat` call each, 5 µs) and reads them if they have changed (1 ms): a few KiB
    that were just written.

    Raises SettingsError if they are unusable at first.
    """

    def __init__(
        self,
        paths: Sequence[str],
        read: Callable[[], Value],
        clock: Clock,
        *,
        events: tuple[str, str],
        advice: str,
        **fields: object,
    ) -> None:
        self._paths = [Path(path) for path in paths]
        self._read = read
        self._clock = clock
        self._unreadable, self._reloaded = events
        self._advice = advice
        self._fields = fields
        self._lines = Throttle(LINES_A_MINUTE)
        self._failed_at: float | None = None
        self._stamps = self._look()
        self._value = read()

    def newest(self) -> Value:
        """The value of the files as they are now, if they are usable."""
        now = self._clock.now()
        stamps = self._look()
        is_due = self._failed_at is not None and now - self._failed_at >= RETRY_SECONDS
        if stamps != self._stamps or is_due:
            self._stamps = stamps
            try:
                self._value = self._read()
            except SettingsError as error:
                self._failed_at = now
                self._lines.say(log.warning, self._unreadable, now, error=str(error), advice=self._advice)
            else:
                self._failed_at = None
                self._lines.say(log.info, self._reloaded, now, **self._fields)
        return self._value

    def _look(self) -> list[Stamp | None]:
        """Which files these are, and as of when. A Kubernetes volume replaces them by changing a link to them."""
        return [_stamp_of(path) for path in self._paths]


def _stamp_of(path: Path) -> Stamp | None:
    """The size tells a half-written file from the whole one, which may have the same time: the kernel's clock ticks.
    The time of the last status change (ctime) shows that permissions have changed.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
