"""The verify command: what `store.verify` finds, for a terminal or for a machine."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from ..errors import SettingsError
from ..store import Report, StreamReport, verify


def run_verify(paths: Sequence[str], seed: str | None, *, as_json: bool) -> int:
    """Check `paths` and print what was found; the exit status. Raises SettingsError: a path or the seed is unusable."""
    columns = BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("verify")
            report = verify(paths, seed, lambda done, total: progress.update(task, completed=done, total=total))
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename or ', '.join(paths)}: {error.strerror or error}") from None
    click.echo(to_json(report) if as_json else "\n".join(to_lines(report)))  # colours, on a terminal only
    return 0 if report.ok else 1


def to_json(report: Report) -> str:
    """One JSON object: the fields of the dataclasses, with `ok` and `count`."""
    return json.dumps({"ok": report.ok, "count": report.count, **dataclasses.asdict(report)}, default=str)


def to_lines(report: Report) -> Iterator[str]:
    """One line for each stream, two for a damaged one; then how many are damaged, and what was not checked."""
    for stream in report.streams:
        yield from _describe(stream, report)
    damaged = sum(stream.damage is not None for stream in report.streams)
    if len(report.streams) > 1:
        yield f"{len(report.streams)} streams, {damaged or 'none'} damaged"
    if not report.with_seed:
        yield (
            "Checked: offsets, checksums, and that each line is a number."
            " Give --seed-file to have every number made again and compared, too."
        )


def _describe(stream: StreamReport, report: Report) -> Iterator[str]:
    name = stream.folder.name or stream.folder
    proof = "every one as the seed makes it" if report.with_seed else "every checksum holds"
    numbers = f"{stream.count:,} numbers"
    if stream.count:
        numbers += f", offsets {stream.first_offset} to {stream.end_offset - 1}"
    if stream.damage is None:
        tail = f"; {stream.unproven_tail_bytes} bytes after them await their beat" if stream.unproven_tail_bytes else ""
        yield f"{click.style('ok', fg='green')}       {name}: {numbers}, {proof}{tail}"
    else:
        label = click.style("DAMAGED", fg="red", bold=True)
        yield f"{label}  {name}: only {numbers} hold; what follows was not looked at"
        yield f"         {stream.damage}"
