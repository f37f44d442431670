"""Credentials: this process's certificate, key and CA, from files that may be replaced while it runs."""

from __future__ import annotations

import ssl

from ..clock import Clock
from ..observe.expiry import LOOK_SECONDS, Certificate, Expiry
from ..protocol.end import End
from ..settings.roles import CommonSettings, WorkerSettings
from .pem import Loaded, load_authorities, load_pair
from .renewed import Renewed
from .timers import TimerWheel
from .tls import SecuredEnd


class Credentials:
    """The certificate, the key and the CA of this process, read again when a file has changed: for a new connection,
    and by `watch`.

    Raises:
        SettingsError: they cannot be used.
    """

    def __init__(self, settings: CommonSettings, clock: Clock) -> None:
        assert settings.tls_cert is not None
        assert settings.tls_key is not None
        assert settings.tls_ca is not None
        self._pair = settings.tls_cert, settings.tls_key
        self._ca = settings.tls_ca
        self._listens = isinstance(settings, WorkerSettings)
        self._allowed_names = frozenset(settings.allowed_peers)
        self._loaded = Renewed(
            (*self._pair, self._ca), self._read, clock,
            events=("tls.unreadable", "tls.reloaded"),
            advice="new connections use the files as last read", certificate=settings.tls_cert,
        )  # fmt: skip

    def secure(self, end: End, host: str | None = None) -> SecuredEnd:
        """`end`, behind TLS. `host`: the name or address that is dialled; None on the side that listens."""
        return SecuredEnd(
            end,
            self._loaded.newest().context,
            server_hostname=host and host.rstrip("."),
            allowed_names=self._allowed_names,
        )

    def certificates(self) -> list[Certificate]:
        """Those that end the use of the certificate and of the CA."""
        return self._loaded.newest().certificates

    def watch(self, wheel: TimerWheel) -> None:
        """Now and then, connections or not, read files that have changed and log certificates that expire."""
        expiry = Expiry(wheel.clock)

        def look(now: float) -> None:
            expiry.look(self.certificates())
            alarm.set(now + LOOK_SECONDS)

        alarm = wheel.alarm(look)
        look(wheel.clock.now())

    def _read(self) -> Loaded:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self._listens else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        if self._listens:
            context.num_tickets = 0  # a resumed session would keep certificates that have been replaced since
        else:
            context.hostname_checks_common_name = False
        presented = load_pair(context, ("--tls-cert", "--tls-key"), self._pair)
        trusted = load_authorities(context, "--tls-ca", self._ca)
        return Loaded(context, presented + trusted)
