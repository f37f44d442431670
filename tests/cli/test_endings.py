"""Endings: what signals do to a command that has something to undo."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from randstream.cli.endings import orderly_end


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    number: signal.Signals = request.param
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


def test_a_signal_ends_the_block_as_an_exception_does(number: signal.Signals) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end, orderly_end():
        os.kill(os.getpid(), number)
    assert isinstance(end.value, KeyboardInterrupt) == (number is signal.SIGINT)
    if isinstance(end.value, SystemExit):
        assert end.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with orderly_end():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_IGN
