"""Names: which of a producer's links has which worker. A worker reached by several targets has one link."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar


class Waking(Protocol):
    """A link, as far as it can be woken."""

    def start(self, when: float) -> None:
        """Dial at `when`."""


Each = TypeVar("Each", bound=Waking)


class Names(Generic[Each]):
    """A link keeps its worker until it loses it; the others rest, and are woken then."""

    def __init__(self) -> None:
        self._holders: dict[str, Each] = {}
        self._resting: dict[str, dict[Each, None]] = {}

    def claim(self, worker: str, link: Each) -> Each:
        """Claim `worker` for `link`; return the link that has it: `link`, if no other had it before."""
        return self._holders.setdefault(worker, link)

    def rest(self, worker: str, link: Each) -> None:
        """Wake `link` when `worker` is free."""
        self._resting.setdefault(worker, {})[link] = None

    def release(self, worker: str, link: Each, now: float) -> None:
        """`link` has lost `worker`, or no longer waits for it."""
        resting = self._resting.get(worker, {})
        resting.pop(link, None)
        if self._holders.get(worker) is link:
            del self._holders[worker]
            for other in resting:
                other.start(now)
            resting.clear()
        if not resting:
            self._resting.pop(worker, None)
