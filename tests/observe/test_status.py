"""Status: what both roles report to an observer, as docs/operations.md documents it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.roles import a_pair, a_producer, running
from tests.support.waiting import until

from randstream.admin.observer import Observer
from randstream.errors import Reason
from randstream.observe.interruptions import Interruption, InterruptionsStatus, Pause
from randstream.observe.status import Histogram, LinkState, LinkStatus, Snapshot, Standby, Totals

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()


async def test_both_roles_report_their_link_alike() -> None:
    async with a_pair(discard=True) as (producer, worker):
        sent = Observer(producer).snapshot(limit=1)
        received = Observer(worker).snapshot(limit=1)
    assert (sent.role, received.role) == ("producer", "worker")
    assert sent.numbers == received.numbers == "integers:1:100"
    assert sent.links[0].stream == received.links[0].stream
    assert sent.links[0].state is received.links[0].state is LinkState.STREAMING
    assert (sent.links[0].worker, received.links[0].peer) == ("worker-0", "producer-0")
    assert sent.links[0].round_trip is not None


async def test_a_producer_is_ready_without_its_workers_but_not_if_a_name_cannot_be_resolved() -> None:
    async with running(producer := a_producer("127.0.0.1:1")):
        await until(lambda: bool(producer.links) and producer.links[0].last_error is not None)
        assert producer.problem is None
    async with running(producer := a_producer("no-such-name.invalid:9000")):
        await until(lambda: bool(producer.links) and producer.links[0].last_error is not None)
        assert "cannot resolve no-such-name.invalid" in str(producer.problem)


def test_every_field_of_the_json_is_explained() -> None:
    section = PAGE.split("### The JSON of /api/links")[1].split("\n### ")[0]
    told = set(re.findall(r"`([a-z_]+)`", section))
    for kind in (Snapshot, Totals, LinkStatus, InterruptionsStatus, Interruption, Standby, Histogram):
        assert set(kind.__dataclass_fields__) <= told
    assert {str(state) for state in LinkState} <= told


def test_every_cause_of_an_interruption_is_explained() -> None:
    section = PAGE.split("\n## Interruptions\n")[1].split("\n## ")[0]
    told = set(re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.+?) \|", section, re.MULTILINE))))
    assert told == {str(cause) for cause in (*Pause, *Reason)} - {Reason.YIELD, Reason.SPARE}
