"""`make check`: what is done to workers while their connections are checked is in the report, and nothing stays."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from tests.e2e.cluster import ROOT, kubectl, log, make, objects

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAMESPACE = "randstream-check"
ROLL = "kubectl -n {0} rollout restart daemonset/worker && kubectl -n {0} rollout status daemonset/worker"

LIMITS = "--heartbeat=1 --max-interruption=60 --max-total=60"
"""Only what lasts for two seconds counts, unless the connection changes: the machine may be busy."""


def test_a_rolling_restart_of_workers_is_one_interruption_each_and_nothing_is_left() -> None:
    done = make("check", f"COMMAND={ROLL.format(NAMESPACE)}", f"ARGS={LIMITS}")
    log.info("%s", done.stdout.rpartition("all pods are ready\n")[2])
    report = json.loads((ROOT / "build" / "check" / "check.json").read_text())
    assert sorted(link["worker"] for link in report["links"]) == sorted(
        node["metadata"]["name"] for node in objects("nodes")
    )
    for link in report["links"]:
        [interruption] = link["interruptions"]
        assert interruption["cause"] == "shutdown", link
        assert 0 < interruption["seconds"] == link["longest"] == link["total"] < report["seconds"], link
    assert report["passed"]
    assert f"\n{report['verdict']}\n" in done.stdout
    assert report["command"]["status"] == 0
    suite = ElementTree.parse(ROOT / "build" / "check" / "check.xml").getroot()
    assert (len(suite), suite.get("failures")) == (len(report["links"]) + 1, "0")
    assert not kubectl("get", "namespace", NAMESPACE, "--ignore-not-found")
