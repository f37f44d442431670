"""Accessibility: what axe-core finds on a page by the rules of WCAG 2.0 to 2.2, levels A and AA."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Any) -> dict[str, list[str]]:
    """What is wrong, by rule: the elements."""
    axe = files("axe_playwright_python") / "axe.min.js"
    page.evaluate(axe.read_text("utf-8"))
    found: dict[str, list[str]] = page.evaluate(
        "async tags => Object.fromEntries((await axe.run({runOnly: tags})).violations"
        ".map(({id, nodes}) => [id, nodes.map(node => node.target.join(' ') + ': ' + node.failureSummary)]))",
        RULES,
    )
    return found
