"""Renewed: what is made of files that somebody may replace while this process runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from ..clock import Clock
from ..errors import SettingsError
from ..observe.throttle import LINES_A_MINUTE, Throttle

RETRY_SECONDS: Final = 60.0
"""Files that could not be used are tried again after so long though they have not changed, since what was missing may
not be theirs (a descriptor, say); and it is said again."""

Value = TypeVar("Value")
Stamp = tuple[int, int, int, int, int]

log = structlog.get_logger("randstream")


class Renewed(Generic[Value]):
    """What `read` makes of the files at `paths`, made again when one of them has changed.

    Files that cannot be used any more change nothing: what was made before stays in use. `events` are the log's names
    for that and for its contrary, `advice` says what it means, `fields` are part of the event of files that are in use.

    They are looked at (a call of `stat` each, 5 µs) and, when they have changed, read (1 ms) on the loop: a few KiB,
    and somebody has just written them.

    Raises SettingsError, as `read` does: they cannot be used at first.
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
        """As the files are now, if they can be used."""
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
        """Which files these are, and as of when. A volume of Kubernetes changes them by changing a link to them."""
        return [_stamp_of(path) for path in self._paths]


def _stamp_of(path: Path) -> Stamp | None:
    """The size tells a file that is half written from the whole: both may bear the time of one tick of the kernel. The
    time of its status changes when somebody lets this process read it.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
