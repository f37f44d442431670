"""DNS: the questions on the wire, asked of a tiny name server on loopback, and what its answers mean."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest
from tests.support.clock import clock_of_loop
from tests.support.descriptors import no_descriptor_left
from tests.support.roles import a_producer, a_worker, running
from tests.support.waiting import until

from randstream.errors import Reason, SettingsError, reason_of
from randstream.producer import discovery
from randstream.producer.discovery import Watch
from randstream.producer.dns import Dns, LookUpError, _look_up_addresses
from randstream.producer.producer import Producer
from randstream.settings import ProducerSettings, Target
from randstream.settings.addresses import check_target
from randstream.worker.worker import Worker

SRV = "_stream._tcp.worker.ns.svc.test."
NAME = "worker.ns.svc.test."

pytestmark = pytest.mark.kernel


class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`; no other name exists. It says nothing while `is_silent`."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.time_to_live = 0
        self.rcode = dns.rcode.NOERROR
        self.is_silent = False
        self.troubles: dict[tuple[str, str], dns.rcode.Rcode | None] = {}
        """Answers to single questions; None for no answer."""
        self.questions: list[tuple[str, str]] = []
        self.port = 0
        self.search, self.ndots = ["ns.svc.test."], 1
        self.before: dict[str, int] = {}
        """Name servers that are to be asked before this one, and their ports."""
        self._asked = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        question = dns.message.from_wire(data)
        name, kind = question.question[0].name, dns.rdatatype.to_text(question.question[0].rdtype)
        self.questions.append((str(name), kind))
        self._asked.set()
        rcode = self.troubles.get((str(name), kind), self.rcode)
        if self.is_silent or rcode is None:
            return
        answer = dns.message.make_response(question)
        answer.set_rcode(rcode)
        records = self.records.get((str(name), kind))
        if records:
            answer.answer.append(dns.rrset.from_text(name, self.time_to_live, "IN", kind, *records))
        elif not any(known == str(name) for known, _ in self.records):
            answer.set_rcode(rcode or dns.rcode.NXDOMAIN)
        self._transport.sendto(answer.to_wire(), addr)

    async def wait_asked(self, times: int = 1) -> None:
        """Wait for that many more questions."""
        wanted = len(self.questions) + times
        while len(self.questions) < wanted:
            self._asked.clear()
            await self._asked.wait()


@pytest.fixture
async def name_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NameServer]:
    server = NameServer()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )

    def make_resolver(_: Dns) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [*server.before, "127.0.0.1"]
        resolver.nameserver_ports = server.before
        resolver.port = server.port
        resolver.ndots = server.ndots
        resolver.timeout = 0.1
        resolver.domain = dns.name.from_text("other.test.")
        resolver.search = [dns.name.from_text(each) for each in server.search]
        return resolver

    monkeypatch.setattr(Dns, "make_resolver", make_resolver)
    monkeypatch.setattr(discovery, "REFRESH_SECONDS", (0.01, 0.02))
    monkeypatch.setattr("randstream.producer.dns.NAME_SECONDS", 0.2)
    yield server
    transport.close()


class Answers:
    """What a watch tells, to be waited for."""

    def __init__(self) -> None:
        self.last: tuple[Target, ...] = ()
        self._told = asyncio.Event()

    def __call__(self, watch: Watch) -> None:
        self.last = watch.members
        self._told.set()

    async def wait(self, *expected: str) -> None:
        while sorted(map(str, self.last)) != sorted(expected):
            self._told.clear()
            await self._told.wait()


@asynccontextmanager
async def watching(target: str) -> AsyncIterator[tuple[Watch, Answers]]:
    answers = Answers()
    watch = Watch(check_target(target), Dns(), clock_of_loop(), lambda target: False, lambda target: False, answers)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(watch.run())
        yield watch, answers
        asking.cancel()


async def test_srv_names_every_worker_by_its_stable_name_and_port(name_server: NameServer) -> None:
    name_server.records[SRV, "SRV"] = [
        "0 50 9000 worker-1.worker.ns.svc.test.",
        "9 1 9100 worker-0.worker.ns.svc.test.",
    ]
    async with watching(f"srv://{SRV}") as (watch, answers):
        await answers.wait("worker-0.worker.ns.svc.test:9100", "worker-1.worker.ns.svc.test:9000")
        assert watch.problem is None


async def test_srv_names_that_differ_only_in_capitals_are_one_worker(name_server: NameServer) -> None:
    name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.test.", "1 50 9000 Worker-0.TEST."]
    async with watching(f"srv://{SRV}") as (_, answers):
        await answers.wait("worker-0.test:9000")


async def test_a_short_name_is_looked_up_in_the_search_list(name_server: NameServer) -> None:
    name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.worker.ns.svc.test."]
    async with watching("srv://_stream._tcp.worker") as (_, answers):
        await answers.wait("worker-0.worker.ns.svc.test:9000")


async def test_dns_names_every_address_of_both_families(name_server: NameServer) -> None:
    name_server.records[NAME, "A"] = ["192.0.2.1", "192.0.2.2"]
    name_server.records[NAME, "AAAA"] = ["2001:db8::1"]
    async with watching(f"dns://{NAME}:9100") as (_, answers):
        await answers.wait("192.0.2.1:9100", "192.0.2.2:9100", "[2001:db8::1]:9100")


async def test_dns_is_content_with_one_family(name_server: NameServer) -> None:
    name_server.records[NAME, "A"] = ["192.0.2.1"]
    async with watching(f"dns://{NAME}:9100") as (watch, answers):
        await answers.wait("192.0.2.1:9100")
        assert watch.problem is None


@pytest.mark.parametrize("trouble", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN, None], ids=str)
@pytest.mark.parametrize(
    ("works", "fails", "record", "shown"),
    [("A", "AAAA", "192.0.2.1", "192.0.2.1:9100"), ("AAAA", "A", "2001:db8::1", "[2001:db8::1]:9100")],
)
async def test_one_kind_of_record_that_fails_does_not_hide_the_other(
    name_server: NameServer, works: str, fails: str, record: str, shown: str, trouble: dns.rcode.Rcode | None
) -> None:
    name_server.records[NAME, works] = [record]
    name_server.troubles[NAME, fails] = trouble
    async with watching(f"dns://{NAME}:9100") as (watch, answers):
        await answers.wait(shown)
        assert watch.problem is None


@pytest.mark.parametrize("trouble", [dns.rcode.SERVFAIL, None], ids=str)
async def test_one_name_of_the_search_list_that_fails_does_not_hide_the_others(
    name_server: NameServer, trouble: dns.rcode.Rcode | None
) -> None:
    name_server.search = ["corp.test.", "ns.svc.test."]
    name_server.troubles["_stream._tcp.worker.corp.test.", "SRV"] = trouble
    name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.worker.ns.svc.test."]
    async with watching("srv://_stream._tcp.worker") as (watch, answers):
        await answers.wait("worker-0.worker.ns.svc.test:9000")
        assert watch.problem is None


async def test_a_name_that_a_search_domain_makes_too_long_does_not_hide_the_others(name_server: NameServer) -> None:
    name_server.search = [f"{'search.' * 33}test.", "ns.svc.test."]
    name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.worker.ns.svc.test."]
    async with watching("srv://_stream._tcp.worker") as (_, answers):
        await answers.wait("worker-0.worker.ns.svc.test:9000")


@pytest.mark.parametrize(("ndots", "first"), [(5, "worker.ns.svc.test.ns.svc.test."), (1, "worker.ns.svc.test.")])
async def test_names_with_enough_dots_are_looked_up_as_they_are_first(
    name_server: NameServer, ndots: int, first: str
) -> None:
    name_server.ndots = ndots
    name_server.records[NAME, "A"] = ["192.0.2.1"]
    async with watching(f"dns://{NAME.rstrip('.')}:9100") as (_, answers):
        await answers.wait("192.0.2.1:9100")
        assert next(name for name, kind in name_server.questions if kind == "A") == first


async def test_a_name_server_that_is_silent_leaves_time_for_the_next_which_is_then_asked_first(
    name_server: NameServer,
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.2", 0))
        name_server.before = {"127.0.0.2": silent.getsockname()[1]}
        name_server.search = ["a.test.", "b.test.", "ns.svc.test."]
        name_server.records[NAME, "A"] = ["192.0.2.1"]
        async with watching("dns://worker:9100") as (watch, answers):
            await answers.wait("192.0.2.1:9100")
            await name_server.wait_asked(20)
            assert watch.problem is None
        silent.setblocking(False)
        asked = 0
        with suppress(BlockingIOError):
            while silent.recv(512):
                asked += 1
        assert asked <= 6  # by the first question of each kind, which has three names


async def test_srv_record_without_a_target_means_that_there_is_no_service(name_server: NameServer) -> None:
    name_server.records[SRV, "SRV"] = ["0 0 0 ."]
    async with watching(f"srv://{SRV}") as (watch, answers):
        await name_server.wait_asked(2)
        assert watch.members == ()
        assert watch.problem == f"srv://{SRV} names no worker"
        name_server.records[SRV, "SRV"] = ["0 0 9000 .", "0 0 9000 worker-0.worker.ns.svc.test."]
        await answers.wait("worker-0.worker.ns.svc.test:9000")


@pytest.mark.parametrize("works", [socket.AF_INET, socket.AF_INET6])
async def test_a_host_name_has_the_addresses_of_one_family_though_the_other_fails(
    works: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(host: str, port: None, family: int, kind: int) -> list[Any]:
        if family != works:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(family, kind, 6, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await Dns().look_up_addresses("worker") == ["192.0.2.1"]
    works = socket.AF_UNIX
    with pytest.raises(socket.gaierror, match="Temporary failure"):
        await Dns().look_up_addresses("worker")


async def test_a_service_without_workers_is_an_empty_answer_and_a_problem(name_server: NameServer) -> None:
    async with watching(f"srv://{SRV}") as (watch, answers):
        await name_server.wait_asked(2)
        assert watch.problem == f"srv://{SRV} names no worker"
        name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.worker.ns.svc.test."]
        await answers.wait("worker-0.worker.ns.svc.test:9000")
        assert watch.problem is None


@pytest.mark.parametrize(
    "trouble", [{"is_silent": True}, {"rcode": dns.rcode.SERVFAIL}, {"rcode": dns.rcode.REFUSED}], ids=str
)
async def test_a_failing_name_server_is_a_problem_and_no_answer(
    name_server: NameServer, trouble: dict[str, Any]
) -> None:
    name_server.records[SRV, "SRV"] = ["0 50 9000 worker-0.worker.ns.svc.test."]
    async with watching(f"srv://{SRV}") as (watch, answers):
        await answers.wait("worker-0.worker.ns.svc.test:9000")
        for name, value in trouble.items():
            setattr(name_server, name, value)
        while watch.problem is None:
            await name_server.wait_asked()
        assert watch.problem == f"cannot look up srv://{SRV}: no name server gives an answer"
        assert answers.last == (check_target("worker-0.worker.ns.svc.test:9000"),)
        name_server.is_silent, name_server.rcode = False, dns.rcode.NOERROR
        name_server.records[SRV, "SRV"].append("0 50 9000 worker-1.worker.ns.svc.test.")
        await answers.wait("worker-0.worker.ns.svc.test:9000", "worker-1.worker.ns.svc.test:9000")
        assert watch.problem is None


async def test_a_machine_without_name_servers_is_a_problem(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = asyncio.Event()

    def make_resolver(_: Dns) -> Any:
        attempts_loop.call_soon_threadsafe(attempts.set)
        raise dns.resolver.NoResolverConfiguration("Resolver configuration could not be read")

    attempts_loop = asyncio.get_running_loop()
    monkeypatch.setattr(Dns, "make_resolver", make_resolver)
    async with watching(f"srv://{SRV}") as (watch, answers):
        for _ in range(2):
            await attempts.wait()
            attempts.clear()
        assert watch.problem is not None
        assert "could not be read" in watch.problem
        assert watch.members == answers.last == ()


@asynccontextmanager
async def workers(count: int) -> AsyncIterator[list[Worker]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(a_worker(name=f"worker-{n}", discard=True)) for n in range(count)]


def records_of(workers: list[Worker]) -> list[str]:
    """SRV records that name each worker by a name that any machine resolves, and its port."""
    return [f"0 1 {worker.address[1]} localhost." for worker in workers if worker.address]


def streaming(producer: Producer) -> list[str]:
    return sorted(link.worker or "" for link in producer.links if link.is_up)


async def test_links_start_and_end_as_workers_come_and_go(
    name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("randstream.producer.membership.LEFT_OUT_SECONDS", 0.1)
    producer = a_producer(f"srv://{SRV}")
    async with workers(3) as three, running(producer):
        name_server.records[SRV, "SRV"] = records_of(three[:2])
        await until(lambda: streaming(producer) == ["worker-0", "worker-1"])
        assert producer.problem is None
        name_server.records[SRV, "SRV"] = records_of(three[1:])
        await until(lambda: streaming(producer) == ["worker-0", "worker-1", "worker-2"])
        three[0].stop()
        await until(lambda: len(producer.links) == 2)
        assert streaming(producer) == ["worker-1", "worker-2"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "srv://_stream._tcp.worker.randstream.svc.cluster.local",
            "srv://_stream._tcp.worker.randstream.svc.cluster.local",
        ),
        ("dns://worker.randstream.svc.cluster.local:9100", "dns://worker.randstream.svc.cluster.local:9100"),
        ("dns://worker", "dns://worker:9000"),
    ],
)
def test_a_service_is_a_target(text: str, shown: str) -> None:
    assert str(check_target(text)) == shown
    assert check_target(text).is_service


def test_srv_records_tell_the_port_so_the_target_has_none() -> None:
    with pytest.raises(SettingsError, match="has a port, but SRV records have their own"):
        ProducerSettings(workers="srv://_stream._tcp.worker:9000")


async def test_a_name_that_cannot_be_looked_up_for_want_of_descriptors_is_no_missing_name() -> None:
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files") as raised:
        _look_up_addresses("worker-0.example.invalid")
    assert reason_of(raised.value) is Reason.SHORTAGE


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EINVAL])
async def test_a_want_of_descriptors_is_found_though_the_c_library_tells_something_else(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with no_descriptor_left(), pytest.raises(OSError, match="Too many open files") as raised:
        _look_up_addresses("worker-0.example.invalid")
    assert reason_of(raised.value) is Reason.SHORTAGE


async def test_a_resolver_without_memory_is_a_shortage(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **named: Any) -> None:
        raise socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(OSError) as raised:
        _look_up_addresses("worker-0.example.invalid")
    assert reason_of(raised.value) is Reason.SHORTAGE


async def test_a_service_that_cannot_be_looked_up_for_want_of_descriptors_says_so(name_server: NameServer) -> None:
    dns = Dns()
    dns.make_resolver()
    with no_descriptor_left(), pytest.raises(LookUpError, match="this process has no file descriptor left"):
        await dns.look_up_workers(check_target("dns://worker.example:9000"), "A")
