"""Metrics: names, values and bounded labels."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.admin.roles import ROLE_NAMES, FakeLink, FakeRole, Interrupted, RoleName

from randstream.admin.metrics import LABELLED_LINKS, Metrics
from randstream.errors import Reason
from randstream.observe.expiry import Certificate
from randstream.observe.status import LinkState, Standby
from randstream.observe.tally import Buckets


def exposition(role: FakeRole) -> str:
    lag = Buckets()
    lag.observe(0.003)
    metrics = Metrics(role, lag, lambda: {"events": 2, "numbers": 1})
    return metrics.exposition("text/plain")[0].decode()


def samples(role: FakeRole) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposition(role))
        for sample in family.samples
    }


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_promtool_accepts_the_metrics(role: RoleName) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    fake = FakeRole(role)
    fake.tally.ends["cut"] += 1
    fake.tally.interruptions["hand-over"].observe(0.02)
    check = subprocess.run(
        [promtool, "check", "metrics"], input=exposition(fake), text=True, capture_output=True, check=False
    )
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


def test_a_producer_tells_what_it_sent_and_a_worker_what_it_received() -> None:
    fake = FakeRole(links=[FakeLink(offset=120, acked_offset=100)])
    fake.tally.numbers, fake.tally.number_bytes, fake.tally.acked_numbers = 120, 350, 100
    fake.tally.ends = Counter({"timeout": 2})
    fake.tally.round_trips.observe(0.003)
    found = samples(fake)
    assert found[("randstream_numbers_sent_total",)] == 120
    assert found[("randstream_sent_bytes_total",)] == 350
    assert found[("randstream_numbers_acked_total",)] == 100
    assert found[("randstream_connections_ended_total", "reason=timeout")] == 2
    assert found[("randstream_round_trip_seconds_count",)] == 1
    assert found[("randstream_round_trip_seconds_bucket", "le=0.0025")] == 0
    assert found[("randstream_round_trip_seconds_bucket", "le=0.005")] == 1
    assert found[("randstream_stream_lag_numbers", "peer=10.0.0.1:9000", "worker=worker-0")] == 20
    assert found[("randstream_links", "state=streaming")] == 1
    assert found[("randstream_links", "state=stalled")] == 0
    assert found[("randstream_admin_clients", "of=events")] == 2
    fake.role = "worker"
    found = samples(fake)
    assert found[("randstream_numbers_received_total",)] == 120
    assert found[("randstream_numbers_committed_total",)] == 100
    assert ("randstream_numbers_sent_total",) not in found


def test_ends_and_failures_are_counted_from_0_for_every_reason() -> None:
    fake = FakeRole()
    fake.tally.failures["cut"] = 1
    found = samples(fake)
    for reason in Reason:
        assert found[("randstream_connections_ended_total", f"reason={reason}")] == 0
        assert found[("randstream_connections_failed_total", f"reason={reason}")] == (reason is Reason.CUT)


def test_a_link_tells_what_it_does_and_how_long_it_has_been_interrupted_by_what() -> None:
    links = [
        FakeLink("worker-0", "a:9000"),
        FakeLink("worker-1", "b:9000", LinkState.WAITING, interruptions=Interrupted(2.5)),
        FakeLink(None, "c:9000", LinkState.DIALLING),
    ]
    name = "randstream_link_interrupted_seconds"
    told = {series: seconds for series, seconds in samples(FakeRole(links=links)).items() if series[0] == name}
    assert told == {
        (name, "cause=", "peer=a:9000", "state=streaming", "worker=worker-0"): 0,
        (name, "cause=timeout", "peer=b:9000", "state=waiting", "worker=worker-1"): 2.5,
        (name, "cause=", "peer=c:9000", "state=dialling", "worker="): 0,
    }


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_both_roles_tell_how_long_interruptions_were_by_cause(role: RoleName) -> None:
    fake = FakeRole(role)
    fake.tally.interruptions["timeout"].observe(2.9)
    found = samples(fake)
    assert found[("randstream_interruption_seconds_bucket", "cause=timeout", "le=2.5")] == 0
    assert found[("randstream_interruption_seconds_bucket", "cause=timeout", "le=5.0")] == 1
    assert found[("randstream_interruption_seconds_sum", "cause=timeout")] == 2.9


def test_a_worker_tells_whether_it_is_served_and_who_stands_by() -> None:
    link = FakeLink(standbys=(Standby("producer-1", "6ae2a63a0ac05109", 9.0),) * 2)
    fake = FakeRole("worker", links=[link])
    found = samples(fake)
    assert found[("randstream_served",)] == 1
    assert found[("randstream_standbys",)] == 2
    for state, served in ((LinkState.STALLED, 1), (LinkState.WAITING, 0), (LinkState.OPENING, 0)):
        link.state = state
        assert samples(fake)[("randstream_served",)] == served


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_both_roles_tell_when_their_certificates_expire_and_the_server_tells_its_own(role: RoleName) -> None:
    streams = [
        Certificate("tls-cert", "/run/tls.crt", "CN=worker-0", 1_795_910_400.0, 1_795_996_800.0),
        Certificate("tls-ca", "/run/ca.crt", "CN=randstream", 1_700_000_000.0, 2_000_000_000.0),
    ]
    own = Certificate("admin-tls-cert", "/run/admin.crt", "", 1.0, 2.0)
    metrics = Metrics(FakeRole(role, certificates=streams), Buckets(), dict, lambda: [own])
    found = metrics.exposition("text/plain")[0].decode()
    for certificate in (*streams, own):
        label = f'{{file="{certificate.file}",setting="{certificate.setting}"}}'
        assert value(found, f"randstream_certificate_expiry_timestamp_seconds{label}") == certificate.not_after
        assert value(found, f"randstream_certificate_not_before_timestamp_seconds{label}") == certificate.not_before


def value(text: str, series: str) -> float:
    [line] = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(line.split()[-1])


def test_a_producer_that_stands_by_says_so() -> None:
    found = samples(FakeRole(links=[FakeLink(state=LinkState.STANDBY), FakeLink("worker-1", state=LinkState.RESTING)]))
    assert found[("randstream_links", "state=standby")] == found[("randstream_links", "state=resting")] == 1
    assert found[("randstream_links", "state=streaming")] == 0


def test_ready_says_what_readyz_says() -> None:
    assert samples(FakeRole())[("randstream_ready",)] == 1
    assert samples(FakeRole(problem="the disk is full"))[("randstream_ready",)] == 0


def test_however_many_links_there_are_their_labels_are_bounded_and_the_states_count_all() -> None:
    fake = FakeRole(
        links=[FakeLink(f"worker-{number}", state=LinkState.WAITING) for number in range(LABELLED_LINKS + 44)]
    )
    found = samples(fake)
    assert sum(name == "randstream_stream_offset_numbers" for name, *_ in found) == LABELLED_LINKS
    assert found[("randstream_links_unlabelled",)] == 44
    assert found[("randstream_links", "state=waiting")] == LABELLED_LINKS + 44


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_names_follow_the_conventions(role: RoleName) -> None:
    for family in text_string_to_metric_families(exposition(FakeRole(role))):
        if family.name.startswith("randstream_"):
            assert re.fullmatch(r"randstream_[a-z_]+[a-z]", family.name)
            assert family.documentation
        else:
            assert family.name.startswith(("process_", "python_"))


def test_nothing_is_registered_globally() -> None:
    Metrics(FakeRole(), Buckets(), dict)
    assert not [family for family in prometheus_client.REGISTRY.collect() if family.name.startswith("randstream")]


def test_a_name_with_quotes_stays_one_label() -> None:
    fake = FakeRole(links=[FakeLink('a"b\\c\nd')])
    assert ("randstream_stream_offset_numbers", "peer=10.0.0.1:9000", 'worker=a"b\\c\nd') in samples(fake)
