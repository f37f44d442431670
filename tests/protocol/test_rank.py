"""Rank: which producer a worker prefers. Its known answers are read from the page in `test_line.py`."""

from __future__ import annotations

from collections import Counter

from randstream.protocol.rank import rank

WORKERS = [f"worker-{number}" for number in range(3000)]


def best(worker: str, producers: list[str]) -> str:
    return max(producers, key=lambda producer: rank(worker, producer))


def test_rank_shares_the_workers_out_evenly() -> None:
    shares = Counter(best(worker, ["producer-0", "producer-1", "producer-2"]) for worker in WORKERS)
    assert len(shares) == 3
    assert all(abs(share - 1000) < 100 for share in shares.values())


def test_rank_moves_only_the_share_of_a_producer_that_goes() -> None:
    for worker in WORKERS:
        before = best(worker, ["producer-0", "producer-1", "producer-2"])
        after = best(worker, ["producer-0", "producer-1"])
        assert after == before or before == "producer-2"


def test_rank_tells_names_from_each_other_wherever_they_are_split() -> None:
    assert rank("worker-1", "0") != rank("worker-", "10")
