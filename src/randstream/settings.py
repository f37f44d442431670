"""Settings: every default, unit and bound, once. From one field come the flag, the variable, the help and the docs.

A field takes a value or its text, so that a program and a command line are checked alike. Reads no environment.
"""

from __future__ import annotations

import math
import re
import secrets
import shlex
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from .errors import SettingsError
from .protocol import MAX_HEARTBEAT, MIN_HEARTBEAT, NAME

DEFAULT_PORT: Final = 9000
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOOPS: Final = ("uvloop", "asyncio")
_UNITS: Final = {"": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_TARGET: Final = re.compile(
    r"(?:(?P<scheme>[a-z]+)://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9._-]*))(?::(?P<port>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one setting besides its value. `check` turns a value or its text into the value."""

    flag: str
    metavar: str
    help: str
    check: Callable[[Any], Any]
    default_text: str
    is_secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return "RANDSTREAM_" + self.flag.upper().replace("-", "_")

    @property
    def is_switch(self) -> bool:
        """Whether the flag stands alone."""
        return not self.metavar


def setting(
    flag: str,
    metavar: str,
    check: Callable[[Any], Any],
    help: str,
    *,
    default: Any = MISSING,
    factory: Callable[[], Any] | None = None,
    default_text: str | None = None,
    is_secret: bool = False,
) -> Any:
    """A dataclass field that is a setting."""
    shown = str(default) if default_text is None else default_text
    known = Setting(flag, metavar, help, check, shown, is_secret)
    extra: dict[str, Any] = {"default_factory": factory} if factory else {"default": default}
    return field(repr=not is_secret, metadata={"setting": known}, **extra)


def settings_of(kind: type[CommonSettings]) -> dict[str, Setting]:
    """The settings of a role by the name of their field, in the order of their definition."""
    return {each.name: each.metadata["setting"] for each in fields(kind) if "setting" in each.metadata}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What to dial. `scheme`: `stream` for a randstream worker, `raw` for a peer without a protocol."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        prefix = "" if self.scheme == "stream" else f"{self.scheme}://"
        return prefix + str(Address(self.host, self.port))

    @property
    def raw_worker(self) -> str:
        """The worker name whose numbers a raw target gets, as it tells none: `raw-HOST-PORT`."""
        return f"raw-{re.sub(r'[^A-Za-z0-9._-]', '_', self.host)}-{self.port}"


def check_target(text: Any) -> Target:
    """`host:port`, `[v6]:port`, `raw://host:port`."""
    if isinstance(text, Target):
        return text
    found = _TARGET.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no target; give host:port, [v6]:port or raw://host:port")
    scheme = found["scheme"] or "stream"
    if scheme not in ("stream", "raw"):
        raise ValueError(f"{text!r} has an unknown scheme; give host:port or raw://host:port")
    port = int(found["port"] or DEFAULT_PORT)
    if not 1 <= port <= 65535:
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return Target(scheme, found["host"].strip("[]"), port)


def check_targets(value: Any) -> tuple[Target, ...]:
    """Targets separated by commas, or `@FILE` with one a line and `#` comments."""
    texts: Iterable[Any] = value
    if isinstance(value, str):
        if value.startswith("@"):
            lines = _read_text(value[1:]).splitlines()
            texts = [line.split("#")[0].strip() for line in lines]
        else:
            texts = [text.strip() for text in value.split(",")]
    targets = tuple(check_target(text) for text in texts if text)
    if not targets:
        raise ValueError("no worker is named; give host:port, several separated by commas, or @FILE")
    repeated = [str(target) for target in targets if targets.count(target) > 1] if len(targets) < 100 else []
    if repeated or len(set(targets)) < len(targets):
        raise ValueError(f"a target is named twice{': ' + repeated[0] if repeated else ''}; name each once")
    return targets


def check_address(value: Any) -> Address | None:
    """`host:port`; an empty host means every address of the machine."""
    if value is None or isinstance(value, Address):
        return value
    host, colon, port = value.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("give HOST:PORT, such as 127.0.0.1:9000 or 0.0.0.0:9000 (port 0: any free one)")
    return Address(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - what an empty host means everywhere


def check_name(value: Any) -> str:
    """A name as the wire has them."""
    if not NAME.fullmatch(value):
        raise ValueError("use up to 128 letters, digits, '.', '_' and '-', the first a letter or a digit")
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
    from .distributions import parse_distribution  # NumPy: not for --help

    return parse_distribution(value).spelling


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


def check_size(value: Any) -> int | None:
    """Bytes: `1GiB`, `64MiB`, `4096`."""
    if value is None or (isinstance(value, int) and value > 0):
        return value
    found = re.fullmatch(r"([0-9]+) ?([KMGT]iB|B|)", str(value))
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
    return tuple(shlex.split(value) if isinstance(value, str) else value)


def check_folder(value: Any) -> Path | None:
    """A folder that is made if it is missing."""
    if value == "":
        raise ValueError("give a folder")
    return None if value is None else Path(value)


def one_of(*choices: str) -> Callable[[Any], str]:
    """A check that lets only `choices` pass."""

    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"give one of {', '.join(choices)}")
        return str(value)

    return check


def check_seed(value: Any) -> str | None:
    """Any text that is not empty; white space at its ends is dropped."""
    if value is None:
        return None
    seed = str(value).strip(" \t\n\r\f\v")
    if not seed:
        raise ValueError("the seed is empty; give any text, such as 42")
    return seed


def read_seed(seed: str | None, seed_file: str | None) -> str | None:
    """The seed given as text or in a file (`-`: standard input), None if neither.

    Raises:
        SettingsError: both are given, or the file cannot be read.
    """
    if seed_file is None:
        return seed
    if seed is not None:
        raise SettingsError("--seed and --seed-file are both given; give one")
    try:
        return check_seed(_read_text(seed_file))
    except ValueError as error:
        raise SettingsError(f"--seed-file {seed_file}: {error}") from None


def default_name() -> str:
    """The host's name."""
    return socket.gethostname()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What both roles have. Raises SettingsError, one line, for whatever cannot be used."""

    name: str = setting(
        "name", "NAME", check_name, "Name of this process, as its peers see it.",
        factory=default_name, default_text="the host's name",
    )  # fmt: skip
    grace_period: float = setting(
        "grace", "SECONDS", check_seconds, "How long an end on SIGTERM or Ctrl-C may take, to lose nothing.", default=5.0
    )
    admin: Address | None = setting(
        "admin", "HOST:PORT", check_address, "Serve the live page, health, metrics and JSON there.",
        default=None, default_text="off",
    )  # fmt: skip
    log_level: str = setting("log-level", "LEVEL", one_of(*LOG_LEVELS), "Least level that is logged.", default="info")
    loop: str = setting("loop", "LOOP", one_of(*LOOPS), "The event loop to run on.", default="uvloop")

    def __post_init__(self) -> None:
        for name, known in settings_of(type(self)).items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, known.check(value))
            except (ValueError, TypeError, AttributeError, SettingsError) as error:
                given = "" if known.is_secret or not isinstance(value, str | int | float) else f" {value}"
                raise SettingsError(f"--{known.flag}{given}: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerSettings(CommonSettings):
    """What a producer is to do."""

    workers: tuple[Target, ...] = setting(
        "workers", "TARGETS", check_targets,
        "Workers to stream to: host:port, several separated by commas; raw://host:port for a peer such as nc -lk;"
        " or @FILE with one a line.",
        default=(), default_text="required",
    )  # fmt: skip
    seed: str = setting(
        "seed", "TEXT", check_seed, "Seed that all numbers follow from. Seen by `ps`: see --seed-file.",
        default=None, default_text="drawn, and logged", is_secret=True,
    )  # fmt: skip
    seed_file: str | None = setting(
        "seed-file", "FILE", lambda value: value, "File that holds the seed (-: standard input).",
        default=None, default_text="none",
    )  # fmt: skip
    rate: float = setting("rate", "RATE", check_rate, "Numbers a second for each worker, or max.", default=10.0, default_text="10")
    numbers: str = setting(
        "numbers", "DISTRIBUTION", check_numbers,
        "integers:LOW:HIGH, bits64, uniform:LOW:HIGH, exponential:SCALE or normal:MEAN:SD.",
        default="integers:1:100",
    )  # fmt: skip
    heartbeat_interval: float = setting(
        "heartbeat", "SECONDS", check_heartbeat,
        "Time between beats; three without a sign of life end a connection.", default=1.0,
    )  # fmt: skip
    seed_was_drawn: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        super(ProducerSettings, self).__post_init__()
        seed = read_seed(self.seed, self.seed_file)
        object.__setattr__(self, "seed_was_drawn", seed is None)
        object.__setattr__(self, "seed", seed or secrets.token_hex(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """What a worker is to do."""

    listen: Address = setting(
        "listen", "HOST:PORT", check_address, "Where to listen for the producer (port 0: any free one).",
        default="127.0.0.1:9000",
    )  # fmt: skip
    discard: bool = setting("discard", "", check_switch, "Count the numbers and throw them away.", default=False)
    command: tuple[str, ...] = setting(
        "command", "COMMAND", check_command,
        "Program that gets the numbers on its standard input (on the command line: after --).",
        default=(), default_text="none",
    )  # fmt: skip
    store: Path | None = setting(
        "store", "FOLDER", check_folder, "Keep the numbers there, safe from whatever dies.",
        default=None, default_text="none",
    )  # fmt: skip
    segment_bytes: int = setting("segment-bytes", "SIZE", check_size, "Size of the store's files.", default="1GiB")
    retain_bytes: int | None = setting(
        "retain-bytes", "SIZE", check_size, "How much of a stream the store keeps at least; the oldest files go.",
        default=None, default_text="all",
    )  # fmt: skip
    accept_raw: bool = setting(
        "accept-raw", "", check_switch, "Take bare number lines too, as from `seq 10 | nc -N host 9000`.", default=False
    )

    def __post_init__(self) -> None:
        super(WorkerSettings, self).__post_init__()
        sinks = [
            flag
            for flag, given in (("--store", self.store), ("--discard", self.discard), ("a command", self.command))
            if given
        ]
        if len(sinks) > 1:
            raise SettingsError(f"{' and '.join(sinks)} are both given; numbers go to one place")
        if self.store and self.accept_raw:
            raise SettingsError("--accept-raw goes not with --store: raw numbers belong to no stream")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("give a number") from None


def _read_text(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ValueError(f"cannot read {path}: {reason}") from None
