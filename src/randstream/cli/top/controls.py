"""Controls: what whoever watches has chosen, and how each key changes it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .rows import SORTS
from .view import FIRST_LINKS, MOST_LINKS, Wanted

HELP: Final = (
    ("q, Ctrl-C", "quit"),
    ("/", "show only streams whose worker or peer contains what you type; Enter keeps it, Esc shows all"),
    ("s", f"sort by the next of: {', '.join(SORTS)}"),
    ("arrows, PgUp, PgDn, Home, End", "scroll"),
    ("p", "pause: the figures stand still, until p again"),
    ("Ctrl-Z", "suspend; fg continues"),
    ("?", "this help; any key leaves it"),
)
LONGEST_FILTER: Final = 128
"""Characters: as many as a name has."""
END: Final = 2**62
"""As a first line: as far down as there are lines."""


@dataclass
class Controls:
    """The choices. Lines are those of the table: rows, and notes below them."""

    sort: str = "trouble"
    name_filter: str = ""
    is_typing: bool = False
    """Whether keys go into the filter."""
    first: int = 0
    """The first line shown; if there are fewer, the last page is."""
    is_paused: bool = False
    shows_help: bool = False
    has_quit: bool = False

    @property
    def wanted(self) -> Wanted:
        """What the screen needs: the first links, trouble first, or all."""
        is_start = self.sort == "trouble" and self.first == 0
        return Wanted(FIRST_LINKS if is_start else MOST_LINKS, self.name_filter)

    def press(self, key: str, *, lines: int, page: int) -> None:
        """Do what `key` stands for. `lines`: how many there are; `page`: how many the screen has room for."""
        if self.shows_help:
            self.shows_help = False
            self.has_quit = key == "q"
        elif not self._scroll(key, lines, page):
            (self._type if self.is_typing else self._command)(key)

    def _scroll(self, key: str, lines: int, page: int) -> bool:
        """Whether `key` is one that scrolls."""
        last = max(0, lines - page)
        here = min(self.first, last)
        leap = max(1, page - 1)
        match key:
            case "up" | "down":
                here += 1 if key == "down" else -1
            case "page up" | "page down":
                here += leap if key == "page down" else -leap
            case "home" | "end":
                here = 0 if key == "home" else END
            case _:
                return False
        self.first = END if here == END else min(max(here, 0), last)
        return True

    def _command(self, key: str) -> None:
        match key:
            case "q":
                self.has_quit = True
            case "/":
                self.is_typing = True
                self._filter("")
            case "escape":
                self._filter("")
            case "s":
                sorts = list(SORTS)
                self.sort = sorts[(sorts.index(self.sort) + 1) % len(sorts)]
                self.first = 0
            case "p":
                self.is_paused = not self.is_paused
            case "?":
                self.shows_help = True

    def _type(self, key: str) -> None:
        match key:
            case "enter":
                self.is_typing = False
            case "escape":
                self.is_typing = False
                self._filter("")
            case "backspace":
                self._filter(self.name_filter[:-1])
            case "clear":
                self._filter("")
            case character if len(character) == 1:
                self._filter((self.name_filter + character)[:LONGEST_FILTER])

    def _filter(self, text: str) -> None:
        self.name_filter = text
        self.first = 0
