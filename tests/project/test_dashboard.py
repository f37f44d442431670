"""The Grafana dashboard: every panel has data at either scrape interval, names what exists, and tells no stream twice.

promtool evaluates the panels' queries over made-up histories of the roles' real metrics.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.admin.roles import FakeLink, FakeRole, Interrupted, RoleName
from tests.project.test_monitoring import EXISTING, FOLDER, named_in, promtool

from randstream.admin.metrics import Metrics
from randstream.observe.expiry import Certificate
from randstream.observe.status import LinkState
from randstream.observe.tally import Buckets, Tally

DASHBOARD: Final[dict[str, Any]] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS: Final[dict[str, list[str]]] = {
    panel["title"]: [target["expr"] for target in panel["targets"]] for panel in DASHBOARD["panels"]
}
"""The queries of each panel, by its title."""
SCRAPES: Final = [15, 60]
"""Seconds."""
WORKERS: Final = ("worker-0", "worker-1")

Phase = tuple[FakeRole | None, int]
"""What a process is like, None if it is not scraped, and for how many minutes."""
Process = tuple[str, list[Phase]]
"""An instance and its phases."""


def test_the_dashboard_names_only_metrics_that_exist_and_shows_them_all() -> None:
    queries = " ".join(query for queries in PANELS.values() for query in queries)
    assert named_in(queries) <= EXISTING
    assert EXISTING - named_in(queries) == {"randstream_admin_clients", "randstream_links_unlabelled"}


def test_the_dashboards_panels_are_explained_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
    assert max(x for x, _ in taken) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    assert len(PANELS) == len(ids)


WELL: Final = {
    **{title: [1] for title in (
        "Numbers acknowledged", "Streams flowing", "Streams not flowing", "Not ready or gone", "Not served",
        "Fewest standbys",
    )},
    "Down, and why": [0, 0, 0],
    "Interrupted for": [2],
    "Numbers": [1, 1, 1, 1],
    "Links by state": [len(LinkState)],
    "Served by": [2],
    "Standing by": [2],
    "Interruptions": [2],
    "Length of interruptions": [2],
    "Number bytes": [1, 1],
    "Connections ended": [1, 1],
    "Round trip": [1, 1, 1],
    "Commit": [1, 1, 1],
    "Lag": [2],
    "Offsets": [2],
    "Sink failures": [2, 2, 2],
    "Event loop lag": [4],
    "CPU": [4],
    "Memory": [4],
    "Interrupted at once": [2],
    "Certificates expire": [1],
    "Certificates' lives": [1],
}  # fmt: skip
"""How many series each query has while two producers serve two workers: one a stream, or one a process."""


@pytest.mark.parametrize("scrape", SCRAPES)
def test_every_panel_has_data_with_one_series_a_stream(scrape: int, tmp_path: Path) -> None:
    assert PANELS.keys() == WELL.keys()
    expected = {
        f"count(({query}) > -Inf)": count
        for title, queries in PANELS.items()
        for query, count in zip(queries, WELL[title], strict=True)
    }
    evaluate(tmp_path, scrape, a_cluster(), 18, {
        **{query: [("{}", count)] if count else [] for query, count in expected.items()},
        PANELS["Lag"][0]: [('{worker="worker-0"}', 20), ('{worker="worker-1"}', 20)],
    })  # fmt: skip


@pytest.mark.parametrize("scrape", SCRAPES)
def test_a_producer_that_has_restarted_at_another_address_is_not_counted_twice(scrape: int, tmp_path: Path) -> None:
    """Prometheus still has the last samples from its old address."""
    evaluate(tmp_path, scrape, a_cluster(), 12, {
        PANELS["Streams flowing"][0]: [("{}", 2)],
        PANELS["Streams not flowing"][0]: [("{}", 0)],
        PANELS["Not ready or gone"][0]: [("{}", 0)],
        PANELS["Served by"][0]: [('{name="producer-0"}', 1), ('{name="producer-1"}', 1)],
        PANELS["Standing by"][0]: [('{name="producer-0"}', 1), ('{name="producer-1"}', 1)],
        f"{PANELS['Links by state'][0]} > 0": [('{state="standby"}', 2), ('{state="streaming"}', 2)],
    })  # fmt: skip


@pytest.mark.parametrize("scrape", SCRAPES)
def test_what_is_down_is_counted_once_and_named_with_its_cause(scrape: int, tmp_path: Path) -> None:
    """producer-1 has gone; worker-1, which it served, is not ready, and producer-0 does not reach it."""
    streams, unready, gone = PANELS["Down, and why"]
    down = "randstream_link_interrupted_seconds"
    stream = 'name="worker-1", role="stream", cause="timeout", instance="p0b:9001", peer="worker-1:9000"'
    worker = 'cause="/readyz says why", instance="w1:9001", name="worker-1", role="worker"'
    producer = 'cause="scraped within the last hour, but not now", name="producer-1", role="producer"'
    evaluate(tmp_path, scrape, a_cluster(), 28, {
        PANELS["Streams flowing"][0]: [("{}", 1)],
        PANELS["Streams not flowing"][0]: [("{}", 1)],
        PANELS["Not ready or gone"][0]: [("{}", 2)],
        PANELS["Interrupted for"][0]: [('{worker="worker-0"}', 0), ('{worker="worker-1"}', 30)],
        PANELS["Lag"][0]: [('{worker="worker-0"}', 20), ('{worker="worker-1"}', 20)],
        streams: [(f'{down}{{job="randstream", {stream}, worker="worker-1", state="waiting"}}', 40)],
        unready: [(f'{{job="randstream", {worker}, state="not ready"}}', 0)],
        gone: [(f'{{job="randstream", {producer}, state="gone"}}', 1)],
    })  # fmt: skip


@pytest.mark.parametrize("scrape", SCRAPES)
def test_where_everything_has_gone_nothing_is_said_to_flow(scrape: int, tmp_path: Path) -> None:
    everything: list[Process] = [(instance, [*phases, (None, 10)]) for instance, phases in a_cluster()]
    evaluate(tmp_path, scrape, everything, 36, {
        PANELS["Numbers acknowledged"][0]: [("{}", 0)],
        PANELS["Streams flowing"][0]: [("{}", 0)],
        PANELS["Streams not flowing"][0]: [("{}", 2)],
        PANELS["Not ready or gone"][0]: [("{}", 4)],
        PANELS["Fewest standbys"][0]: [("{}", 0)],
    })  # fmt: skip


# ---- histories -------------------------------------------------------------------------------------------------------


def a_cluster() -> list[Process]:
    """30 minutes of two producers and two workers, each with an end of either stream. producer-0 has restarted after
    10 minutes, at another address; after 20 producer-1 has gone, and worker-1 is cut off.
    """
    first = a_role("producer", "producer-0", a_link("worker-0"), a_link("worker-1", LinkState.STANDBY))
    other = a_role("producer", "producer-1", a_link("worker-1"), a_link("worker-0", LinkState.STANDBY))
    alone = a_role("producer", "producer-0", a_link("worker-0"), a_link("worker-1", LinkState.WAITING, 40.0))
    well = [a_role("worker", name, FakeLink(name, "", offset=1020, acked_offset=1000)) for name in WORKERS]
    cut = a_role("worker", "worker-1", a_link("worker-1", LinkState.WAITING, 30.0, peer=""), problem="not listening")
    return [
        ("p0:9001", [(first, 10), (None, 20)]),
        ("p0b:9001", [(None, 10), (first, 10), (alone, 10)]),
        ("p1:9001", [(other, 20), (None, 10)]),
        ("w0:9001", [(well[0], 30)]),
        ("w1:9001", [(well[1], 20), (cut, 10)]),
    ]


def a_link(
    worker: str, state: LinkState = LinkState.STREAMING, seconds: float = 0.0, *, peer: str | None = None
) -> FakeLink:
    """A link that has been interrupted for `seconds`. A standby has a lag from when it served."""
    acked = 0 if state is LinkState.STANDBY else 1000
    at = f"{worker}:9000" if peer is None else peer
    return FakeLink(worker, at, state, 1020, acked, interruptions=Interrupted(seconds))


def a_role(role: RoleName, name: str, *links: FakeLink, problem: str | None = None) -> FakeRole:
    tally = Tally(numbers=600, number_bytes=1800, acked_numbers=600, sink_failures=1)
    tally.ends["cut"] = tally.failures["timeout"] = 1
    tally.interruptions["cut"].observe(0.5)
    tally.round_trips.observe(0.003)
    tally.commits.observe(0.003)
    certificate = Certificate("tls-cert", "/run/tls.crt", f"CN={name}", 0.0, 10_000_000.0)
    return FakeRole(role, name, problem=problem, links=list(links), tally=tally, certificates=[certificate])


def series_of(role: FakeRole | None) -> dict[str, tuple[float, bool]]:
    """What Prometheus reads from `role`: the value of each series, and whether it grows."""
    if role is None:
        return {}
    lag = Buckets()
    lag.observe(0.003)
    text = Metrics(role, lag, lambda: {"events": 2}).exposition("text/plain")[0].decode()
    return {
        sample.name + json.dumps(sample.labels, sort_keys=True): (sample.value, family.type in ("counter", "histogram"))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def history_of(process: Process, scrape: int) -> list[dict[str, str]]:
    """promtool's `input_series`. A counter grows each minute by what it has in the first."""
    instance, phases = process
    told = [(series_of(role), minutes) for role, minutes in phases]
    history = []
    for series in {series for one, _ in told for series in one}:
        values, begun = [], 0
        for one, minutes in told:
            samples = minutes * 60 // scrape
            if series in one:
                value, grows = one[series]
                step = value * scrape / 60 if grows else 0
                values.append(f"{value * (begun + 1 if grows else 1)}+{step}x{samples - 1}")
                begun += minutes
            else:
                values.append(f"_x{samples}")
        name, _, labels = series.partition("{")
        pairs = {**json.loads("{" + labels), "job": "randstream", "instance": instance}
        matchers = ", ".join(f"{key}={json.dumps(value)}" for key, value in pairs.items())
        history.append({"series": f"{name}{{{matchers}}}", "values": " ".join(values)})
    return history


def evaluate(
    folder: Path, scrape: int, cluster: list[Process], minute: int, expected: dict[str, list[tuple[str, float]]]
) -> None:
    """Compare what the queries give in that minute with the labels and values that are `expected` of each."""
    tests = {
        "evaluation_interval": "1m",
        "tests": [{
            "interval": f"{scrape}s",
            "input_series": [series for process in cluster for series in history_of(process, scrape)],
            "promql_expr_test": [
                {
                    "expr": as_grafana_sends(query, scrape),
                    "eval_time": f"{minute}m7s",  # no query comes just when a sample does
                    "exp_samples": [{"labels": labels, "value": value} for labels, value in samples],
                }
                for query, samples in expected.items()
            ],
        }],
    }  # fmt: skip
    (folder / "test.yaml").write_text(json.dumps(tests))  # JSON is YAML
    promtool("test", "rules", "test.yaml", folder=folder)


def as_grafana_sends(query: str, scrape: int) -> str:
    """`query` with all jobs and instances, and the panel's step as short as the interval of the scrapes."""
    step = scrape
    rate_interval = max(step + scrape, 4 * scrape)
    query = query.replace("$__rate_interval", f"{rate_interval}s").replace("$job", ".*").replace("$instance", ".*")
    assert "$__" not in query
    return query
