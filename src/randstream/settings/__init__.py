"""Settings: every default, unit and bound, defined once. Reads no environment."""

from __future__ import annotations

from .addresses import Address, Target
from .roles import CommonSettings, ProducerInputs, ProducerSettings, WorkerSettings, settings_of
from .seed import Seed

__all__ = [
    "Address",
    "CommonSettings",
    "ProducerInputs",
    "ProducerSettings",
    "Seed",
    "Target",
    "WorkerSettings",
    "settings_of",
]
