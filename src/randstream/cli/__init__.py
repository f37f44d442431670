"""The command line: reads arguments and the environment, prints, chooses exit codes."""

from __future__ import annotations

from .commands import main as main
