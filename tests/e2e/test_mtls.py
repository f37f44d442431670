"""Mutual TLS without cert-manager: made, in use, and renewed while numbers flow. Run in order."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import fetch, kubectl, link, make, pods, prove, until, wait_served_by_the_best_of, workers
from tests.e2e.pages import blocks, shell

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

PAGE = "docs/kubernetes.md"
OVERLAY = "OVERLAY=minikube-mtls"
PLAIN = """
import socket
worker = socket.create_connection(("127.0.0.1", 9000), 10)
worker.sendall(b"#open\\n")
print(worker.recv(1).decode("latin-1"))
"""
CERTIFICATE = "/run/secrets/randstream-tls/tls.crt"


@pytest.fixture(scope="module", autouse=True)
def deployed() -> Iterator[None]:
    cluster.remove()
    yield
    cluster.remove()


def given(role: str) -> str:
    """The certificate in a role's Secret."""
    return b64decode(kubectl("get", "secret", f"{role}-tls", "--output=jsonpath={.data.tls\\.crt}")).decode()


def seen(pod: str) -> str:
    """The certificate in a pod."""
    return kubectl("exec", pod, "--", "cat", CERTIFICATE)


def expiry(pod: str) -> float:
    """When the certificate in use expires, as the metric says."""
    [line] = re.findall(
        r'^randstream_certificate_expiry_timestamp_seconds\{.*setting="tls-cert".*\} (\S+)$',
        fetch(pod, "/metrics"),
        re.M,
    )
    return float(line)


def test_without_certificates_it_is_one_line_that_says_what_to_do() -> None:
    make("build")
    done = make("deploy", OVERLAY, check=False)
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert line.startswith("There is no Secret ")
    assert "make certificates" in line


def test_with_certificates_numbers_flow_and_plain_text_gets_nowhere() -> None:
    try_it, _ = blocks(PAGE, "Mutual TLS")
    cluster.log.info("%s", shell(try_it).stdout)
    prove()
    assert not kubectl("exec", "worker-0", "--", "python", "-c", PLAIN).startswith("#")


def test_a_renewal_is_used_by_new_connections_and_interrupts_none() -> None:
    wait_served_by_the_best_of(["producer-0", "producer-1"])  # or a hand-over would be an interruption
    before = prove()
    counted: dict[str, Any] = {worker: link(worker) for worker in workers()}
    expiries = {pod: expiry(pod) for pod in pods()}
    old = {role: given(role) for role in ("producer", "worker")}
    _, renew = blocks(PAGE, "Mutual TLS")
    shell(renew)
    new = {role: given(role) for role in ("producer", "worker")}
    assert all(new[role] != old[role] for role in old)
    for pod in pods():
        until(lambda pod=pod: seen(pod) == new[pod.rpartition("-")[0]], f"{pod} has the new certificate")
    assert all(expiry(pod) > then for pod, then in expiries.items())
    make("scale", "N=4")  # a new connection
    before = prove(before)
    for producer in pods("producer"):
        events = [line["event"] for line in cluster.logs(producer)]
        assert "tls.reloaded" in events
        assert "tls.unreadable" not in events
    for worker, then in counted.items():
        now = link(worker)
        assert now["reconnects"] == then["reconnects"], worker
        assert now["interruptions"]["count"] == then["interruptions"]["count"], worker
    cluster.delete_pods("worker-0")  # its producers have to know the new certificate's
    prove(before)
