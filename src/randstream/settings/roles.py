"""Settings of the roles: every default, unit and bound, once. Each field defines its flag, variable, help and docs.

A field takes a value or its text, so that a program and a command line are checked alike. Reads no environment; only
`read_seed` and `ProducerSettings.resolve` open files.
"""

# ruff: noqa: RUF009 - `setting` makes fields, as `field` does

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Final, SupportsIndex

from ..errors import SettingsError
from ..numbers.seed import parse_seed
from ..protocol import MAX_HEARTBEAT, MIN_HEARTBEAT
from .addresses import DEFAULT_HOST, DEFAULT_PORT, Address, Target, check_address, check_targets, read_targets
from .checks import (
    check_command,
    check_file,
    check_folder,
    check_heartbeat,
    check_host_names,
    check_identities,
    check_name,
    check_numbers,
    check_rate,
    check_seconds,
    check_size,
    check_switch,
    in_words,
    one_of,
)
from .definition import REQUIRED, Given, Setting, check_values, setting
from .files import read_text
from .seed import Seed, draw_seed

LOG_LEVELS: Final = ("debug", "info", "warning", "error")
DISTRIBUTIONS: Final = (
    "integers:1:100", "bits64", "bernoulli:0.5", "poisson:3", "uniform:0:1", "exponential:1", "normal:0:1",
)  # fmt: skip
"""One of each kind."""
LOOPS: Final = ("uvloop", "asyncio")
BUFFER_BYTES: Final = 128 * 2**20
"""A quarter of what the manifest gives a producer, since the kernel may hold as much again; 85 links at full speed
can use no more."""


def settings_of(kind: type[CommonSettings]) -> dict[str, Setting]:
    """The settings of a role by the name of their field: its own first, then those of both roles."""
    common = {each.name for each in fields(CommonSettings)}
    ordered = sorted(fields(kind), key=lambda each: each.name in common)
    return {each.name: each.metadata["setting"] for each in ordered if "setting" in each.metadata}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What both roles have. Making them does no I/O. Raises SettingsError: one line on the first unusable value."""

    # fmt: off
    name: str = setting("name", "NAME", check_name, "Name of this process, as its peers see it.",
        factory=socket.gethostname, default_text="the host's name")
    grace_period: float = setting("grace", "SECONDS", check_seconds,
        "How long a graceful end on SIGTERM or Ctrl-C may take, so nothing is lost.", default=5.0)
    admin: Given[Address | None, str] = setting("admin", "HOST:PORT", check_address,
        "Serve the live page, health, metrics and JSON there; a port alone is one of 127.0.0.1.", default=None,
        default_text="off")
    admin_host: Given[tuple[str, ...], str | Iterable[str]] = setting("admin-host", "NAMES", check_host_names,
        "Names by which clients may call the admin server, separated by commas or each with its own flag;"
        " *.example.org stands for all names that end in it. Others are refused, so no web page can read it under a"
        " name of its own.", default=(), default_text="addresses, localhost, the host's name", is_list=True)
    admin_token_file: str | None = setting("admin-token-file", "FILE", check_file,
        "File with a token that clients of the admin server must send, except for /livez and /readyz; read again when"
        " it changes.", default=None, default_text="none: no token")
    admin_tls_cert: str | None = setting("admin-tls-cert", "FILE", check_file,
        "Certificate (PEM) of the admin server. With it and its key, the server speaks only HTTPS (TLS 1.3) and asks"
        " clients for no certificate; new connections use the files as they are then.", default=None,
        default_text="none: plain HTTP")
    admin_tls_key: str | None = setting("admin-tls-key", "FILE", check_file,
        "That certificate's private key (PEM, no passphrase).", default=None, default_text="none")
    tls_cert: str | None = setting("tls-cert", "FILE", check_file,
        "Certificate (PEM) to present. With it and the next two, streams use TLS 1.3 and both ends present"
        " certificates; new connections use the files as they are then.", default=None, default_text="none: plain text")
    tls_key: str | None = setting("tls-key", "FILE", check_file,
        "The certificate's private key (PEM, no passphrase).", default=None, default_text="none")
    tls_ca: str | None = setting("tls-ca", "FILE", check_file,
        "Certificates (PEM) of the CAs that must have signed a peer's.", default=None, default_text="none")
    log_level: str = setting("log-level", "LEVEL", one_of(*LOG_LEVELS),
        f"The lowest level that is logged: {in_words(LOG_LEVELS)}.", default="info", examples=LOG_LEVELS)
    loop: str = setting("loop", "LOOP", one_of(*LOOPS), f"The event loop: {in_words(LOOPS)}.", default="uvloop",
        examples=LOOPS)
    # fmt: on

    def __post_init__(self) -> None:
        settings = settings_of(type(self))
        values = check_values(settings, {name: getattr(self, name) for name in settings})
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for names in (("tls_cert", "tls_key", "tls_ca"), ("admin_tls_cert", "admin_tls_key")):
            labels = [settings[name].label for name in names]
            missing = [settings[name].label for name in names if not values[name]]
            if 0 < len(missing) < len(names):
                needed = f"{', '.join(labels[:-1])} and {labels[-1]}"
                raise SettingsError(f"{' and '.join(missing)} missing; TLS needs {needed}")
        unused = [known.label for name, known in settings.items() if name.startswith("admin_") and values[name]]
        if unused and self.admin is None:
            raise SettingsError(f"{unused[0]} is of no use without --admin; give --admin HOST:PORT too")

    @property
    def uses_tls(self) -> bool:
        """Whether peers must show certificates, as this process does."""
        return self.tls_cert is not None

    @property
    def admin_certificate(self) -> tuple[str, str] | None:
        """The files of the admin server's certificate and key; None: plain HTTP."""
        cert, key = self.admin_tls_cert, self.admin_tls_key
        return None if cert is None or key is None else (cert, key)

    @property
    def allowed_peers(self) -> tuple[str, ...]:
        """The names of which a peer's certificate must hold one; empty: any will do."""
        return ()

    def _refuse_names_without_tls(self, flag: str) -> None:
        if self.allowed_peers and not self.uses_tls:
            raise SettingsError(f"{flag} is of no use without TLS; give --tls-cert, --tls-key and --tls-ca too")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerSettings(CommonSettings):
    """What a producer is to do, as it was given; `resolve` reads the files that the settings name."""

    # fmt: off
    workers: Given[tuple[Target, ...] | str, Iterable[Target | str]] = setting("workers", "TARGETS", check_targets,
        "Workers to stream to: host:port, several separated by commas, or @FILE with one per line and # comments;"
        f" without a port, {DEFAULT_PORT}; a port alone is one of {DEFAULT_HOST}. raw://host:port is a peer without a"
        " protocol, such as nc -lk. dns://name:port and srv://_port._tcp.name are all workers that DNS names, as they"
        " come and go.",
        default=(), default_text=REQUIRED)
    seed: Given[str | None, SupportsIndex] = setting("seed", "TEXT", parse_seed,
        "Text that determines all numbers. Other users see it in ps: prefer --seed-file.",
        default=None, default_text="drawn, and logged once", is_secret=True, choice="seed")
    seed_file: str | None = setting("seed-file", "FILE", check_file,
        "File that holds the seed (-: standard input).", default=None, default_text="none", choice="seed")
    rate: Given[float, str] = setting("rate", "RATE", check_rate,
        "Numbers a second for each worker: any number above 0, such as 0.5 or 1e6; or max.", default=10.0,
        default_text="10", examples=("max",))
    numbers: str = setting("numbers", "DISTRIBUTION", check_numbers,
        "Their distribution: integers:LOW:HIGH (both included), bits64, bernoulli:P, poisson:LAMBDA, uniform:LOW:HIGH,"
        " exponential:SCALE or normal:MEAN:SD.", default="integers:1:100", examples=DISTRIBUTIONS)
    heartbeat_interval: float = setting("heartbeat", "SECONDS", check_heartbeat,
        f"Time between beats, {MIN_HEARTBEAT:g} to {MAX_HEARTBEAT:g}. A connection silent for three of them ends.",
        default=1.0)
    buffer_bytes: Given[int, str] = setting("buffer-bytes", "SIZE", check_size,
        "How much all links together may hold that their workers have not read yet; each gets an equal share.",
        default=BUFFER_BYTES, default_text="128MiB")
    allow_worker: Given[tuple[str, ...], str | Iterable[str]] = setting("allow-worker", "NAMES", check_identities,
        "Accept workers whose certificate holds one of these DNS names or URIs, separated by commas or each with its"
        " own flag, whatever they call themselves.", default=(), default_text="their certificate holds their name",
        is_list=True)
    # fmt: on

    def __post_init__(self) -> None:
        super(ProducerSettings, self).__post_init__()
        self._refuse_names_without_tls("--allow-worker")
        if not isinstance(self.workers, str):
            self._refuse_tls_to_raw(self.workers)

    @property
    def allowed_peers(self) -> tuple[str, ...]:
        """See `CommonSettings`."""
        return tuple(self.allow_worker)

    def resolve(self, random: Random) -> ProducerInputs:
        """Read the files that `workers` and `seed_file` name; without a seed, draw one. Raises SettingsError."""
        targets = settings_of(ProducerSettings)["workers"].apply(read_targets, self.workers)
        self._refuse_tls_to_raw(targets)
        seed = read_seed(self.seed, self.seed_file)
        return ProducerInputs(targets, draw_seed(random) if seed is None else Seed(seed))

    def _refuse_tls_to_raw(self, targets: Iterable[Target]) -> None:
        raw = next((target for target in targets if target.scheme == "raw"), None)
        if self.uses_tls and raw is not None:
            raise SettingsError(f"{raw} cannot have TLS, which --tls-cert asks for; stream to it from another producer")


@dataclass(frozen=True, slots=True)
class ProducerInputs:
    """What a producer reads from files or draws at random, once, before it starts."""

    targets: tuple[Target, ...]
    seed: Seed


def read_seed(seed: str | None, seed_file: str | None) -> str | None:
    """The seed, given as text or in a file (`-`: standard input), or None. Raises SettingsError: the file has none."""
    if seed_file is None:
        return seed
    return settings_of(ProducerSettings)["seed_file"].apply(lambda path: parse_seed(read_text(path)), seed_file)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings(CommonSettings):
    """What a worker is to do."""

    # fmt: off
    listen: Given[Address, str] = setting("listen", "HOST:PORT", check_address,
        "Where to listen for producers; :9000 to accept other machines too, a port alone for 127.0.0.1, port 0 for any"
        " free one.", default=f"{DEFAULT_HOST}:{DEFAULT_PORT}")
    store: Given[Path | None, str] = setting("store", "FOLDER", check_folder,
        "Store the numbers in FOLDER, safe no matter what dies.", default=None, default_text="none", choice="sink")
    discard: bool = setting("discard", "", check_switch,
        "Count the numbers and throw them away.", default=False, default_text="false", choice="sink")
    command: Given[tuple[str, ...], str | Iterable[str]] = setting("command", "COMMAND", check_command,
        "Program that gets the numbers on its standard input, started again when it ends. The variable is split as by"
        " a shell.", default=(), default_text="none", choice="sink", is_argument=True)
    segment_bytes: Given[int, str] = setting("segment-bytes", "SIZE", check_size,
        "Size at which a file of the store is full: 64MiB, 1GiB.", default="1GiB")
    retain_bytes: Given[int | None, str] = setting("retain-bytes", "SIZE", check_size,
        "How much of a stream the store keeps at least; older files are removed.", default=None, default_text="all")
    accept_raw: bool = setting("accept-raw", "", check_switch,
        "Accept numbers from programs without a protocol too, one per line: seq 10 | nc -N HOST 9000. CRLF, blanks,"
        " empty lines and # comments do not matter; the connection ends at a line that is not a number, and says why.",
        default=False, default_text="false")
    allow_producer: Given[tuple[str, ...], str | Iterable[str]] = setting("allow-producer", "NAMES", check_identities,
        "Accept only producers whose certificate holds one of these DNS names or URIs, separated by commas or each with"
        " its own flag.", default=(), default_text="all", is_list=True)
    # fmt: on

    def __post_init__(self) -> None:
        super(WorkerSettings, self).__post_init__()
        self._refuse_names_without_tls("--allow-producer")
        if self.store and self.accept_raw:
            raise SettingsError("--accept-raw and --store are both given; give one: raw numbers belong to no stream")

    @property
    def allowed_peers(self) -> tuple[str, ...]:
        """See `CommonSettings`."""
        return tuple(self.allow_producer)
