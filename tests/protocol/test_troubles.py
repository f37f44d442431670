"""Troubles: the words of `why=` are those of docs/protocol.md, and each has a sentence."""

from __future__ import annotations

import re
from pathlib import Path

from randstream.protocol.troubles import Ailment, Taker, sentence_of, trouble_word

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()


def test_every_word_that_is_documented_has_a_sentence_of_its_own() -> None:
    table = PAGE.split("| `why` | the sink's taker |")[1].split("\n\n")[0]
    words = re.findall(r"`([a-z-]+)`", table)
    assert len(words) == len({sentence_of(word) for word in words}) == 10
    assert set(words) <= {trouble_word(taker, ailment) for taker in Taker for ailment in Ailment}
    for word in words:
        assert word not in sentence_of(word)


def test_a_word_of_the_future_is_shown_and_none_is_no_guess() -> None:
    assert sentence_of("moon") == "the worker's sink takes no numbers: moon"
    assert sentence_of(None) == "the worker's sink takes no numbers"
