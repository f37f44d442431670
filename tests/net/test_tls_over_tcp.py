"""TLS over real sockets: both roles, on both loops."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from typing import Any

import pytest
from tests.net.certificates import (
    CA,
    EXPIRED,
    HOST,
    OTHER_CA,
    PRODUCER,
    Files,
    a_producer_by_hand,
    a_receiver,
)
from tests.producer.links import Longest
from tests.protocol.network import HELLO, START, WORKER, beat_line, open_line
from tests.support.log import Log
from tests.support.peers import Peer, a_listener, dialled
from tests.support.roles import a_worker, producing
from tests.support.sinks import Memory
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.backoff import LONGEST_DELAY
from randstream.errors import (
    Reason,
)
from randstream.net.tls import SecuredEnd
from randstream.protocol.events import Closed
from randstream.protocol.frames import Resume
from randstream.protocol.receiver import Receiver

pytestmark = pytest.mark.kernel


async def test_a_stream_over_tls_is_exact(worker_files: Files, producer_files: Files) -> None:
    sink = Memory()
    async with (
        a_worker(sink, **worker_files.settings) as worker,
        producing(worker, rate="max", **producer_files.settings),
    ):
        await sink.wait_count(300_000)
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_producer_of_another_ca_gets_no_stream_and_both_say_why(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    producer_files.write(OTHER_CA.issue_cert(PRODUCER), CA)
    sink = Memory()
    async with a_worker(sink, **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert (left["reason"], unreachable["reason"]) == ("tls", "tls")
    assert left["error"] == "the peer's certificate is not valid: unable to get local issuer certificate"
    assert unreachable["error"] == "the peer ended TLS: unknown ca"
    assert sink.count == 0
    assert not log.of("link.resumed")


async def test_a_worker_whose_certificate_has_expired_warns_and_says_what_to_do(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker_files.write(CA.issue_cert(HOST, WORKER, **EXPIRED), CA)
    async with a_worker(Memory(), **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        refused = await log.wait("tls.refused")
        unreachable = await log.wait("link.unreachable")
    assert (refused["log_level"], refused["reason"]) == ("warning", "tls")
    assert refused["error"] == "the peer ended TLS: certificate expired"
    assert "replace the file of --tls-cert" in refused["advice"]
    assert unreachable["error"] == "the peer's certificate is not valid: certificate has expired"
    assert "advice" not in unreachable
    assert not log.of("peer.left")


async def test_a_producer_whose_certificate_has_expired_says_what_to_do(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    producer_files.write(CA.issue_cert(PRODUCER, **EXPIRED), CA)
    async with a_worker(Memory(), **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        unreachable = await log.wait("link.unreachable")
        left = await log.wait("peer.left")
    assert unreachable["error"] == "the peer ended TLS: certificate expired"
    assert "replace the file of --tls-cert" in unreachable["advice"]
    assert (left["log_level"], left["error"]) == (
        "info",
        "the peer's certificate is not valid: certificate has expired",
    )


async def test_a_worker_of_another_name_gets_no_stream_and_both_say_why(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    worker_files.write(CA.issue_cert("worker-1.example"), CA)
    async with a_worker(Memory(), **worker_files.settings) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert left["error"] == "the peer ended TLS: bad certificate"
    assert "certificate is not valid for '127.0.0.1'" in unreachable["error"]


async def test_the_name_that_was_dialled_is_checked_not_the_address_it_has(
    worker_files: Files, producer_files: Files
) -> None:
    worker_files.write(CA.issue_cert("localhost", WORKER), CA)
    sink = Memory()
    async with a_worker(sink, **worker_files.settings) as worker:
        assert worker.address is not None
        async with producing(f"localhost:{worker.address[1]}", **producer_files.settings):
            await sink.wait_count(1)


async def test_a_producer_that_is_not_allowed_waits_long_between_attempts(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    settings = {**worker_files.settings, "allow_producer": ("producer-1.example",)}
    chance = Longest()
    async with a_worker(Memory(), **settings) as worker, producing(worker, random=chance, **producer_files.settings):
        unreachable = await log.wait("link.unreachable")
        left = await log.wait("peer.left")
        assert chance.delays == [LONGEST_DELAY]
    assert (left["reason"], unreachable["reason"]) == ("refused", "refused")


async def test_a_plain_peer_of_a_secured_worker_gets_nothing(worker_files: Files, log: Log) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        peer.say(b"52\n")
        answer = await peer.rest()
        left = await log.wait("peer.left")
    assert b"worker-0" not in answer
    assert left["error"] == "the peer does not speak TLS: b'52\\n'"


async def test_a_secured_producer_tells_a_plain_worker_nothing(producer_files: Files, log: Log) -> None:
    async with a_worker(Memory()) as worker, producing(worker, **producer_files.settings):
        left = await log.wait("peer.left")
        unreachable = await log.wait("link.unreachable")
    assert left["error"] == "TLS, but this end speaks plain text: see --tls-cert"
    assert unreachable["error"].startswith("the peer does not speak TLS: b'#hello")


async def test_certificates_rotated_while_numbers_flow_harm_nothing_and_serve_the_next_connection(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    sink = Memory()
    async with (
        a_worker(sink, **worker_files.settings) as worker,
        producing(worker, **producer_files.settings) as producer,
    ):
        await sink.wait_count(10)
        live = worker.line.holder
        worker_files.write(OTHER_CA.issue_cert(HOST, WORKER), OTHER_CA)
        producer_files.write(OTHER_CA.issue_cert(PRODUCER), OTHER_CA)
        await sink.wait_count(sink.count + 500)
        assert worker.line.holder is live
        assert not log.of("tls.reloaded")
        assert live is not None
        live.end(Reason.SHUTDOWN, worker.clock.now())
        await log.wait("link.resumed", 4)  # both ends, twice
        await sink.wait_count(sink.count + 10)
        assert len(log.of("tls.reloaded")) == 2
        assert producer.links[0].reconnects == 1
    assert sink.taken == stream().lines(0, sink.count)


async def test_a_slow_reader_behind_tls_stops_the_numbers_not_the_link(
    worker_files: Files, producer_files: Files
) -> None:
    """Unwritten bytes stay within the write buffer and a run: TLS must not hide the peer's slowness."""
    context = worker_files.context(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    patient = {"rate": "max", "heartbeat_interval": 60, **producer_files.settings}
    async with a_listener() as listener, producing(listener, **patient) as producer:
        peer = await listener.peer()
        receiver = a_receiver()
        await speak_until_resumed(peer, receiver, SecuredEnd(receiver, context))
        link = producer.links[0]
        connection: Any = await until(lambda: link.session and link.session.connection)
        await until(lambda: not connection.is_writable)
        assert connection.transport.get_write_buffer_size() < 8 * 2**20


async def speak_until_resumed(peer: Peer, receiver: Receiver, end: SecuredEnd) -> None:
    while receiver.offset is None:
        for event in end.receive_data(await peer.reader.read(2**16), START):
            if not isinstance(event, Closed):
                receiver.resume(Resume(0), START)
        peer.writer.writelines(end.data_to_send())


async def test_a_producer_that_ends_tls_and_not_the_link_is_a_link_lost(
    worker_files: Files, producer_files: Files, log: Log
) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        hand = a_producer_by_hand(producer_files)
        for answer, line in ((HELLO, open_line(stream=stream().id)), (b"#resume after=start\n", beat_line(0))):
            while answer not in hand.heard:
                peer.writer.writelines(hand.data_to_send())
                hand.receive_data(await peer.reader.read(2**16), START)
            hand.tls.write(line)
        peer.writer.writelines(hand.data_to_send())
        await log.wait("link.resumed")
        peer.say(hand.goodbye())
        lost = await log.wait("link.lost")
        assert worker.line.holder is None
    assert (lost["reason"], lost["error"]) == ("cut", "the peer ended the connection without a word")


async def test_half_open_tls_connections_are_closed_at_the_end_of_the_worker(worker_files: Files, log: Log) -> None:
    async with a_worker(Memory(), **worker_files.settings) as worker, dialled(worker) as peer:
        peer.say(b"\x16\x03\x01")
        await until(lambda: worker.admission.present)
        worker.stop()
        assert await peer.rest() == b""
    assert log.of("peer.left")[0]["reason"] == "shutdown"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")
async def test_openssl_s_client_sees_the_greeting(worker_files: Files, producer_files: Files) -> None:
    paths = {name: str(producer_files.folder / name) for name in ("cert", "key", "ca")}
    async with a_worker(Memory(), **worker_files.settings) as worker:
        assert worker.address is not None
        client = await asyncio.create_subprocess_exec(
            "openssl", "s_client", "-quiet", "-connect", f"{HOST}:{worker.address[1]}", "-cert", paths["cert"],
            "-key", paths["key"], "-CAfile", paths["ca"], "-verify_return_error",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert client.stdout is not None
        assert await client.stdout.readline() == HELLO
        client.kill()
        await client.wait()
