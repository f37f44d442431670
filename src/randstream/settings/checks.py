"""Values: what a setting may hold, made from a value or its text; for what it may not, a line of advice."""

from __future__ import annotations

import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import SettingsError
from ..protocol import MAX_HEARTBEAT, MIN_HEARTBEAT, NAME

DEFAULT_PORT: Final = 9000
_UNITS: Final = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_TARGET: Final = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9._-]*)(?::(?P<port>[0-9]+))?"
)
_HOST: Final = re.compile(r"|\[?[0-9A-Fa-f:.]+\]?|[A-Za-z0-9_][A-Za-z0-9._-]*")
_SHOWN: Final = 60
"""Characters of what was given that an error repeats: ten thousand targets are no help."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What to dial. `scheme`: `stream` for a randstream worker, `raw` for a peer without a protocol.

    `srv` and `dns` name a service that DNS turns into workers. SRV records tell the ports themselves: `port` is then 0.
    """

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        prefix = "" if self.scheme == "stream" else f"{self.scheme}://"
        return prefix + (self.host if self.scheme == "srv" else str(Address(self.host, self.port)))

    @property
    def is_service(self) -> bool:
        """Whether it stands for however many workers DNS names."""
        return self.scheme in ("srv", "dns")

    @property
    def raw_worker(self) -> str:
        """The worker name whose numbers a raw target gets, as it tells none: `raw-HOST-PORT`."""
        return f"raw-{re.sub(r'[^A-Za-z0-9._-]', '_', self.host)}-{self.port}"


def check_target(value: Any) -> Target:
    """`host:port`, `[v6]:port`, `raw://host:port`, `dns://name:port`, `srv://_port._tcp.name`."""
    if isinstance(value, Target):
        return value
    found = _TARGET.fullmatch(value)
    if found is None:
        raise ValueError(f"{shorten(value)} is no target; give host:port, [v6]:port or raw://host:port")
    scheme = found["scheme"] or "stream"
    if scheme not in ("stream", "raw", "dns", "srv"):
        raise ValueError(
            f"{shorten(value)} has an unknown scheme; give host:port, raw://host:port, dns://name:port or srv://name"
        )
    if scheme == "srv":
        if found["port"]:
            raise ValueError(f"{shorten(value)} has a port, which SRV records tell; give srv://name")
        return Target(scheme, found["host"], 0)
    return Target(scheme, found["host"].strip("[]"), _check_port(found["port"] or str(DEFAULT_PORT), least=1))


def check_targets(value: Any) -> tuple[Target, ...]:
    """Targets separated by commas, or `@FILE` with one a line and `#` comments."""
    given: Iterable[Any] = value
    if isinstance(value, str):
        texts = _read_text(value[1:]).splitlines() if value.startswith("@") else value.split(",")
        given = [text.partition("#")[0].strip() for text in texts]
    targets = tuple(check_target(each) for each in given if each)
    if not targets:
        raise ValueError("no worker is named; give host:port, several separated by commas, or @FILE")
    [(target, times)] = Counter(targets).most_common(1)
    if times > 1:
        raise ValueError(f"{target} is named {times} times; name each worker once")
    return targets


def check_address(value: Any) -> Address:
    """`host:port`; an empty host means every address of the machine."""
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).rpartition(":")
    if not colon or not _HOST.fullmatch(host):
        raise ValueError("give HOST:PORT, such as 127.0.0.1:9000 or 0.0.0.0:9000 (port 0: any free one)")
    return Address(host.strip("[]") or "0.0.0.0", _check_port(port, least=0))  # noqa: S104 - an empty host means it


def check_name(value: Any) -> str:
    """A name as the wire has them."""
    if not NAME.fullmatch(value):
        raise ValueError("give a name of up to 128 letters, digits, '.', '_' and '-', the first a letter or a digit")
    return str(value)


def check_rate(value: Any) -> float:
    """Numbers a second; `max` is infinity."""
    if value == "max":
        return math.inf
    rate = _number(value)
    if not rate > 0:
        raise ValueError("give a number above 0 (numbers a second, 0.5 is fine), or max")
    return rate


def check_numbers(value: Any) -> str:
    """The canonical spelling of a distribution."""
    from ..numbers.distributions import parse_distribution  # NumPy: not for --help

    return parse_distribution(str(value)).spelling


def check_heartbeat(value: Any) -> float:
    """Seconds, of whole milliseconds."""
    seconds = round(_number(value), 3)
    if not MIN_HEARTBEAT <= seconds <= MAX_HEARTBEAT:
        raise ValueError(f"give {MIN_HEARTBEAT} to {MAX_HEARTBEAT:g} seconds")
    return seconds


def check_seconds(value: Any) -> float:
    """Seconds, 0 or more."""
    seconds = _number(value)
    if not 0 <= seconds < math.inf:
        raise ValueError("give seconds, 0 or more")
    return seconds


def check_size(value: Any) -> int:
    """Bytes: `1GiB`, `64MiB`, `4096`."""
    found = re.fullmatch(r"([0-9]{1,18}) ?([KMGT]iB|B|)", str(value))
    if found is None or not int(found[1]):
        raise ValueError("give bytes above 0, such as 1GiB, 64MiB or 1000000")
    return int(found[1]) * _UNITS[found[2]]


def check_switch(value: Any) -> bool:
    """True or false, as people write it in an environment."""
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    try:
        return known[str(value).lower()]
    except KeyError:
        raise ValueError("give true or false") from None


def check_command(value: Any) -> tuple[str, ...]:
    """A program and its arguments; as text, quoted as in a shell."""
    try:
        return tuple(shlex.split(value) if isinstance(value, str) else value)
    except ValueError as error:
        raise ValueError(f"{error}; quote it as in a shell") from None


def check_file(value: Any) -> str:
    """A file; whether it is there shows when it is read."""
    if value == "":
        raise ValueError("give a file")
    return str(value)


def check_identities(value: Any) -> tuple[str, ...]:
    """Names in certificates, separated by commas. DNS names, unlike URIs, in lower case."""
    given = [value] if isinstance(value, str) else value
    names = tuple(name.strip() for each in given for name in each.split(","))
    if not all(re.fullmatch(r"[^\s*]+", name) for name in names):
        raise ValueError("give DNS names or URIs as they stand in certificates, several separated by commas")
    return tuple(name if "/" in name else name.lower() for name in names)


def check_folder(value: Any) -> Path:
    """A folder, which is made if it is missing."""
    if value == "":
        raise ValueError("give a folder")
    return Path(value)


def or_none(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A check that lets None pass, and else is `check`."""
    return lambda value: None if value is None else check(value)


def in_words(choices: Sequence[str]) -> str:
    """`a, b or c`."""
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def one_of(*choices: str) -> Callable[[Any], str]:
    """A check that lets only `choices` pass."""

    def check(value: Any) -> str:
        if (choice := str(value).lower()) not in choices:
            raise ValueError(f"give {in_words(choices)}")
        return choice

    return check


def check_seed(value: Any) -> str:
    """Any text that is not empty; white space at its ends is dropped."""
    from ..numbers.stream import parse_seed  # NumPy: not for --help

    return parse_seed(str(value))


def read_seed(seed: str | None, seed_file: str | None) -> str | None:
    """The seed given as text or else in a file (`-`: standard input); None if neither is given.

    Raises:
        SettingsError: the file cannot be read, or holds no seed.
    """
    if seed_file is None:
        return seed
    try:
        return check_seed(_read_text(seed_file))
    except (ValueError, SettingsError) as error:
        raise SettingsError(f"--seed-file {shorten(seed_file)}: {error}") from None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("give a number") from None


def _check_port(text: str, least: int) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not least <= int(text) <= 65535:
        raise ValueError(f"give a port from {least} to 65535")
    return int(text)


def _read_text(path: str) -> str:
    what = "standard input" if path == "-" else shorten(path)
    try:
        if path != "-":
            return Path(path).read_bytes().decode()
        if sys.stdin is None:
            raise ValueError("standard input is closed; give a file")
        return sys.stdin.buffer.read().decode()
    except OSError as error:
        raise ValueError(f"cannot read {what}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{what} is not UTF-8 text; give a text file") from None


def shorten(text: str) -> str:
    """As much of what was given as an error repeats, on one line."""
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return shown if shown and shown.isprintable() else repr(shown)
