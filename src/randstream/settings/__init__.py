"""Settings: every default, unit and bound, defined once. Reads no environment."""

from __future__ import annotations

from .addresses import Address as Address
from .addresses import Target as Target
from .roles import CommonSettings as CommonSettings
from .roles import ProducerInputs as ProducerInputs
from .roles import ProducerSettings as ProducerSettings
from .roles import WorkerSettings as WorkerSettings
from .roles import settings_of as settings_of
from .seed import Seed as Seed
