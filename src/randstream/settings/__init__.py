"""Settings: every default, unit and bound, defined once. Reads no environment."""

from __future__ import annotations

from .roles import CommonSettings, ProducerSettings, WorkerSettings

__all__ = ["CommonSettings", "ProducerSettings", "WorkerSettings"]
