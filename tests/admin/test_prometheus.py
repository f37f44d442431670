"""A real Prometheus scrapes both roles, and takes the rules and the dashboard's queries."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from tests.admin.site import site_of
from tests.project.test_dashboard import PANELS, as_grafana_sends
from tests.support.ports import free_port
from tests.support.roles import a_pair

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]
MONITORING = Path(__file__).parents[2] / "deploy/components/monitoring"


async def test_a_real_prometheus_scrapes_both_roles_and_takes_the_rules_and_the_panels(tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    port = free_port()
    async with a_pair(discard=True) as (producer, worker), site_of(producer) as sent, site_of(worker) as received:
        config: dict[str, Any] = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(MONITORING / "alerts.yaml")],
            "scrape_configs": [
                {"job_name": "randstream", "static_configs": [{"targets": [f"127.0.0.1:{each.port}"]}]}
                for each in (sent, received)
            ],
        }
        config["scrape_configs"][1]["job_name"] = "workers"
        (tmp_path / "prometheus.yaml").write_text(json.dumps(config))  # JSON is YAML
        server = await asyncio.create_subprocess_exec(
            prometheus, f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
                for query in (
                    "count(up == 1) == 2",
                    "randstream_numbers_sent_total > 100",
                    "randstream_numbers_committed_total > 100",
                    "rate(randstream_round_trip_seconds_count[10s]) > 0",
                    'randstream_build_info{role="worker"}',
                ):
                    assert await answered(client, query), query
                for query in (query for queries in PANELS.values() for query in queries):
                    asked = urlencode({"query": as_grafana_sends(query, 1)})
                    async with client.get(f"/api/v1/query?{asked}") as answer:
                        assert answer.status == 200, await answer.text()
                async with client.get("/api/v1/rules") as answer:
                    groups = (await answer.json())["data"]["groups"]
                    assert {rule["health"] for rule in groups[0]["rules"]} <= {"ok", "unknown"}
        finally:
            server.terminate()
            await server.wait()


async def answered(client: aiohttp.ClientSession, query: str) -> list[Any]:
    """The result of `query`, as soon as there is one. The test's time limit ends this."""
    while True:
        try:
            async with client.get(f"/api/v1/query?{urlencode({'query': query})}") as answer:
                found: list[Any] = (await answer.json())["data"]["result"] if answer.status == 200 else []
        except aiohttp.ClientConnectionError:
            found = []
        if found:
            return found
        await asyncio.sleep(0.05)  # Prometheus has no event to wait for
