"""Columns: which columns of the table there is room for, and a row in them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ..words import in_seconds
from .rows import Row

GAP: Final = 2
LEAST_NAME: Final = 12
"""Cells that a name has, or else half of the screen, before any other column gets its own."""
MOST_TEXT: Final = 24
"""Cells that any other text has, before the next column gets its own."""
MARK: Final = 2
"""Cells of the mark before a name."""
STYLES: Final = {"streaming": "green", "stalled": "yellow", "standby": "blue", "resting": "dim", "finished": "dim"}
MARKS: Final = {"streaming": "●", "stalled": "■", "standby": "◇", "resting": "–", "finished": "·"}
"""Shapes as well, for those who cannot tell the colours apart."""
OTHER_STYLE, OTHER_MARK = "red", "○"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what a row has there, and which of SORTS sorts by it."""

    title: str
    cell: Callable[[Row], str]
    sort: str = ""
    is_number: bool = True


def in_numbers(rate: float) -> str:
    """`1,234` or `0.5`."""
    return f"{rate:,.0f}" if rate >= 9.95 else f"{rate:.1f}"


def _standbys(row: Row) -> str:
    return f"{len(row.standbys)}: {', '.join(row.standbys)}" if row.standbys else "–"


NAME: Final = Column("worker", lambda row: row.worker, "name", is_number=False)
STATE: Final = Column("state", lambda row: row.state, "trouble", is_number=False)
SERVED_BY: Final = Column("served by", lambda row: row.served_by or "–", is_number=False)
PROCESS: Final = Column("process", lambda row: row.process, is_number=False)
STANDING_BY: Final = Column("standing by", _standbys, is_number=False)
RATE: Final = Column("numbers/s", lambda row: in_numbers(row.link["rate"]), "rate")
OFFSET: Final = Column("offset", lambda row: f"{row.link['offset']:,}", "offset")
LAG: Final = Column("lag", lambda row: f"{row.lag:,}", "lag")
ROUND_TRIP: Final = Column("round trip", lambda row: in_seconds(row.link["round_trip"]), "round-trip")
SILENT: Final = Column("silent", lambda row: in_seconds(row.link["silence"]), "silence")
INTERRUPTED: Final = Column("interrupted", lambda row: f"{row.interruptions:,}", "interrupted")
LONGEST: Final = Column("longest", lambda row: in_seconds(row.longest if row.interruptions else None), "longest")
ORDER: Final = (
    STATE, SERVED_BY, STANDING_BY, PROCESS, RATE, OFFSET, LAG, ROUND_TRIP, SILENT, INTERRUPTED, LONGEST,
)  # fmt: skip
"""After the name, from left to right."""
MOST_IMPORTANT_FIRST: Final = (
    STATE, RATE, OFFSET, SERVED_BY, PROCESS, LAG, SILENT, ROUND_TRIP, INTERRUPTED, LONGEST, STANDING_BY,
)  # fmt: skip

Widths = dict[Column, int]
"""The columns that are shown, from left to right, and the cells of each."""


def choose_columns(rows: Sequence[Row], width: int, sort: str = "trouble", *, names_process: bool) -> Widths:
    """The columns that fit `rows` into `width` cells.

    The name is always there, though perhaps shortened. The others vanish from the least important on, which the one
    that is sorted by never is. `names_process`: show which process reports a row.
    """
    name = MARK + _needed(NAME, rows)
    widths = {NAME: min(name, max(LEAST_NAME, width // 2), width)}
    wishes = {NAME: name}
    left = width - widths[NAME]
    for column in sorted(MOST_IMPORTANT_FIRST, key=lambda column: column.sort != sort):
        if column is PROCESS and not names_process:
            continue
        needed = _needed(column, rows)
        least = needed if column.is_number else min(needed, MOST_TEXT)
        if GAP + least > left:
            break
        left -= GAP + least
        widths[column], wishes[column] = least, needed
    for column, wish in wishes.items():
        more = min(left, wish - widths[column])
        left -= more
        widths[column] += more
    return {column: widths[column] for column in (NAME, *ORDER) if column in widths}


def title_line(widths: Widths, sort: str) -> Text:
    """The titles; that of the column that is sorted by stands out."""
    line = _line()
    for column, width in widths.items():
        _append(line, column, column.title, width, "bold" if column.sort == sort else "dim")
    return line


def row_line(row: Row, widths: Widths) -> Text:
    """A row of the table."""
    style = STYLES.get(row.state, OTHER_STYLE)
    line = _line()
    line.append(f"{MARKS.get(row.state, OTHER_MARK)} ", style=style)
    for column, width in widths.items():
        cells = width - MARK if column is NAME else width
        _append(line, column, column.cell(row), cells, style if column is STATE else "")
    return line


def shorten(text: str, cells: int) -> str:
    """`text`, with an ellipsis in its middle if it takes more than `cells` cells: names differ at both ends."""
    if cell_len(text) <= cells:
        return text
    if cells < 1:
        return ""
    tail = (cells - 1) // 2
    return f"{set_cell_size(text, cells - 1 - tail).rstrip()}…{set_cell_size(text[::-1], tail)[::-1].lstrip()}"


def _needed(column: Column, rows: Sequence[Row]) -> int:
    return max(cell_len(column.title), *(cell_len(column.cell(row)) for row in rows), 0)


def _line() -> Text:
    return Text(no_wrap=True, overflow="crop")


def _append(line: Text, column: Column, text: str, cells: int, style: str) -> None:
    text = shorten(text, cells)
    padding = " " * (cells - cell_len(text))
    gap = "" if column is NAME else " " * GAP
    if column.is_number:
        line.append(gap + padding).append(text, style=style)
    else:
        line.append(gap).append(text, style=style).append(padding)
