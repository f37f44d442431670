"""Producer: a link to every worker, from the first dial to the last goodbye. It knows nothing about stores."""

from __future__ import annotations

from .producer import Producer

__all__ = ["Producer"]
