"""Rules of docs/protocol.md that no case plays, and why: they cannot be seen from the other end of a connection."""

from __future__ import annotations

from typing import Final

_INSIDE: Final = "it is internal to a process"
_STORE: Final = "it is about a store's files: see randstream verify"
_TLS: Final = "the suite speaks plain text"
_STALL: Final = "it needs a worker whose sink stalls"
_STOP: Final = "it needs a process that is stopped at the right moment"

UNSEEN: Final[dict[str, str]] = {
    "tls": _TLS,
    "worker-in-certificate": _TLS,
    "producer-in-certificate": _TLS,
    "tls-tells-itself": _TLS,
    "beats-in-window": _STALL,
    "one-ack-waits": _STALL,
    "takeover-after-commit": _STALL,
    "takeover-drops-the-rest": _STALL,
    "line-promise": "it follows from silence, standby-liveness and promotion",
    "late-timer": "it needs a process that is frozen",
    "draining": _STOP,
    "socket-options": "it is between a process and its kernel",
    "resolve-anew": "it is between a process and its resolver",
    "next-address": "it needs a name with several addresses",
    "self-dial": "only the kernel can cause it",
    "immediate-sink": _INSIDE,
    "raw-target": "it needs a producer with a raw target",
    "raw-half-close": "it needs a producer with a raw target; raw-last-line plays the rest",
    "raw-source-silence": "it takes a minute",
    "raw-not-stored": _INSIDE,
    "seed-is-text": _INSIDE,
    "parameters": "numbers-checked plays the visible part",
    "start-check": _INSIDE,
    "known-answers": _INSIDE,
    "file-is-the-wire": _STORE,
    "store-lock": _STORE,
    "born-whole": _STORE,
    "segment-change": _STORE,
    "one-commit-at-a-time": _STORE,
    "empty-beat": _STORE,
    "failed-write": _STORE,
    "failed-cut": _STORE,
    "recovery": _STORE,
    "recovery-syncs": _STORE,
    "interval-holds": _STORE,
    "open-at-a-beat": _STORE,
    "readers": _STORE,
    "retention": _STORE,
    "damage": _STORE,
    "foreign-file": _STORE,
    "verify": _STORE,
    "promise": "make chaos and make simulate test it",
}
