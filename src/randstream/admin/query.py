"""Query: the parameters of a request, and what each kind of value may be."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import web

from ..observe.status import LinkState
from ..settings.checks import shorten
from .http import Refusal
from .order import SORTS, TROUBLE, is_sort


def parameters(request: web.BaseRequest, *known: str) -> dict[str, str]:
    """The query's parameters. Raises Refusal if one is unknown or repeated."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise Refusal(400, f"{name!r} is not a parameter of {request.path}; {takes}")
        if name in found:
            raise Refusal(400, f"{name!r} is given twice; give it once")
        found[name] = value
    return found


def read_count(query: Mapping[str, str], name: str, *, usual: int, most: int) -> int:
    """The parameter `name`, from 0 to `most`; `usual` if it is not given. Raises Refusal."""
    given = query.get(name, str(usual))
    if not (re.fullmatch(r"[0-9]{1,5}", given) and int(given) <= most):
        raise Refusal(400, f"{name}={given} is not a whole number from 0 to {most}")
    return int(given)


def read_states(query: Mapping[str, str]) -> frozenset[LinkState]:
    """The states that `state` names; none of them if it is not given, or empty. Raises Refusal."""
    given = query.get("state", "")
    try:
        return frozenset(map(LinkState, given.split(","))) if given else frozenset()
    except ValueError:
        raise Refusal(400, f"state={shorten(given)} is not among {', '.join(LinkState)}; commas between them") from None


def read_sort(query: Mapping[str, str]) -> str:
    """The order that `sort` names; the usual one if it is not given, or empty. Raises Refusal."""
    given = query.get("sort", "")
    if given and not is_sort(given):
        raise Refusal(400, f"sort={shorten(given)} is not one of {', '.join(SORTS)}; a - before it turns it round")
    return given or TROUBLE
