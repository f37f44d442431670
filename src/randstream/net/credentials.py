"""Credentials: this process's certificate, key and CA, from files that may be replaced while it runs."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import structlog

from ..errors import SettingsError
from ..protocol.end import End
from ..settings.roles import CommonSettings, WorkerSettings
from .tls import SecuredEnd

_CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"
_KEY: Final = b"PRIVATE KEY-----"

log = structlog.get_logger("randstream")


class Credentials:
    """The certificate, the key and the CA of this process, read again for a new connection when a file has changed.

    The loop's thread checks the files (three `stat` calls, 15 µs) and reads them if they have changed (1 ms): a few
    KiB that were just written.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, settings: CommonSettings) -> None:
        self._settings = settings
        self._allowed_names = frozenset(settings.allowed_peers)
        self._stamp = self._look()
        self._context = self._read()

    def secure(self, end: End, host: str | None = None) -> SecuredEnd:
        """`end`, behind TLS. `host`: the name or address that is dialled; None on the side that listens."""
        return SecuredEnd(
            end, self._newest(), server_hostname=host and host.rstrip("."), allowed_names=self._allowed_names
        )

    def _newest(self) -> ssl.SSLContext:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._read()
            except SettingsError as error:
                log.warning("tls.unreadable", error=str(error), advice="new connections use the files as last read")
            else:
                log.info("tls.reloaded", certificate=self._settings.tls_cert)
        return self._context

    def _paths(self) -> dict[str, Path]:
        files = {
            "--tls-cert": self._settings.tls_cert,
            "--tls-key": self._settings.tls_key,
            "--tls-ca": self._settings.tls_ca,
        }
        return {flag: Path(path) for flag, path in files.items() if path is not None}

    def _look(self) -> list[tuple[int, int, int, int] | None]:
        """Which files these are, and as of when. A Kubernetes volume replaces them by changing a link to them."""
        return [_stamp_of(path) for path in self._paths().values()]

    def _read(self) -> ssl.SSLContext:
        paths = self._paths()
        for flag, path in paths.items():
            _require(flag, path, _KEY if flag == "--tls-key" else _CERTIFICATE)
        is_worker = isinstance(self._settings, WorkerSettings)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_worker else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # --tls-ca may be an intermediate one
        if is_worker:
            context.num_tickets = 0  # a resumed session would keep certificates that have been replaced since
        else:
            context.hostname_checks_common_name = False
        blamed = "--tls-cert"
        try:
            context.load_cert_chain(paths["--tls-cert"], paths["--tls-key"], password=_refuse_passphrase)
            blamed = "--tls-ca"
            context.load_verify_locations(paths["--tls-ca"])
        except OSError as error:  # ssl.SSLError is one
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                raise SettingsError(
                    f"--tls-key {paths['--tls-key']} does not belong to --tls-cert {paths['--tls-cert']}; "
                    "give a matching pair"
                ) from None
            with_key = f" and --tls-key {paths['--tls-key']}" if blamed == "--tls-cert" else ""
            raise SettingsError(f"{blamed} {paths[blamed]}{with_key}: no usable PEM; give intact files") from None
        return context


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    """The size tells a half-written file from the whole one, which may have the same time: the kernel's clock ticks."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _require(flag: str, path: Path, mark: bytes) -> None:
    """Check for `mark`, as OpenSSL's own errors name neither the file nor what is missing in it."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{flag} {path}: cannot read it: {error.strerror}") from None
    if mark not in text:
        what = "private key" if mark == _KEY else "certificate"
        raise SettingsError(f"{flag} {path}: no {what} in it; give a PEM file that has one")


def _refuse_passphrase() -> str:
    """Raise, where OpenSSL would ask on the terminal and wait."""
    raise SettingsError("the key in --tls-key has a passphrase, which is never asked for; give a key without one")
