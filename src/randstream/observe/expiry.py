"""Expiry: certificates in use, and the log events for those that expire soon or have expired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final

import structlog

from ..clock import Clock

LOOK_SECONDS: Final = 60.0
"""How often to look: a renewed file is noticed, and an expired one reported, within that time."""
REPEAT_SECONDS: Final = 86_400.0
"""A day: for a person."""
NOTICE_SECONDS: Final = 14 * 86_400.0
NOTICE_SHARE: Final = 0.1
"""Of a certificate's life. Whatever renews it (cert-manager, certbot) begins with a third of that left and tries again
for as long as it must, so a renewal that works never gets here: 9 days of 90, 2.4 hours of 24."""

log = structlog.get_logger("randstream")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate that ends a file's use. Times are seconds since 1970."""

    setting: str
    """The setting that names the file, without dashes before it."""
    file: str
    subject: str
    """Its subject, or if that is empty the names that it holds."""
    not_before: float
    not_after: float

    @property
    def notice_from(self) -> float:
        """When to begin to warn. The alert RandstreamCertificateExpiring reckons the same."""
        return self.not_after - min(NOTICE_SECONDS, NOTICE_SHARE * (self.not_after - self.not_before))


class Expiry:
    """Logs each certificate that expires soon or has expired: when it is found so, then once a day."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: dict[tuple[Certificate, bool], float] = {}

    def look(self, certificates: Iterable[Certificate]) -> None:
        """Look at all `certificates` there are now."""
        now, wall_time = self._clock.now(), self._clock.wall_time()
        before, self._said = self._said, {}
        for certificate in certificates:
            if wall_time < certificate.notice_from:
                continue
            state = certificate, wall_time >= certificate.not_after
            said_at = before.get(state, -inf)
            if now - said_at >= REPEAT_SECONDS:
                said_at = now
                _say(*state)
            self._said[state] = said_at


def _say(certificate: Certificate, is_expired: bool) -> None:
    log.warning(
        "tls.expired" if is_expired else "tls.expiring",
        certificate=certificate.file,
        setting=certificate.setting,
        subject=certificate.subject,
        expires=datetime.fromtimestamp(certificate.not_after, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        advice=f"{'new connections fail; ' * is_expired}replace the file with a renewed one: it needs no restart",
    )
