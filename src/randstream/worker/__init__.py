"""Worker: takes one stream into its sink, over however many connections."""

from __future__ import annotations

from .worker import Worker

__all__ = ["Worker"]
