"""Measure: what a producer knows of its links, as the results of a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from ...observe import interruptions
from ...observe.durations import Durations
from ...observe.status import LinkState
from ...producer.link import Link
from ...settings import Target
from .report import Interruption, LinkResult, RoundTrips


def measure(
    links: Iterable[Link], now: float, problems: Mapping[Target, str | None] | None = None
) -> Iterator[LinkResult]:
    """Each link as it is, or was, at `now`, in seconds of its clock. `problems`: those found then, if it has ended."""
    for link in links:
        status = link.interruptions.status(now)
        shown = [*status.last, *([] if status.current is None else [status.current])]
        yield LinkResult(
            worker=link.worker,
            target=str(link.target),
            stream=None if link.stream is None else link.stream.id,
            sent=link.offset - (link.first_offset or 0),
            acknowledged=link.acked_offset - (link.first_offset or 0),
            round_trips=_summed_up(link.round_trips),
            count=status.count + (status.current is not None),
            longest=status.longest,
            total=status.total,
            availability=status.availability or 0.0,
            by_cause=dict(Counter(str(each.cause) for each in shown)),
            interruptions=[_shown(each, is_over=each is not status.current) for each in shown],
            problem=find_problem(link, now) if problems is None else problems.get(link.target),
        )


def find_problem(link: Link, now: float) -> str | None:
    """Why numbers do not arrive now; None: they do."""
    if link.state is LinkState.STANDBY:
        return f"{link.served_by} serves it: {link.last_error or 'the same stream'}"
    status = link.interruptions.status(now, 0)
    if link.first_offset is None or status.availability is None:
        return f"not reached: {link.last_error or link.state}"
    if status.current is None:
        return None
    why = f": {link.last_error}" if link.last_error else ""
    return f"interrupted for {status.current.seconds:.1f} s ({status.current.cause}){why}"


def _summed_up(trips: Durations | None) -> RoundTrips | None:
    if trips is None or not trips.count:
        return None
    return RoundTrips(trips.shortest, trips.quantile(0.5), trips.quantile(0.99), trips.longest)


def _shown(interruption: interruptions.Interruption, *, is_over: bool) -> Interruption:
    return Interruption(
        start=datetime.fromtimestamp(interruption.start, UTC).isoformat(timespec="milliseconds"),
        seconds=interruption.seconds,
        unnoticed=interruption.unnoticed,
        cause=str(interruption.cause),
        is_over=is_over,
    )
