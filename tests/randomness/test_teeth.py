"""The statistics find generators that are broken, and say so once only if they are."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
from tests.randomness.__main__ import main, verdict_of
from tests.randomness.batteries import (
    COUNTS,
    DISTRIBUTIONS,
    LAWS,
    Trial,
    all_trials,
    dieharder_test,
    ent,
    fit,
    scipy_test,
)
from tests.randomness.generators import BROKEN, SOUND
from tests.randomness.verdict import judge, two_sided

from randstream.numbers.stream import NumberStream

needs_ent = pytest.mark.skipif(not shutil.which("ent"), reason="needs Debian's ent")
needs_dieharder = pytest.mark.skipif(not shutil.which("dieharder"), reason="needs Debian's dieharder")
SOON = math.inf


@pytest.mark.parametrize("generator", BROKEN)
def test_scipy_finds_a_broken_generator(generator: str) -> None:
    tests = [Trial("scipy", distribution, scipy_test(distribution, 2**17)) for distribution in DISTRIBUTIONS]
    verdicts = [verdict_of(test, BROKEN[generator], 0, SOON) for test in tests]
    assert any(verdict is not None and verdict.has_failed for verdict in verdicts)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_each_distribution_finds_the_counter(distribution: str) -> None:
    verdict = verdict_of(Trial("scipy", distribution, scipy_test(distribution, 2**17)), BROKEN["counter"], 0, SOON)
    assert verdict is not None
    assert verdict.has_failed


@pytest.mark.parametrize(("made", "said"), [("poisson:2.9", "poisson:3"), ("bernoulli:0.31", "bernoulli:0.3")])
def test_counts_of_another_law_are_found(made: str, said: str) -> None:
    numbers = NumberStream("statistics", "worker-0", made).read(0, 2**17)
    assert fit(numbers, COUNTS[said]) < 1e-6


@needs_ent
@pytest.mark.slow
@pytest.mark.parametrize("generator", BROKEN)
def test_ent_finds_a_broken_generator(generator: str) -> None:
    verdict = verdict_of(Trial("ent", "-t", ent), BROKEN[generator], 0, SOON)
    assert verdict is not None
    assert verdict.has_failed


@needs_dieharder
@pytest.mark.slow
def test_dieharder_finds_a_broken_generator() -> None:
    verdict = verdict_of(Trial("dieharder", "-d 100", dieharder_test(100)), BROKEN["counter"], 0, SOON)
    assert verdict is not None
    assert verdict.has_failed


@pytest.mark.parametrize("generator", SOUND)
def test_scipy_passes_a_sound_generator(generator: str) -> None:
    for distribution in (*LAWS, *COUNTS):
        verdict = verdict_of(Trial("scipy", distribution, scipy_test(distribution, 10_000)), SOUND[generator], 5, SOON)
        assert verdict is not None
        assert not verdict.has_failed


def test_interleaved_words_are_those_of_each_stream_in_turn() -> None:
    streams = [NumberStream("statistics", f"worker-{n}", "bits64") for n in range(1000)]
    found = SOUND["1,000 workers"](1_001_998, 1004)
    expected = [streams[998].read(1001, 1), streams[999].read(1001, 1), *(s.read(1002, 1) for s in streams)]
    np.testing.assert_array_equal(found[:1002], np.concatenate(expected))
    assert found.shape == (1004,)


def test_what_is_weak_once_passes_and_what_is_weak_twice_fails() -> None:
    runs = {0: {"a": 0.5, "b": 1e-6, "c": 1 - 1e-6}, 1: {"a": 1e-6, "b": 0.4, "c": 1 - 1e-6}}
    verdict = judge(runs.__getitem__, 0, 1)
    assert (verdict.weak, verdict.again) == (("b", "c"), ("c",))
    assert verdict.has_failed
    assert not judge(lambda offset: {"b": runs[offset]["b"]}, 0, 1).has_failed


@pytest.mark.parametrize(
    ("p", "seldom"), [(0.5, 1.0), (0.0, 0.0), (1.0, 0.0), (0.25, 0.5), (0.75, 0.5), (math.nan, 0.0)]
)
def test_p_values_near_either_end_are_seldom(p: float, seldom: float) -> None:
    assert two_sided(p) == seldom


def test_without_time_nothing_is_tested_and_that_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["statistics", "-1"])
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert main() == 1
    assert "0 tests, 0 p-values" in capsys.readouterr().out


def test_every_test_is_run_once() -> None:
    names = [(test.battery, test.name) for test in all_trials()]
    assert len(names) == len(set(names))
    assert {battery for battery, _ in names} == {"scipy", "ent", "dieharder"}
