"""Report: what `top` shows, as JSON, and whether all is well. Pure. `docs/operations.md` documents the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .polled import Look
from .rows import Row


def is_well(looks: Sequence[Look], rows: Sequence[Row]) -> bool:
    """Whether every process answers and is ready, and every stream is well."""
    ready = all(look.answers and look.snapshot and look.snapshot["problem"] is None for look in looks)
    return ready and all(row.is_well for row in rows)


def to_json(looks: Sequence[Look], rows: Sequence[Row], now: float) -> dict[str, Any]:
    """A look at everything. `now`: seconds since 1970."""
    return {
        "time": now,
        "well": is_well(looks, rows),
        "processes": [_process(look) for look in looks],
        "streams": [_stream(row) for row in rows],
        "left_out": max((look.snapshot["left_out"] for look in looks if look.snapshot), default=0),
    }


def _process(look: Look) -> dict[str, Any]:
    snapshot = look.snapshot or {}
    return {
        "address": look.address,
        "answers": look.answers,
        "error": look.problem,
        "heard": look.since if look.snapshot else None,
        **{field: snapshot.get(field) for field in ("role", "name", "uptime", "problem", "warning", "numbers")},
    }


def _stream(row: Row) -> dict[str, Any]:
    return {
        "worker": row.worker,
        "state": row.state,
        "well": row.is_well,
        "notes": [{"process": process, "text": text} for process, text in row.notes],
        "process": row.process,
        "served_by": row.served_by or None,
        "standbys": list(row.standbys),
        **{field: row.link[field] for field in ("rate", "offset", "acked_offset", "round_trip", "silence")},
        "interruptions": row.interruptions,
        "longest": row.longest,
    }
