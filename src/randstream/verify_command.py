"""The verify command: what `store.verify` finds, for a terminal or for a machine."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from .errors import SettingsError
from .store import Report, StreamReport, verify


def run_verify(paths: Sequence[str], seed: str | None, *, as_json: bool) -> int:
    """Check `paths`, print what was found; 0 if all holds, else 1.

    Raises:
        SettingsError: a path means no stream or cannot be read, or the seed cannot be used.
    """
    columns = BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("verify")
            report = verify(paths, seed, lambda done, total: progress.update(task, completed=done, total=total))
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename or ', '.join(paths)}: {error.strerror or error}") from None
    if as_json:
        print(json.dumps({"ok": report.ok, "count": report.count, **dataclasses.asdict(report)}, default=str))
    else:
        for stream in report.streams:
            print(describe(stream, report))
    sys.stdout.flush()
    return 0 if report.ok else 1


def describe(stream: StreamReport, report: Report) -> str:
    """One line, or two, on one stream."""
    proof = "every number recomputed" if report.with_seed else "every checksum; --seed recomputes the numbers too"
    numbers = f"{stream.count:,} numbers from {stream.first_offset} to {stream.end_offset} hold ({proof})"
    tail = f"; {stream.unproven_tail_bytes} unproven bytes follow" if stream.unproven_tail_bytes else ""
    if stream.damage is None:
        return f"ok       {_name(stream.folder)}: {numbers}{tail}"
    return f"DAMAGED  {_name(stream.folder)}: {numbers}\n         {stream.damage}"


def _name(folder: Path) -> Any:
    return folder.name or folder
