"""Order: which links come first. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Final

from ..observe.status import LinkState, LinkStatus, ObservedLink

TROUBLE: Final = "trouble"
"""The usual order: those in trouble first, then those interrupted most often."""
NAME: Final = "name"
"""By the worker's name, or the peer's while it is unknown; numbers in names count by their value."""
_WELL: Final = frozenset(map(LinkState, ["resting", "standby", "streaming", "finished"]))
FIGURES: Final[dict[str, Callable[[LinkStatus], float | None]]] = {
    "rate": lambda link: link.rate if link.state in _WELL else None,
    "offset": lambda link: link.offset,
    "lag": lambda link: link.offset - link.acked_offset,
    "round-trip": lambda link: link.round_trip if link.state is LinkState.STREAMING else None,
    "silence": lambda link: link.silence,
    "reconnects": lambda link: link.reconnects,
    "interrupted": lambda link: link.interruptions.count + (link.interruptions.current is not None),
    "longest": lambda link: link.interruptions.longest,
    "total": lambda link: link.interruptions.total,
    "availability": lambda link: link.interruptions.availability,
}
"""The highest first, what is not known or not true now last. The page has the same ones, in `live/view.js`."""
SORTS: Final = (TROUBLE, NAME, *FIGURES)
"""With a `-` before all but the first: the other way round."""

_TROUBLE_FIRST: Final = list(
    map(LinkState, ["stalled", "waiting", "dialling", "opening", "resting", "standby", "streaming", "finished"])
)


def is_sort(sort: str) -> bool:
    """Whether `sort` is one of SORTS, or such a one the other way round."""
    return sort in SORTS or (sort.startswith("-") and sort[1:] in SORTS and sort[1:] != TROUBLE)


def first_of(
    links: Iterable[ObservedLink], limit: int, sort: str, status: Callable[[ObservedLink], LinkStatus]
) -> list[ObservedLink]:
    """The first `limit` of `links` in the order of `sort`, which `is_sort`. Only a figure needs the `status` of all."""
    if sort == TROUBLE:
        return nsmallest(limit, links, key=lambda link: (_TROUBLE_FIRST.index(link.state), -link.interruptions.count))
    name, is_reversed = sort.removeprefix("-"), sort.startswith("-")
    if name == NAME:
        named = sorted(links, key=_natural_name, reverse=is_reversed)
        return named[:limit]
    figure, sign = FIGURES[name], 1 if is_reversed else -1

    def key(link: ObservedLink) -> tuple[bool, float, tuple[str, str]]:
        value = figure(status(link))
        return value is None, sign * (value or 0), link.label

    return nsmallest(limit, links, key=key)


def _natural_name(link: ObservedLink) -> list[str | int]:
    worker, peer = link.label
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]{1,18})", worker or peer))]
