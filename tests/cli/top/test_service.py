"""Service: DNS names admin servers."""

from __future__ import annotations

import threading

import pytest
from tests.support.services import Services

from randstream.cli.top.service import MOST_PROCESSES, Service
from randstream.settings import Target

SRV = Target("srv", "_admin._tcp.producer", 0)
A, B = Target("stream", "producer-0.test", 9001), Target("stream", "producer-1.test", 9001)


@pytest.fixture
def dns() -> Services:
    return Services()


def test_the_processes_that_dns_names_come_and_go(dns: Services) -> None:
    service = Service(SRV, dns)
    assert service.look() is not None
    dns.workers[str(SRV)] = [B, A]
    service.ask()
    assert service.addresses == ("producer-0.test:9001", "producer-1.test:9001")
    assert service.problem is None
    dns.workers[str(SRV)] = [B]
    service.ask()
    assert service.addresses == ("producer-1.test:9001",)


def test_a_failure_is_told_and_those_that_are_known_are_kept(dns: Services) -> None:
    dns.workers[str(SRV)] = [A]
    service = Service(SRV, dns)
    service.ask()
    dns.trouble = "no name server gives an answer"
    service.ask()
    assert service.addresses == ("producer-0.test:9001",)
    look = service.look_at(str(SRV), None)
    assert look.problem == "cannot look up srv://_admin._tcp.producer: no name server gives an answer"
    dns.trouble = ""
    dns.workers.clear()
    service.ask()
    assert service.addresses == ()
    assert (service.problem or "").startswith("srv://_admin._tcp.producer names no process; ")


def test_of_dns_one_kind_of_records_is_enough(dns: Services) -> None:
    service = Service(Target("dns", "producer.test", 9001), dns)
    dns.workers["dns://producer.test:9001"] = [Target("stream", "10.0.0.1", 9001), Target("stream", "::1", 9001)]
    service.ask()
    assert service.addresses == ("10.0.0.1:9001", "[::1]:9001")
    assert service.problem is None


def test_a_service_names_only_hosts_and_not_too_many(dns: Services) -> None:
    strange = [Target("stream", host, 9001) for host in ("me:secret@evil", "a/b", "a?b", "\x1b[2J", "")]
    dns.workers[str(SRV)] = [*strange, *(Target("stream", f"p{n}", 9001) for n in range(MOST_PROCESSES + 9))]
    service = Service(SRV, dns)
    service.ask()
    assert len(service.addresses) == MOST_PROCESSES
    assert all(address.startswith("p") for address in service.addresses)
    assert service.problem == f"{SRV} names {MOST_PROCESSES + 9} processes; {MOST_PROCESSES} of them are shown"


def test_it_is_asked_on_a_thread_of_its_own_until_it_is_stopped(dns: Services) -> None:
    dns.workers[str(SRV)] = [A]
    news = threading.Event()
    service = Service(SRV, dns, news)
    service.start()
    assert news.wait(60)
    service.stop()
    assert service.addresses == ("producer-0.test:9001",)
