"""Dns: whatever name servers and the C library answer, and what becomes of it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset
from tests.fuzz.loop import Loop, LoopClock
from tests.fuzz.tape import Tape

from randstream.net.timers import TimerWheel
from randstream.producer.discovery import Watch
from randstream.producer.dns import Dns, LookUpError, _look_up_addresses, kinds_of
from randstream.producer.membership import LEFT_OUT_SECONDS
from randstream.producer.resolver import LOOK_UPS_AT_ONCE, MOST_LATE_LOOK_UPS, Resolver
from randstream.settings import Target
from randstream.settings.addresses import check_target

# ---- name servers ----------------------------------------------------------------------------------------------------

SERVICES: Final = (
    "srv://_stream._tcp.worker", "dns://worker:9100", "srv://_stream._tcp.worker.ns.svc.test.",
    "dns://worker.ns.svc.test.:9100", "dns://a..b:9100", f"dns://{'long.' * 49}test:9100", "srv://" + "x" * 64,
)  # fmt: skip
SEARCH: Final = (
    (), ("ns.svc.test.",), ("corp.test.", "ns.svc.test."), (f"{'search.' * 30}test.", "ns.svc.test."),
)  # fmt: skip
LABELS: Final = (
    b"worker-0",
    b"Worker-0",
    b"worker-1",
    b"WORKER-1",
    b"test",
    b"TEST",
    b"127",
    b"a b",
    b".",
    b"\0",
    b"\xff",
    b"",
)
RCODES: Final = (
    dns.rcode.NOERROR, dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP,
    dns.rcode.FORMERR, dns.rcode.YXDOMAIN,
)  # fmt: skip
PORTS: Final = (9000, 0, 1, 65535, 9001)
LONGEST_NAME: Final = 254
"""With the dot at its end (RFC 1035, 2.3.4)."""
REFRESH: Final = 5.0
SECONDS: Final = 60.0
"""What an input may last: each second asks again."""
SILENT: Final = None


@dataclass(eq=False)
class Answer:
    """What is answered to a question: records of its kind with an rcode, or any bytes at all."""

    rcode: dns.rcode.Rcode = dns.rcode.NXDOMAIN
    records: list[bytes] = field(default_factory=list)
    """As they are on the wire."""
    named: set[tuple[str, int]] = field(default_factory=set)
    """The workers that they name; the port of an address is 0."""
    time_to_live: int = 0
    raw: bytes | None = None


NOWHERE: Final = Answer()


class NameServer(dns.nameserver.Nameserver):
    """Answers what the tape says, to names of the search list in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[Answer | None]] = {}
        """By kind: to the first name that is tried, the second..."""
        self.asked: list[str] = []
        """Names, of the look-up under way."""
        self._responses: dict[tuple[str, str, Answer], dns.message.Message | None] = {}
        """By name, kind and answer: what has been read once is not read again. None: nonsense."""

    def __str__(self) -> str:
        return "the tape"

    def kind(self) -> str:
        return "tape"

    def is_always_max_size(self) -> bool:
        return True

    def answer_nameserver(self) -> str:
        return "192.0.2.53"

    def answer_port(self) -> int:
        return 53

    def query(self, request: Any, *given: Any, **options: Any) -> dns.message.Message:
        question = request.question[0]
        name = question.name.to_text()
        if name not in self.asked:
            self.asked.append(name)
        at = self.asked.index(name)
        answers = self.answers.get(question.rdtype.name, [])
        answer = answers[at] if at < len(answers) else NOWHERE
        if answer is SILENT:
            raise dns.exception.Timeout
        key = name, question.rdtype.name, answer
        if key not in self._responses:
            self._responses[key] = read(request, answer)
        response = self._responses[key]
        if response is None:  # dnspython then waits for another
            raise dns.exception.Timeout
        response.id = request.id
        if not request.is_response(response):
            raise dns.exception.Timeout
        return response


def read(request: Any, answer: Answer) -> dns.message.Message | None:
    """What dnspython makes of the answer; None if it is not DNS."""
    wire = spell(request, answer) if answer.raw is None else request.id.to_bytes(2, "big") + answer.raw
    try:
        return dns.message.from_wire(wire)
    except Exception:
        return None


def spell(request: Any, answer: Answer) -> bytes:
    """The answer on the wire."""
    question = request.question[0]
    wire = bytearray(dns.message.make_response(request).to_wire())
    if len(wire) < 12 or answer.rcode != dns.rcode.NOERROR:
        response = dns.message.make_response(request)
        response.set_rcode(answer.rcode)
        return response.to_wire()
    wire[6:8] = len(answer.records).to_bytes(2, "big")
    end = 12 + len(question.name.to_wire()) + 4
    records = b"".join(
        b"\xc0\x0c%b\0\x01%b%b%b"
        % (
            int(question.rdtype).to_bytes(2, "big"),
            answer.time_to_live.to_bytes(4, "big"),
            len(record).to_bytes(2, "big"),
            record,
        )
        for record in answer.records
    )
    return bytes(wire[:end]) + records + bytes(wire[end:])


def read_answer(tape: Tape, kind: str) -> Answer | None:
    """Draw one."""
    how = tape.byte()
    if how >= 248:
        return SILENT
    if how >= 224:
        return Answer(raw=tape.take(tape.byte()))
    answer = Answer(RCODES[how % 8], time_to_live=(0, 1, 30, 2**31 - 1)[how // 8 % 4])
    if answer.rcode != dns.rcode.NOERROR:
        return answer
    count = tape.byte()
    for number in range(count % 16 if count < 240 else 500):
        add_record(answer, tape, kind, number)
    return answer


def add_record(answer: Answer, tape: Tape, kind: str, number: int) -> None:
    if kind != "SRV":
        size = 4 if kind == "A" else 16
        seed = tape.byte() or number
        packed = seed.to_bytes(2, "big").rjust(size, b"\x20")
        answer.records.append(packed)
        answer.named.add((str(ipaddress.ip_address(packed)), 0))
        return
    labels = [label for _ in range(tape.byte() % 4) if (label := tape.choose(LABELS))]
    port = tape.choose(PORTS)
    target = b"".join(b"%c%b" % (len(label), label) for label in labels) + b"\0"
    answer.records.append(bytes([0, tape.byte(), 0, number % 256]) + port.to_bytes(2, "big") + target)
    if labels and port:
        answer.named.add((".".join(map(shown, labels)), port))


def shown(label: bytes) -> str:
    """A label as text (RFC 1035, 5.1), in small letters."""
    text = ""
    for code in label.lower():
        sign = chr(code)
        if sign in '".;\\@$()':
            text += "\\" + sign
        else:
            text += sign if 0x20 < code < 0x7F else f"\\{code:03d}"
    return text


class TapedDns(Dns):
    """Asks the name server of the tape, at once, and holds what comes of it to what was answered."""

    def __init__(self, server: NameServer, search: tuple[str, ...], ndots: int) -> None:
        super().__init__()
        self.server = server
        self.search = [dns.name.from_text(each) for each in search]
        self.ndots = ndots
        self.last: dict[str, tuple[bool, set[Target]]] = {}
        """Of each kind: whether the last question was answered, and whom that named."""

    def make_resolver(self) -> dns.resolver.Resolver:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.server]
        resolver.search, resolver.ndots, resolver.domain = self.search, self.ndots, dns.name.root
        return resolver

    async def look_up_workers(self, service: Target, kind: str) -> tuple[tuple[Target, ...], float]:
        self.server.asked = []
        try:
            named, time_to_live = self._look_up_workers(service, kind)
        except LookUpError:
            self.last[kind] = (False, self.last.get(kind, (False, set()))[1])
            self.judge(service, kind, None)
            raise
        for target in named:
            check_worker(target, service, kind)
        assert len(set(named)) == len(named) <= 4096
        assert len({str(target).lower() for target in named}) == len(named), "one worker under two names"
        assert 0 <= time_to_live < 2**32
        self.last[kind] = (True, set(named))
        self.judge(service, kind, named)
        return named, time_to_live

    def judge(self, service: Target, kind: str, named: tuple[Target, ...] | None) -> None:
        """A second reading: the first name that has an answer counts, and a failure only if none has."""
        answers = self.server.answers.get(kind, [])
        failed = False
        for at in range(len(self.server.asked)):
            answer = answers[at] if at < len(answers) else Answer()
            if answer is not None and answer.raw is not None:
                return  # that is dnspython's affair
            if answer is SILENT or answer.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                failed = True
            elif answer.named or answer.records:
                expected = {(host, port or service.port) for host, port in answer.named}
                assert named is not None, "an answer was lost"
                assert {(target.host, target.port) for target in named} == expected
                return
        if self.server.asked:
            assert len(self.server.asked) == self.count_names(service.host), "a name was not tried"
            assert (named is None) == failed
            assert not named

    def count_names(self, host: str) -> int:
        """How many names `host` may mean, if it is a name at all."""
        if host.endswith("."):
            return 1
        return 1 + sum(len(f"{host}.{suffix}") <= LONGEST_NAME for suffix in self.search)


def check_worker(target: Target, service: Target, kind: str) -> None:
    assert target.scheme == "stream"
    assert 1 <= target.port <= 65535
    if kind == "SRV":
        assert target.host not in ("", ".")
        assert target.host == target.host.lower()
        assert target.host.isascii()
        assert target.host.isprintable()
        assert " " not in target.host
    else:
        assert ipaddress.ip_address(target.host).version == (4 if kind == "A" else 6)
        assert target.port == service.port


class Impatience:
    """The `time` of dnspython: what it sleeps between two questions passes for it alone, so silence has an end."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.slept = 0.0

    def time(self) -> float:
        return self.loop.time() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def fuzz_watch(tape: Tape) -> None:
    """What a producer believes of a service while its name servers answer this and that."""
    service = check_target(tape.choose(SERVICES))
    search, ndots = tape.choose(SEARCH), tape.byte() % 6
    loop, server = Loop(), NameServer()
    clock = LoopClock(loop)
    source = TapedDns(server, search, ndots)
    up: set[Target] = set()
    told: list[tuple[Target, ...]] = []
    watch = Watch(
        service, source, clock, up.__contains__, lambda member: False, lambda watch: told.append(watch.members)
    )
    heard: dict[Target, float] = {}
    with (
        loop.running(),
        patch.object(dns.resolver, "time", Impatience(loop)),
    ):
        asking = loop.create_task(watch.run())
        seconds = 0.0
        for _ in range(64):
            match tape.byte() % 4:
                case 0 | 1:
                    kind = tape.choose(kinds_of(service))
                    server.answers[kind] = [read_answer(tape, kind) for _ in range(1 + tape.byte() % 3)]
                case 2:
                    wait = (0.5, 1.0, 5.0, 40.0)[tape.byte() % 4]
                    seconds += wait
                    if seconds < SECONDS:
                        loop.advance(wait)
                case 3 if watch.members:
                    up ^= {tape.choose(watch.members)}
            loop.turn_over()
            assert not asking.done(), asking.exception()
            now = loop.time()
            if told:
                assert told[-1] == watch.members
            members = set(watch.members)
            assert len(members) == len(watch.members)
            assert up <= members, "a worker with a live link has left"
            for is_answered, named in source.last.values():
                assert named <= members or not is_answered, "one kind of record voids the other"
                heard |= dict.fromkeys(named, now)
            for target in members - up:
                assert now - heard[target] <= LEFT_OUT_SECONDS + 2 * REFRESH + 40.0
            if len(source.last) == len(kinds_of(service)):
                is_found = any(is_answered and named for is_answered, named in source.last.values())
                assert (watch.problem is None) == is_found
            if tape.is_over:
                break
        asking.cancel()
        loop.turn_over()
        assert asking.cancelled()
        assert not asyncio.all_tasks(loop)


# ---- the C library ---------------------------------------------------------------------------------------------------

ADDRESSES: Final = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "fe80::1%eth0", "::1", "127.0.0.1")
TROUBLES: Final = (socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)


def fuzz_system(tape: Tape) -> None:
    """One family's addresses are found, whatever the C library says of both or the other."""
    said: dict[int, list[str] | int] = {}
    for family in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):
        how = tape.byte()
        said[family] = TROUBLES[how % 5] if how % 2 else [tape.choose(ADDRESSES) for _ in range(1 + how // 2 % 8)]

    def answer(host: str, port: None, family: int, kind: int) -> list[Any]:
        found = said[family]
        if isinstance(found, int):
            raise socket.gaierror(found, "trouble")
        return [(family, kind, 6, "", (address, 0)) for address in found]

    found: list[str] = []
    with patch.object(socket, "getaddrinfo", answer), suppress(OSError):
        found = _look_up_addresses(tape.rest().decode("latin-1"))
    if not found:
        are_all_in_trouble = all(isinstance(each, int) for each in said.values())
        assert said[socket.AF_UNSPEC] == socket.EAI_MEMORY or are_all_in_trouble, "an address was lost"
        return
    assert len(set(found)) == len(found)
    first = next(each for each in said.values() if not isinstance(each, int))
    assert set(found) == set(first)


# ---- questions at once -----------------------------------------------------------------------------------------------


class Slow(Dns):
    """Answers when it is told to."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self.loop = loop
        self.questions: list[tuple[str, asyncio.Future[list[str]]]] = []

    def look_up_addresses(self, host: str) -> asyncio.Future[list[str]]:
        question: asyncio.Future[list[str]] = self.loop.create_future()
        self.questions.append((host, question))
        return question


def fuzz_resolver(tape: Tape) -> None:
    """Whoever asks gets what was answered to the question, and to none that is another's."""
    loop = Loop()
    bugs: list[Exception] = []
    wheel = TimerWheel(LoopClock(loop), bugs.append)
    slow = Slow(loop)
    resolver = Resolver(slow, wheel)
    asked: list[tuple[str, asyncio.Task[list[str]]]] = []
    answers: dict[str, set[str]] = {}
    with loop.running():
        for _ in range(200):
            what, much = tape.byte(), tape.byte()
            match what % 4:
                case 0:
                    host = f"worker-{much % 64}.test" if what < 240 else "192.0.2.1"
                    asked.append((host, loop.create_task(resolver.resolve(host))))
                case 1 if slow.questions:
                    host, question = slow.questions.pop(much % len(slow.questions))
                    if what >= 128:
                        question.set_exception(socket.gaierror(TROUBLES[what % 5], "trouble"))
                    else:
                        answers.setdefault(host, set()).add(f"192.0.2.{what}")
                        question.set_result([f"192.0.2.{what}"])
                case 2:
                    loop.advance((0.05, 0.5, 1.0, 10.0)[much % 4])
                case 3 if asked:
                    asked[much % len(asked)][1].cancel()
            loop.turn_over()
            assert not bugs
            assert len(slow.questions) <= LOOK_UPS_AT_ONCE + MOST_LATE_LOOK_UPS
            hosts = [host for host, _ in slow.questions]
            assert len(set(hosts)) == len(hosts), "one question twice"
            waiting = {host for host, task in asked if not task.done()}
            assert len(hosts) >= min(len(waiting), LOOK_UPS_AT_ONCE // 2), "a place is free, and nobody has it"
            if tape.is_over:
                break
        answer_all(loop, slow)
        for host, task in asked:
            assert task.done()
            if not task.cancelled() and task.exception() is None:
                assert set(task.result()) <= answers.get(host, set()) | {host, "192.0.2.255"}
            elif not task.cancelled():
                assert isinstance(task.exception(), socket.gaierror)
        assert not asyncio.all_tasks(loop)
        wheel.close()


def answer_all(loop: Loop, slow: Slow) -> None:
    for _ in range(1000):
        loop.advance(0.2)
        if not slow.questions:
            return
        slow.questions.pop()[1].set_result(["192.0.2.255"])
    raise AssertionError("questions without an end")


PARTS: Final[tuple[Callable[[Tape], None], ...]] = (fuzz_watch, fuzz_system, fuzz_resolver)


def fuzz_dns(data: bytes) -> None:
    """The first byte says what is fed: name servers, the C library, or many questions at once."""
    tape = Tape(data)
    tape.choose(PARTS)(tape)
