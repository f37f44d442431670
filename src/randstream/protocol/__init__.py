"""The wire, randstream/1: its grammar and its limits. Pure: bytes and the time in, bytes, events and a deadline out.

Nothing in this package reads a clock, a socket, the environment or a log. `docs/protocol.md` is the authority.
"""

from __future__ import annotations

import re
from typing import Final

VERSION: Final = "randstream/1"

MAX_CONTROL_LINE_BYTES: Final = 512
"""With its LF. Three names of 128 bytes and a distribution fit; nothing that has to be buffered grows past it."""
MAX_NUMBER_LINE_BYTES: Final = 64
"""With its LF. The longest number, a float64 or an int64, needs 25."""
MAX_INTERVAL_BYTES: Final = 8 * 2**20
"""Number bytes between two beats: the most that one bad checksum can undo."""
WINDOW_BYTES: Final = 32 * 2**20
"""Number bytes past the last ack: the most that a worker ever has to hold for a connection."""
MAX_UNACKED_BEATS: Final = 65_536
"""Unacked beats that moved the offset: 18 hours of a stalled sink at a beat a second, and tens of MiB at most. Without
this limit, a peer that beats after every number could make the worker keep millions."""
MAX_WORDS_A_SECOND: Final = 1000
"""Acks and waits from one worker: at a gigabyte a second, a beat every 8 MiB asks for a tenth of them; a flood would
keep the producer from its other links."""
MAX_UNWRITTEN_ANSWERS: Final = 16
"""Unsent answers to a worker's `#wait`: an honest worker asks three times, then gives up."""
MAX_OFFSET: Final = 2**63 - 1
"""The offset after the last number: a stream has the numbers 0 to 2**63 - 2."""

HANDSHAKE_LIMIT: Final = 5.0
"""Seconds from the connection to `#open`: long for any network, short for a peer that only holds a slot."""
SILENCE_HEARTBEATS: Final = 3
"""Heartbeats without a byte after which the peer counts as dead: two may be lost in a pause without harm."""
INTERRUPTION_HEARTBEATS: Final = 2
"""Heartbeats without a byte, or without progress, that count as an interruption: one alone may just be late."""
RAW_SILENCE_LIMIT: Final = 60.0
"""Seconds without a byte after which a raw peer, which knows no heartbeat, counts as dead."""
MIN_HEARTBEAT: Final = 0.05
MAX_HEARTBEAT: Final = 60.0

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""A worker's or a producer's name (match it with `fullmatch`)."""
STREAM: Final = re.compile(r"[0-9a-f]{16}")
"""A stream's `stream=` (match it the same way)."""
