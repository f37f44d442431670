"""Addresses: where to listen and what to dial, as people write them. Resolves no name; only `read_targets` does I/O."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..numbers.offsets import check_integer
from ..numbers.seed import BYTE_ORDER_MARK
from .checks import shorten
from .files import read_text

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9000
_HOST: Final = re.compile(r"|\[?[0-9A-Fa-f:.]*(?:[0-9A-Fa-f.]|::)\]?|[A-Za-z0-9_][A-Za-z0-9._-]*")
"""An IPv6 address ends in no single colon: what comes before the last colon of `::1` is no host."""
_TARGET: Final = re.compile(r"(?:([a-z]+)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::([0-9]+))?")

_ADVICE: Final = (
    "give host:port, such as node-1:9000 or [::1]:9000, a port alone, or raw://, dns:// or srv:// and a name"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. An empty host: every address of the machine. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What to dial. `scheme`: `stream` for a randstream worker, `raw` for a peer without a protocol.

    `srv` and `dns` name a service, which DNS resolves to workers. SRV records contain the ports: `port` is then 0.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        prefix = "" if self.scheme == "stream" else f"{self.scheme}://"
        return prefix + (self.host if self.scheme == "srv" else str(Address(self.host, self.port)))

    @property
    def is_service(self) -> bool:
        """Whether it stands for all workers that DNS names."""
        return self.scheme in ("srv", "dns")

    @property
    def raw_worker(self) -> str:
        """The worker name whose numbers a raw target gets, as it has no name of its own: `raw-HOST-PORT`."""
        return f"raw-{re.sub(r'[^A-Za-z0-9._-]', '_', self.host)}-{self.port}"


def check_address(value: Any) -> Address:
    """`host:port`, or a port of DEFAULT_HOST; an empty host means every address of the machine, of both families."""
    if isinstance(value, Address):
        return replace(value, port=_check_port(value.port, least=0))
    text = value if isinstance(value, str) else ""
    host, colon, port = text.rpartition(":") if not text.isdecimal() else (DEFAULT_HOST, ":", text)
    if not colon or not _HOST.fullmatch(host):
        raise ValueError(
            "give HOST:PORT, such as 127.0.0.1:9000, [::1]:9000 or :9000 (port 0: any free one); or a port alone"
        )
    return Address(host.strip("[]"), _check_port(port, least=0))


def check_target(value: Any) -> Target:
    """`host:port`, `[v6]:port`, a port of DEFAULT_HOST, `raw://host:port`, `dns://name:port`, `srv://_port._tcp.name`."""
    if isinstance(value, Target):
        return replace(value, port=_check_port(value.port, least=0 if value.scheme == "srv" else 1))
    found = _TARGET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{shorten(str(value))} is not a target; {_ADVICE}")
    scheme, host, port = found.groups("")
    if scheme not in ("", "stream", "raw", "dns", "srv"):
        raise ValueError(f"{shorten(value)} has an unknown scheme; {_ADVICE}")
    if scheme == "srv":
        if port:
            raise ValueError(f"{shorten(value)} has a port, but SRV records have their own; give srv://name")
        return Target(scheme, host, 0)
    if host.isdecimal() and not port:
        host, port = DEFAULT_HOST, host
    return Target(scheme or "stream", host.strip("[]"), _check_port(port or str(DEFAULT_PORT), least=1))


def check_targets(value: Any) -> tuple[Target, ...] | str:
    """Targets, as text separated by commas; or `@FILE`, which stays as it is: see `read_targets`."""
    if not isinstance(value, str):
        return _check_each(value if isinstance(value, Iterable) else [value])
    return value if value.startswith("@") else _check_texts(value.split(","))


def read_targets(given: tuple[Target, ...] | str) -> tuple[Target, ...]:
    """The targets that `check_targets` gave; those of `@FILE` are read, one per line. Raises ValueError."""
    if not isinstance(given, str):
        return given
    return _check_texts(read_text(given[1:]).removeprefix(BYTE_ORDER_MARK).splitlines())


def _check_texts(texts: Iterable[str]) -> tuple[Target, ...]:
    return _check_each(text.partition("#")[0].strip() for text in texts)


def _check_each(given: Iterable[Any]) -> tuple[Target, ...]:
    targets = tuple(check_target(each) for each in given if each)
    if not targets:
        raise ValueError("no worker is named; give host:port, several separated by commas, or @FILE")
    [(target, times)] = Counter(targets).most_common(1)
    if times > 1:
        raise ValueError(f"{target} is named {times} times; name each worker once")
    return targets


def _check_port(given: str | int, least: int) -> int:
    if isinstance(given, str):
        port = int(given) if re.fullmatch(r"[0-9]{1,5}", given) else -1
    else:
        port = check_integer(given, "the port")
    if not least <= port <= 65535:
        raise ValueError(f"give a port from {least} to 65535")
    return port
