"""Known answers: this machine gives them, and whatever differs from one is found."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson
import pytest

from randstream.errors import RandstreamError
from randstream.numbers import known_answers, text
from randstream.numbers.distributions import parse_distribution
from randstream.numbers.known_answers import STREAMS, KnownStream, check_known_answers
from randstream.numbers.stream import FEW, NumberStream
from randstream.protocol import MAX_OFFSET

pytestmark = pytest.mark.usefixtures("speedups_or_not")


def test_this_machine_gives_the_known_answers() -> None:
    check_known_answers()


def test_known_answers_cover_every_distribution_and_every_kind_of_offset() -> None:
    kinds = {answer.distribution.partition(":")[0] for answer in STREAMS}
    assert kinds == {"integers", "bits64", "bernoulli", "poisson", "uniform", "exponential", "normal"}
    for answer in STREAMS:
        assert {0, MAX_OFFSET - 1} <= answer.numbers.keys()
        assert any(offset % 4 and offset < 2**32 for offset in answer.numbers)
        assert any(2**32 < offset < MAX_OFFSET - 1 for offset in answer.numbers)
        assert any(len(text.split()) > FEW for text in answer.numbers.values())


def test_an_encoder_that_spells_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class OlderEncoder:
        OPT_SERIALIZE_NUMPY = orjson.OPT_SERIALIZE_NUMPY

        @staticmethod
        def dumps(numbers: object, option: int = 0) -> bytes:
            return orjson.dumps(numbers, option=option).replace(b"e+", b"e")

    monkeypatch.setattr(text, "orjson", OlderEncoder)
    with pytest.raises(RandstreamError, match="float64 text"):
        check_known_answers()


@pytest.mark.parametrize("answer", STREAMS, ids=lambda answer: answer.identity)
@pytest.mark.parametrize("part", ["identity", "numbers", "words"])
def test_any_answer_that_differs_is_found(answer: KnownStream, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(answer, part)
    wrong = {**right, max(right): "7"} if isinstance(right, dict) else right.replace(" ", "  ")
    changed: dict[str, Any] = {part: wrong}
    monkeypatch.setattr(known_answers, "STREAMS", (replace(answer, **changed),))
    with pytest.raises(RandstreamError, match="differs from the known answer") as caught:
        check_known_answers()
    assert "\n" not in str(caught.value)


FINGERPRINTS = {
    "integers:1:100": "5ee2cfad9959cb4e",
    "integers:-2147483648:2147483647": "576558e0b02c56ab",
    "integers:0:4294967296": "df7881778bfcffee",
    "integers:-9223372036854775808:9223372036854775807": "ccb25e8e583dd206",
    "bits64": "9af40e36301b67ab",
    "bernoulli:0.3": "1e3e1ef5d1f98adb",
    "poisson:3": "0222d036e0aabe3f",
    "poisson:1000": "21d25a8321169570",
    "uniform:-3:7.5": "43a98cce6f57ccaf",
    "exponential:1": "4bb8b9f23a7ffccc",
    "normal:0:1": "b7864e35e160622b",
}
"""BLAKE2b, 8 bytes, of the numbers' bytes, made of 100,000 words, and again with 0 to 51 leading zeros."""


@pytest.mark.parametrize(("distribution", "fingerprint"), FINGERPRINTS.items())
def test_no_bit_of_many_numbers_has_changed(distribution: str, fingerprint: str) -> None:
    even = NumberStream("42", "worker-0", "bits64").read(0, 100_000)
    words = np.concatenate([even, even >> (np.arange(len(even), dtype=np.uint64) % 52)])
    numbers = parse_distribution(distribution).from_words(words)
    assert blake2b(numbers.tobytes(), digest_size=8).hexdigest() == fingerprint
