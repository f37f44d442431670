"""The command line: reads arguments and the environment, prints, chooses exit codes."""

from __future__ import annotations

from .entry import main as main
