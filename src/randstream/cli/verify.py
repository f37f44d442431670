"""The verify command: what `store.verify` finds, for a terminal or for a machine."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import click
from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from ..errors import SettingsError
from ..store import Report, StreamReport, verify
from .console import shown_progress

_INDENT: Final = " " * 9


def run_verify(paths: Sequence[str], seed: str | None, *, as_json: bool) -> int:
    """Check `paths`, print what was found and return the exit status.

    Raises SettingsError: a path or the seed is unusable.
    """
    columns = BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
    try:
        with shown_progress(*columns) as update:
            report = verify(paths, seed, lambda done, total: update(completed=done, total=total))
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename or ', '.join(paths)}: {error.strerror or error}") from None
    click.echo(to_json(report) if as_json else "\n".join(to_lines(report)))  # colours, on a terminal only
    return 0 if report.ok else 1


def to_json(report: Report) -> str:
    """One JSON object: the fields of the dataclasses, with `ok` and `count`, and each stream's `outcome`."""
    streams = [{"outcome": stream.outcome, **dataclasses.asdict(stream)} for stream in report.streams]
    fields = {"ok": report.ok, "count": report.count, **dataclasses.asdict(report), "streams": streams}
    return json.dumps(fields, default=str)


def to_lines(report: Report) -> Iterator[str]:
    """A line for each stream, two for a faulty one; what is foreign; how many are faulty; what was not checked."""
    for stream in report.streams:
        yield from _describe(stream, report)
    for path in (*(path for stream in report.streams for path in stream.foreign), *report.foreign):
        yield f"{_label('foreign', 'yellow')}{path}: not the store's; left alone"
    outcomes = Counter(stream.outcome for stream in report.streams)
    if len(report.streams) > 1:
        wrong = f", {outcomes['wrong seed']} with another seed" if outcomes["wrong seed"] else ""
        yield f"{len(report.streams)} streams, {outcomes['damaged'] or 'none'} damaged{wrong}"
    if not report.with_seed:
        yield (
            "Checked: offsets, checksums, and that each line is a number."
            " Give --seed-file to compare every number with the seed's, too."
        )


def _describe(stream: StreamReport, report: Report) -> Iterator[str]:
    name = stream.folder.name or stream.folder
    is_compared = report.with_seed and stream.seed_makes is None
    proof = "every one as the seed makes it" if is_compared else "every checksum holds"
    numbers = f"{stream.count:,} numbers"
    if stream.count:
        numbers += f", offsets {stream.first_offset} to {stream.end_offset - 1}"
    if stream.damage is not None:
        yield f"{_label('DAMAGED', 'red')}{name}: only {numbers} hold; what follows was not checked"
        yield f"{_INDENT}{stream.damage}"
        return
    tail = f"; {stream.unproven_tail_bytes} bytes after them await their beat" if stream.unproven_tail_bytes else ""
    if stream.seed_makes is None or stream.opened is None:
        yield f"{_label('ok', 'green')}{name}: {numbers}, {proof}{tail}"
    else:
        yield f"{_label('WRONG SEED', 'red')}{name}: {numbers}, {proof}{tail}; none was compared"
        given, had = stream.seed_makes, stream.opened.stream
        yield f"{_INDENT}the seed given makes stream {given}, and this is {had}: give the seed that made it"


def _label(word: str, colour: str) -> str:
    return f"{click.style(word, fg=colour, bold=word.isupper() or None)}{' ' * max(9 - len(word), 2)}"
