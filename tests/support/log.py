"""Log: the events that were logged while a test ran."""

from __future__ import annotations

from typing import Any

from tests.support.waiting import until


class Log:
    """Log events, oldest first."""

    def __init__(self, events: list[Any]) -> None:
        self.events = events

    def of(self, event: str) -> list[Any]:
        """All events of this name."""
        return [each for each in self.events if each["event"] == event]

    async def wait(self, event: str, count: int = 1) -> Any:
        """Wait until there are `count` events of this name; return the last of them."""
        await until(lambda: len(self.of(event)) >= count, f"{event} in {self.events}")
        return self.of(event)[count - 1]
