"""Endings: what signals do to a command that has something to undo."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from randstream.cli.endings import orderly_end


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    number: signal.Signals = request.param
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


@contextmanager
def ended() -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """A block that a signal must end."""
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end:
        yield end


def test_a_signal_ends_the_block_as_an_exception_does(number: signal.Signals) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)) as end, orderly_end():
        os.kill(os.getpid(), number)
    assert isinstance(end.value, KeyboardInterrupt) == (number is signal.SIGINT)
    if isinstance(end.value, SystemExit):
        assert end.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_second_signal_does_not_end_what_the_block_undoes(number: signal.Signals) -> None:
    undone = False
    with ended(), orderly_end():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            undone = True
    assert undone


def test_the_first_of_several_signals_tells_the_exit_status() -> None:
    with ended() as end, orderly_end() as ending, ending.held():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
    assert end.value.args == (128 + signal.SIGTERM,)


def test_a_held_block_ends_at_its_end(number: signal.Signals) -> None:
    told = []
    with ended(), orderly_end() as ending:
        with ending.held():
            signal.raise_signal(number)
            told.append("held")
        told.append("after it")
    assert told == ["held"]


@pytest.mark.parametrize("is_early", [True, False])
def test_a_heeded_block_in_a_held_one_ends_at_once(number: signal.Signals, is_early: bool) -> None:
    told = []
    with ended(), orderly_end() as ending, ending.held():
        try:
            if is_early:
                signal.raise_signal(number)
            told.append("held")
            with ending.heeded():
                told.append("heeded")
                signal.raise_signal(number)
                told.append("too late")
        finally:
            signal.raise_signal(number)
            told.append("held again")
    assert told == (["held", "held again"] if is_early else ["held", "heeded", "held again"])


def test_a_block_in_a_block_leaves_the_signals_to_the_outer_one(number: signal.Signals) -> None:
    with ended(), orderly_end() as outer:
        with orderly_end() as inner:
            assert inner is outer
        signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with orderly_end():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_IGN
