"""Errors: why a connection ended, in one word, and whether to retry soon."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from randstream.errors import (
    PERSISTENT,
    LocalProtocolError,
    OfferError,
    PeerClosed,
    PeerTimeout,
    ProtocolError,
    RandstreamError,
    Reason,
    RemoteProtocolError,
    SettingsError,
    SinkError,
    TlsError,
    is_transient,
    reason_of,
    shortage_of,
    words_of,
)
from randstream.settings import WorkerSettings
from randstream.store.layout import Damage, DamagedStore


@pytest.mark.parametrize("reason", Reason)
def test_the_reason_of_a_closed_connection_is_the_one_the_peer_gave(reason: Reason) -> None:
    assert reason_of(PeerClosed(reason)) is reason
    words = {Reason.CUT: "the peer ended the connection without a word", Reason.SHUTDOWN: "the peer was stopped"}
    assert str(PeerClosed(reason)) == words.get(reason, f"the peer closed the connection: {reason}")


def test_a_broken_rule_has_a_reason_and_its_detail_is_the_message() -> None:
    error = RemoteProtocolError(Reason.TOO_LONG, "a line of 600 bytes")
    assert (reason_of(error), str(error)) == (Reason.TOO_LONG, "a line of 600 bytes")


def test_silence_is_a_timeout() -> None:
    assert reason_of(PeerTimeout()) is Reason.TIMEOUT


@pytest.mark.parametrize("error", [OSError(104, "reset"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), ValueError()])
def test_any_other_error_counts_as_a_cut(error: Exception) -> None:
    assert reason_of(error) is Reason.CUT


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "this process has no file descriptor left"),
        (errno.ENFILE, "this machine has no file descriptor left"),
        (errno.ENOBUFS, "this machine has no memory left for sockets"),
        (errno.ENOMEM, "this machine has no memory left"),
    ],
)
def test_what_we_lack_ourselves_is_a_shortage_in_words_of_its_own_and_tried_again_soon(number: int, words: str) -> None:
    error = OSError(number, os.strerror(number))
    assert reason_of(error) is Reason.SHORTAGE
    assert words_of(error).startswith(words)
    assert is_transient(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused"),
        (OSError(-2, "Name or service not known"), "name or service not known"),
        (OSError("odd"), "odd"),
        (ValueError("[Odd] one"), "[Odd] one"),
    ],
)
def test_what_a_peer_or_a_bug_does_is_no_shortage_and_told_without_a_number(error: Exception, words: str) -> None:
    assert shortage_of(error) is None
    assert words_of(error) == words


def test_an_error_whose_reason_is_not_one_of_ours_counts_as_a_cut() -> None:
    assert reason_of(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")) is Reason.CUT


@pytest.mark.parametrize("reason", Reason)
def test_only_a_peer_that_disagrees_is_not_tried_again_soon(reason: Reason) -> None:
    assert is_transient(PeerClosed(reason)) is (reason not in PERSISTENT)


def test_cuts_timeouts_and_polite_ends_are_tried_again_soon() -> None:
    polite = {Reason.SHUTDOWN, Reason.YIELD, Reason.SPARE, Reason.TAKEOVER}
    assert set(Reason) - PERSISTENT == polite | {Reason.TIMEOUT, Reason.CUT, Reason.OTHER, Reason.SHORTAGE}


@pytest.mark.parametrize(
    "kind",
    [
        SettingsError,
        ProtocolError,
        LocalProtocolError,
        RemoteProtocolError,
        PeerClosed,
        PeerTimeout,
        SinkError,
        OfferError,
    ],
)
def test_everything_raised_here_is_a_randstream_error(kind: type[Exception]) -> None:
    assert issubclass(kind, RandstreamError)


def unusable() -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        WorkerSettings(name="no name")
    return caught.value


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, *range(pickle.HIGHEST_PROTOCOL + 1)])
@pytest.mark.parametrize(
    "error",
    [
        SettingsError("the seed is empty"),
        unusable(),
        LocalProtocolError("a bug"),
        RemoteProtocolError(Reason.TOO_LONG, "a line of 600 bytes"),
        PeerClosed(Reason.YIELD, "the worker"),
        PeerTimeout(),
        TlsError("no certificate"),
        SinkError("disk full"),
        DamagedStore(Damage(Path("0.numbers"), 17, 3, "a number is missing")),
        OfferError("another seed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_comes_back_whole_from_another_process(
    error: RandstreamError, copied: int | Callable[[Any], Any]
) -> None:
    again = pickle.loads(pickle.dumps(error, copied)) if isinstance(copied, int) else copied(error)
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    assert reason_of(again) is reason_of(error)
