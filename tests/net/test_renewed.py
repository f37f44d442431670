"""Renewed: changed files are read again, unusable ones change nothing, and neither fills the log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.clock import JumpingClock
from tests.support.log import Log

from randstream.errors import SettingsError
from randstream.net.renewed import RETRY_SECONDS, Renewed
from randstream.observe.throttle import LINES_A_MINUTE


class Words:
    """A file of one word, and how often it was read. Without a word it is unusable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads = 0
        self.is_broken = False
        self.put("one")

    def put(self, word: str) -> None:
        """Replace the file at once, as a Kubernetes volume does."""
        fresh = self.path.with_name("fresh")
        fresh.write_text(word)
        fresh.replace(self.path)

    def read(self) -> str:
        self.reads += 1
        word = self.path.read_text() if self.path.exists() and not self.is_broken else ""
        if not word:
            raise SettingsError("no word")
        return word


@pytest.fixture
def words(tmp_path: Path) -> Words:
    return Words(tmp_path / "word")


@pytest.fixture
def renewed(words: Words, clock: JumpingClock) -> Renewed[str]:
    return Renewed(
        [str(words.path)], words.read, clock,
        events=("word.unreadable", "word.reloaded"), advice="the old one", language="en",
    )  # fmt: skip


def told(log: Log) -> list[str]:
    return [event["event"] for event in log.events]


def test_a_file_that_is_unusable_at_first_is_a_settings_error(words: Words, clock: JumpingClock) -> None:
    words.put("")
    with pytest.raises(SettingsError, match="no word"):
        Renewed([str(words.path)], words.read, clock, events=("a", "b"), advice="")


def test_a_file_is_read_when_it_has_changed_and_only_then(words: Words, renewed: Renewed[str], log: Log) -> None:
    assert [renewed.newest() for _ in range(3)] == ["one"] * 3
    words.put("two")
    assert [renewed.newest() for _ in range(3)] == ["two"] * 3
    assert words.reads == 2
    (event,) = log.events
    assert (event["event"], event["log_level"], event["language"]) == ("word.reloaded", "info", "en")


@pytest.mark.parametrize("spoil", [lambda words: words.put(""), lambda words: words.path.unlink()])
def test_an_unusable_file_changes_nothing_and_is_logged_at_once_and_each_minute(
    words: Words, renewed: Renewed[str], log: Log, clock: JumpingClock, spoil: Callable[[Words], None]
) -> None:
    spoil(words)
    for minute in range(1, 4):
        assert [renewed.newest() for _ in range(100)] == ["one"] * 100
        assert told(log) == ["word.unreadable"] * minute
        clock.jump(RETRY_SECONDS)
    assert (log.events[0]["error"], log.events[0]["advice"]) == ("no word", "the old one")
    words.put("two")
    assert renewed.newest() == "two"
    assert told(log)[3:] == ["word.reloaded"]
    clock.jump(RETRY_SECONDS)
    renewed.newest()
    assert len(told(log)) == 4


def test_a_flapping_file_does_not_fill_the_log_and_its_last_state_is_logged(
    words: Words, renewed: Renewed[str], log: Log, clock: JumpingClock
) -> None:
    for number in range(500):
        words.put("" if number % 2 else f"word {number}")
        renewed.newest()
    assert len(log.events) == LINES_A_MINUTE
    clock.jump(RETRY_SECONDS)
    renewed.newest()
    assert told(log)[LINES_A_MINUTE:] == ["word.unreadable"]
    assert log.events[-1]["left_out"] == 500 - LINES_A_MINUTE


def test_a_good_file_that_could_not_be_read_is_tried_again(
    words: Words, renewed: Renewed[str], clock: JumpingClock
) -> None:
    words.put("two")
    words.is_broken = True  # as without a file descriptor
    assert renewed.newest() == "one"
    words.is_broken = False
    clock.jump(RETRY_SECONDS)
    assert renewed.newest() == "two"


def test_a_file_with_mended_permissions_is_read_at_once(words: Words, renewed: Renewed[str]) -> None:
    words.is_broken = True
    words.put("two")
    assert renewed.newest() == "one"
    words.is_broken = False
    words.path.chmod(0o400)
    assert renewed.newest() == "two"


def test_a_half_written_file_is_read_again_even_if_the_clock_has_not_moved(words: Words, renewed: Renewed[str]) -> None:
    for word in ("tw", "two"):
        words.path.write_text(word)  # in place, as `cp` does
        os.utime(words.path, (1e9, 1e9))
        assert renewed.newest() == word
