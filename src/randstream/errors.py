"""The exception tree, and the words for how a connection ends. `OSError` is not wrapped. Pure."""

from __future__ import annotations

import errno
import re
from enum import StrEnum
from typing import Any, Final


class Reason(StrEnum):
    """Why a connection ended: the word of `#close reason=`, or one of four that only a log has."""

    SHUTDOWN = "shutdown"
    YIELD = "yield"
    SPARE = "spare"
    TAKEOVER = "takeover"
    MISMATCH = "mismatch"
    MALFORMED = "malformed"
    TOO_LONG = "too-long"
    TIMEOUT = "timeout"
    VERSION = "version"
    REFUSED = "refused"
    BUSY = "busy"
    CUT = "cut"
    """The connection ended without a `#close`. Never on the wire."""
    OTHER = "other"
    """A word this version does not know, read as transient. Never written."""
    TLS = "tls"
    """A certificate is not valid, or one end speaks plain text. Never on the wire: TLS has its own alerts."""
    SHORTAGE = "shortage"
    """This process, or its machine, has no descriptor or no memory left for a socket: not the peer's fault. Never on
    the wire."""


UNWRITTEN = frozenset({Reason.CUT, Reason.OTHER, Reason.TLS, Reason.SHORTAGE})
"""Reasons that no `#close` gives."""
PERSISTENT = frozenset(
    {Reason.VERSION, Reason.REFUSED, Reason.MALFORMED, Reason.TOO_LONG, Reason.MISMATCH, Reason.BUSY, Reason.TLS}
)
"""Reasons that an immediate new attempt is unlikely to cure: the link waits out its longest delay."""


class RandstreamError(Exception):
    """The base of all errors of this package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without `__init__`, whose arguments are not `args`: an error that a pool cannot unpickle hangs it."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class SettingsError(RandstreamError):
    """The user's input cannot be used. The message is one line, for standard error: what is wrong, how to fix it."""


class ProtocolError(RandstreamError):
    """The rules of the wire were broken."""


class LocalProtocolError(ProtocolError):
    """Our own code broke them. Never caught: it is a bug."""


class RemoteProtocolError(ProtocolError):
    """The peer broke them, in the way `reason` names: close this connection, say why, back off."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RawLineError(RemoteProtocolError):
    """A raw peer's line `line`, counted from 1, is not a number. The `taken` numbers before it have been taken."""

    def __init__(self, reason: Reason, detail: str, *, line: int, taken: int, advice: str) -> None:
        super().__init__(reason, detail)
        self.line = line
        self.taken = taken
        self.advice = advice


class PeerClosed(RandstreamError):
    """The peer, or `who`, ended the connection, politely (`#close reason=...`) or not (`Reason.CUT`)."""

    def __init__(self, reason: Reason, who: str = "the peer") -> None:
        ending = {Reason.CUT: "ended the connection without a word", Reason.SHUTDOWN: "was stopped"}
        super().__init__(f"{who} {ending.get(reason, f'closed the connection: {reason}')}")
        self.reason = reason


class PeerTimeout(RandstreamError):
    """The peer was silent past the deadline."""

    reason = Reason.TIMEOUT


class TlsError(RandstreamError):
    """TLS failed: the peer is not the expected one, its certificate is not valid, or it does not speak TLS."""

    reason = Reason.TLS


class ExpiredError(TlsError):
    """The peer refuses this process's own certificate: by the peer's clock it has expired."""

    advice = (
        "replace the file of --tls-cert with a renewed one: it needs no restart; "
        "if it has not expired, the peer's clock is wrong"
    )


class SinkError(RandstreamError):
    """The sink cannot take numbers now. Until it can: not ready, acknowledge nothing, keep trying, lose nothing."""

    needs_person = False
    """Whether waiting alone cannot cure it, for the stream that was tried."""


class NotStoredError(SettingsError):
    """A store does not hold the number that was asked for: no longer, or not yet."""


class OfferError(RandstreamError):
    """The sink can never take the stream that was offered: it contradicts what is there."""

    reason = Reason.MALFORMED


_SHORTAGES: Final = {
    errno.EMFILE: "this process has no file descriptor left; give it more (ulimit -Hn)",
    errno.ENFILE: "this machine has no file descriptor left; give it more (sysctl fs.file-max)",
    errno.ENOBUFS: "this machine has no memory left for sockets; give it more (sysctl net.ipv4.tcp_mem)",
    errno.ENOMEM: "this machine has no memory left",
}


def shortage_of(error: BaseException) -> str | None:
    """What this process or its machine lacks, if that is what `error` means, and what to do about it."""
    return _SHORTAGES.get(error.errno or 0) if isinstance(error, OSError) else None


def is_full(error: OSError) -> bool:
    """Whether `error` means that a disk, or somebody's share of it, has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def words_of(error: Exception) -> str:
    """What `error` says, for a log: the system's words without their number."""
    text = shortage_of(error) or str(error)
    numbered = re.match(r"\[Errno -?\d+\] (.)", text)
    return numbered[1].lower() + text[numbered.end() :] if numbered else text


def reason_of(error: Exception) -> Reason:
    """The one word that logs and metrics use for what ended a connection."""
    if shortage_of(error):
        return Reason.SHORTAGE
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, Reason) else Reason.CUT  # ssl.SSLError has a reason of its own


def is_transient(error: Exception) -> bool:
    """Whether a new attempt soon is likely to succeed: cuts, timeouts and polite ends, not a peer that disagrees."""
    return reason_of(error) not in PERSISTENT


def is_polite(error: Exception) -> bool:
    """Whether a connection ended with a `#close`."""
    return isinstance(error, PeerClosed) and error.reason is not Reason.CUT


def silent_end() -> OSError:
    """What ended a connection, if neither end gave a reason."""
    return ConnectionResetError(str(PeerClosed(Reason.CUT)))
