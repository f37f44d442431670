"""Measure: what a producer knows of its workers, as the results of a check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ...observe import interruptions
from ...observe.interruptions import InterruptionsStatus
from ...observe.status import LinkState
from ...producer.history import History
from ...producer.link import Link
from ...producer.producer import Producer
from ..summary import count_causes, sum_up
from .report import Interruption, LinkResult


@dataclass(frozen=True, slots=True)
class Subject:
    """A worker, or a target where none was found."""

    history: History
    link: Link | None
    """None: it has left."""

    @property
    def name(self) -> str:
        """What a person calls it."""
        link = self.link
        return self.history.worker or (link and (link.worker or str(link.target))) or self.history.target

    @property
    def target(self) -> str:
        return self.history.target if self.link is None else str(self.link.target)

    @property
    def is_reached(self) -> bool:
        """Whether it has taken this producer's numbers."""
        return self.history.stream is not None and self.history.interruptions.first_proved_at is not None


def subjects(producer: Producer) -> Iterator[Subject]:
    """Each worker once, whichever of its addresses is used and even if it has left; each target without a worker."""
    held = {link.history.worker for link in producer.links}
    for link in producer.links:
        if link.history.worker is not None or link.worker is None or link.worker not in held:
            yield Subject(link.history, link)
    for history in producer.departed:
        yield Subject(history, None)


def measure(subject: Subject, status: InterruptionsStatus, problem: str | None) -> LinkResult:
    """What became of it. `status` and `problem` were found earlier: the end of a check is neither."""
    history = subject.history
    shown = [*status.last, *([] if status.current is None else [status.current])]
    sent, acknowledged = count_numbers(subject)
    return LinkResult(
        worker=history.worker,
        target=subject.target,
        stream=history.stream,
        sent=sent,
        acknowledged=acknowledged,
        round_trips=sum_up(history.round_trips),
        count=status.count + (status.current is not None),
        longest=round(status.longest, 6),
        total=round(status.total, 6),
        availability=round(status.availability or 0.0, 9),
        by_cause=count_causes(status),
        interruptions=[_shown(each, is_over=each is not status.current) for each in shown],
        problem=problem,
    )


def count_numbers(subject: Subject) -> tuple[int, int]:
    """How many numbers it was sent, and how many it has acknowledged."""
    acknowledged = subject.history.acknowledged
    return acknowledged + (0 if subject.link is None else subject.link.unacked), acknowledged


def find_problem(subject: Subject, now: float) -> str | None:
    """Why numbers do not arrive now; None: they do."""
    link = subject.link
    if link is not None and link.state is LinkState.STANDBY:
        return f"{link.served_by} serves it"
    if link is not None and not subject.is_reached:
        return f"not reached: {link.last_error or link.state}"
    current = subject.history.interruptions.status(now, 0).current
    if current is None:
        return None
    if link is None:
        return f"gone for {current.seconds:.1f} s ({current.cause}): no target leads to it now"
    error = find_error(subject, current)
    return f"interrupted for {current.seconds:.1f} s ({current.cause})" + ("" if error is None else f": {error}")


def find_error(subject: Subject, current: interruptions.Interruption) -> str | None:
    """What ended the connection that `current` began with, or the last attempt since; None: the connection lives."""
    if current.unnoticed is None or subject.link is None or subject.link.last_error is None:
        return None  # the error of a live connection is that of an older one
    return subject.link.last_error


def _shown(interruption: interruptions.Interruption, *, is_over: bool) -> Interruption:
    return Interruption(
        start=datetime.fromtimestamp(interruption.start, UTC).isoformat(timespec="milliseconds"),
        seconds=interruption.seconds,
        unnoticed=interruption.unnoticed,
        cause=str(interruption.cause),
        is_over=is_over,
    )
