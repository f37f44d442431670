"""The benchmark of a group still measures what it says: a short run. Figures are not asserted."""

from __future__ import annotations

import pytest

from benchmarks.group import PRODUCERS, measure_group, measure_standbys

pytestmark = pytest.mark.timeout(150)  # a hand-over takes ten seconds at least


def test_a_short_run_spreads_the_workers_and_gets_all_of_a_killed_producer_back() -> None:
    row = measure_group(30, 1.0, well_spread=0.9)
    assert abs(sum(row[f"share_of_producer-{n}"] for n in range(PRODUCERS)) - 1) < 0.01
    assert row["moved_by_the_kill"] > 0


def test_all_links_of_a_standby_answer() -> None:
    assert measure_standbys(30, 1.0)["answers_a_second"] > 0
