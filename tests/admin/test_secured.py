"""Secured: HTTPS, and what happens to clients that do not speak it, do not finish a handshake or do not trust us."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock, call

import pytest
import trustme
from cryptography import x509
from tests.admin.roles import ROLE_NAMES, FakeLink, FakeRole, RoleName
from tests.admin.site import Site, client_context, site_of, wait_cut
from tests.net.certificates import CA, HOST, OTHER_CA, Files
from tests.support.log import Log
from tests.support.roles import a_worker, producing
from tests.support.waiting import PATIENCE, until

from randstream.admin import guard
from randstream.admin.guard import PLACES
from randstream.admin.secured import HANDSHAKE, Secured, read_certificate
from randstream.admin.server import AdminServer, serve_admin
from randstream.clock import Clock
from randstream.errors import SettingsError
from randstream.observe.throttle import LINES_A_MINUTE
from randstream.settings import Address

Certificate = tuple[str, str]
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
MANY = 2 * PLACES
AUTHORITY_ENDS = x509.load_pem_x509_certificate(CA.cert_pem.bytes()).not_valid_after_utc.year


@asynccontextmanager
async def talking(
    site: Site, context: ssl.SSLContext | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", site.port, ssl=context, server_hostname=None if context is None else HOST
    )
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def ask_plainly(site: Site, request: bytes = GET) -> bytes:
    """The answer to `request` without TLS."""
    async with talking(site, None) as (reader, writer):
        writer.write(request)
        return await reader.readuntil(b"\r\n\r\n") + await reader.readline()


async def shake_hands(site: Site, context: ssl.SSLContext) -> str:
    """Why a handshake fails."""

    def shake() -> str:  # asyncio's own client aborts, and does not tell the server why
        try:
            with socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE) as plain:
                secured = context.wrap_socket(plain, server_hostname=HOST)
                return f"it does not fail, but hears {secured.recv(100)!r}"
        except ssl.SSLError as error:
            return str(error)

    return await asyncio.to_thread(shake)


def client_hello() -> bytes:
    hello = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname=HOST).do_handshake()
    return hello.read()


async def test_every_path_is_https(certificate: Certificate, log: Log) -> None:
    async with site_of(FakeRole(), certificate=certificate) as site:
        for path in ("/", "/api/links", "/metrics", "/livez", "/readyz"):
            assert (await site.get(path))[0] == 200
        async with site.client.get("/events") as events:
            await events.content.readuntil(b"\n\n")
            site.tick(1.0)
            assert (await events.content.readuntil(b"\n\n")).startswith(b"data: ")
        assert log.of("admin.listening")[0]["url"] == f"https://127.0.0.1:{site.port}/"
    assert not log.of("admin.tls_failed")


async def test_the_numbers_are_those_of_the_stream(certificate: Certificate) -> None:
    async with (
        a_worker(discard=True) as worker,
        producing(worker),
        site_of(worker, certificate=certificate) as site,
        site.client.get("/numbers") as numbers,
    ):
        assert 1 <= int(await numbers.content.readline()) <= 100


@pytest.mark.parametrize("path", ["/", "/livez", "/nothing", "https://localhost/livez"])
async def test_a_client_of_plain_http_is_told_to_use_https(certificate: Certificate, log: Log, path: str) -> None:
    async with site_of(FakeRole(), certificate=certificate) as site:
        answer = await ask_plainly(site, GET.replace(b"/livez", path.encode()))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"this is plain HTTP, but the port speaks HTTPS; use https://\n")
        (event,) = log.of("admin.tls_failed")
        assert (event["peer"], event["error"]) == ("127.0.0.1", "the client speaks plain HTTP to an HTTPS port")


async def test_bytes_that_are_neither_are_answered_in_one_line(certificate: Certificate) -> None:
    async with site_of(FakeRole(), certificate=certificate) as site:
        assert b"this is not an HTTP request" in await ask_plainly(site, b"hello\r\n\r\n")


async def test_tls_to_a_plain_port_is_logged_and_its_client_sees_http(log: Log) -> None:
    async with site_of(FakeRole()) as site:
        assert (await ask_plainly(site, client_hello())).startswith(b"HTTP/1.0 400 ")
        assert "WRONG_VERSION_NUMBER" in await shake_hands(site, client_context())
    assert [event["error"] for event in log.events if event["event"] == "admin.tls_failed"] == [
        "the client speaks TLS to a plain HTTP port"
    ] * 2


async def test_bytes_inside_tls_that_look_like_tls_are_no_failed_handshake(certificate: Certificate, log: Log) -> None:
    async with (
        site_of(FakeRole(), certificate=certificate) as site,
        talking(site, client_context()) as (reader, writer),
    ):
        writer.write(bytes([HANDSHAKE]) + b"\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 400 ")
        assert not log.of("admin.tls_failed")


async def test_both_sides_learn_why_a_handshake_failed(certificate: Certificate, log: Log) -> None:
    old = client_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with site_of(FakeRole(), certificate=certificate) as site:
        assert "CERTIFICATE_VERIFY_FAILED" in await shake_hands(site, ssl.create_default_context())
        assert (await log.wait("admin.tls_failed"))["error"] == "the peer ended TLS: unknown ca"
        assert "PROTOCOL_VERSION" in await shake_hands(site, old)
        assert (await log.wait("admin.tls_failed", 2))["error"] == "TLS: unsupported protocol"
        await ask_broken(site)
        await log.wait("admin.tls_failed", 3)


async def ask_broken(site: Site) -> bytes:
    """What answers a record that is none."""
    async with talking(site, None) as (reader, writer):
        writer.write(b"\x16" + b"hello" * 100)
        return await wait_cut(reader)


async def test_failures_do_not_fill_the_log(certificate: Certificate, log: Log) -> None:
    async with site_of(FakeRole(), certificate=certificate) as site:
        for _ in range(LINES_A_MINUTE):
            await ask_plainly(site)
            await ask_broken(site)
    assert len(log.of("admin.tls_failed")) == LINES_A_MINUTE


async def test_half_handshakes_take_no_more_than_the_places_and_keep_no_client_out(certificate: Certificate) -> None:
    half = client_hello()[:100]
    async with site_of(FakeRole(), certificate=certificate) as site:
        writers = []
        try:
            for _ in range(MANY):
                _, writer = await asyncio.open_connection("127.0.0.1", site.port)
                writers.append(writer)
                writer.write(half)
            assert await site.get("/livez") == (200, "alive\n")
            assert site.admin.guard.waiting <= PLACES
        finally:
            for writer in writers:
                writer.close()


@pytest.mark.parametrize("is_open", [False, True])
async def test_a_client_that_does_not_finish_its_handshake_or_request_in_time_is_cut(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.5)
    async with site_of(FakeRole(), certificate=certificate) as site:
        async with talking(site, client_context() if is_open else None) as (reader, writer):
            if not is_open:
                writer.write(client_hello()[:100])
            await wait_cut(reader)
        await until(lambda: site.admin.guard.waiting == 0)


def test_a_client_that_does_not_read_pauses_the_handler(certificate: Certificate) -> None:
    handler, transport = Mock(), Mock()
    secured = Secured(handler, read_certificate(*certificate, Clock()).newest().context, Mock())
    secured.connection_made(transport)
    secured.pause_writing()
    secured.resume_writing()
    secured.pause_reading()
    secured.resume_reading()
    assert handler.method_calls == [call.connection_made(secured), call.pause_writing(), call.resume_writing()]
    assert transport.method_calls == [call.pause_reading(), call.resume_reading()]


async def test_a_large_answer_comes_whole(certificate: Certificate) -> None:
    links = [FakeLink(f"worker-{number}") for number in range(10_000)]
    async with (
        site_of(FakeRole(links=links), certificate=certificate) as site,
        site.client.get("/api/links?limit=10000", headers={"Accept-Encoding": ""}) as answer,
    ):
        assert len((await answer.json())["links"]) == 10_000


async def test_each_side_may_end_tls(certificate: Certificate) -> None:
    async with site_of(FakeRole(), certificate=certificate) as site:
        async with talking(site, client_context()):
            await until(lambda: site.admin.guard.waiting == 1)
        await until(lambda: site.admin.guard.waiting == 0)
        assert await asyncio.to_thread(read_to_goodbye, site.port) == b"alive\n"


def read_to_goodbye(port: int) -> bytes:
    """An answer that the server ends. Raises ssl.SSLEOFError if it does so without a goodbye."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        client_context().wrap_socket(plain, server_hostname=HOST, suppress_ragged_eofs=False) as secured,
    ):
        secured.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        heard = b""
        while data := secured.recv(1000):
            heard += data
    return heard.rpartition(b"\r\n\r\n")[2]


async def test_a_handshake_and_a_request_may_come_byte_by_byte(certificate: Certificate) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context().wrap_bio(incoming, outgoing, server_hostname=HOST)
    async with site_of(FakeRole(), certificate=certificate) as site, talking(site, None) as (reader, writer):

        async def say() -> None:
            for byte in outgoing.read():
                writer.write(bytes([byte]))
                await asyncio.sleep(0)

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await say()
                incoming.write(await reader.read(1000))
        tls.write(GET)
        await say()
        while True:
            with suppress(ssl.SSLWantReadError):
                assert tls.read(1000).startswith(b"HTTP/1.1 200 ")
                break
            incoming.write(await reader.read(1000))


async def test_the_next_client_gets_a_renewed_certificate_but_never_an_unreadable_one(
    certificate: Certificate, files: Files, log: Log
) -> None:
    async def issuer(site: Site) -> str:
        context = client_context()
        OTHER_CA.configure_trust(context)
        async with talking(site, context) as (_, writer):
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return "ours" if shown == ssl.PEM_cert_to_DER_cert(first) else "the other"

    first = (files.folder / "cert").read_text()
    async with (
        site_of(FakeRole(), certificate=certificate) as site,
        talking(site, client_context()) as (reader, writer),
    ):
        assert await issuer(site) == "ours"
        files.put("key", b"half")
        for _ in range(3):
            assert await issuer(site) == "ours"
        (event,) = log.of("tls.unreadable")
        assert event["error"].startswith(f"--admin-tls-key {certificate[1]}: no private key in it")
        files.write(OTHER_CA.issue_cert(HOST), CA)
        assert await issuer(site) == "the other"
        assert log.of("tls.reloaded")[0]["certificate"] == certificate[0]
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


def expiring(year: int) -> trustme.LeafCert:
    return CA.issue_cert(HOST, "localhost", "worker-0", not_after=datetime(year, 1, 1, tzinfo=UTC))


async def expiries(site: Site) -> dict[str, int]:
    """The year in which the certificate of each setting expires, as /metrics has it."""
    _, text = await site.get("/metrics")
    found = re.findall(r'^randstream_certificate_expiry_\w+{.*setting="(.*)"} (.+)$', text, re.MULTILINE)
    return {setting: datetime.fromtimestamp(float(end), UTC).year for setting, end in found}


@pytest.mark.parametrize("name", ROLE_NAMES)
async def test_metrics_have_each_certificate_in_use_and_follow_its_renewal(
    certificate: Certificate, files: Files, tmp_path: Path, name: RoleName
) -> None:
    streams = Files(tmp_path / "streams").write(expiring(2090), CA)
    async with (
        a_worker(discard=True, **streams.settings) as worker,
        producing(worker, **streams.settings) as producer,
        site_of(worker if name == "worker" else producer, certificate=certificate) as site,
    ):
        files.write(expiring(2091), CA)
        assert await expiries(site) == {"tls-cert": 2090, "tls-ca": AUTHORITY_ENDS, "admin-tls-cert": 2091}
        streams.write(expiring(2092), CA)
        files.write(expiring(2093), CA)
        assert await expiries(site) == {"tls-cert": 2092, "tls-ca": AUTHORITY_ENDS, "admin-tls-cert": 2093}


async def test_without_tls_there_is_no_certificate_to_expire() -> None:
    async with a_worker(discard=True) as worker, producing(worker) as producer:
        for role in (worker, producer):
            async with site_of(role) as site:
                assert await expiries(site) == {}


async def test_a_process_whose_certificates_have_expired_warns_of_each(
    certificate: Certificate, files: Files, tmp_path: Path, log: Log
) -> None:
    streams = Files(tmp_path / "streams").write(expiring(2001), CA)
    files.write(expiring(2002), CA)
    async with a_worker(discard=True, **streams.settings) as worker:
        async with serve_admin(AdminServer(worker, Address(HOST, 0), certificate=certificate)):
            await log.wait("tls.expired", 2)
        async with producing(worker, **streams.settings):
            await log.wait("tls.expired", 3)
    told = [(event["setting"], event["expires"], event["log_level"]) for event in log.of("tls.expired")]
    assert told == [
        ("tls-cert", "2001-01-01T00:00:00Z", "warning"),
        ("admin-tls-cert", "2002-01-01T00:00:00Z", "warning"),
        ("tls-cert", "2001-01-01T00:00:00Z", "warning"),
    ]


@pytest.mark.parametrize(("spoilt", "told"), [("cert", "no certificate in it"), ("key", "no private key in it")])
def test_unusable_files_are_a_settings_error(certificate: Certificate, files: Files, spoilt: str, told: str) -> None:
    files.put(spoilt, b"hello")
    with pytest.raises(SettingsError, match=f"^--admin-tls-{spoilt} .*: {told}"):
        read_certificate(*certificate, Clock())


def test_a_key_of_another_certificate_is_a_settings_error(certificate: Certificate, files: Files) -> None:
    files.put("key", CA.issue_cert(HOST).private_key_pem.bytes())
    with pytest.raises(SettingsError, match=r"^--admin-tls-key .* does not belong to --admin-tls-cert "):
        read_certificate(*certificate, Clock())


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://localhost:9001", 200), ("HTTPS://localhost:9001", 200),
        ("http://localhost:9001", 403), ("null", 403), ("", 403), ("https://localhost:9002", 403),
    ],
)  # fmt: skip
async def test_a_page_from_plain_http_is_another_sites(certificate: Certificate, origin: str, status: int) -> None:
    async with (
        site_of(FakeRole(), certificate=certificate) as site,
        site.client.get("/api/links", headers={"Host": "localhost:9001", "Origin": origin}) as answer,
    ):
        assert answer.status == status


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:80"])
async def test_the_default_ports_of_http_and_https_differ(certificate: Certificate, origin: str) -> None:
    async with (
        site_of(FakeRole(), certificate=certificate) as site,
        site.client.get("/api/links", headers={"Host": "localhost", "Origin": origin}) as answer,
    ):
        assert answer.status == 403


async def test_a_page_from_plain_http_is_another_sites_whatever_url_it_requests(certificate: Certificate) -> None:
    async with (
        site_of(FakeRole(), certificate=certificate) as site,
        talking(site, client_context()) as (reader, writer),
    ):
        writer.write(b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")


async def test_the_token_is_required_behind_tls(certificate: Certificate, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("c2VjcmV0")
    async with site_of(FakeRole(), certificate=certificate, token_file=str(tmp_path / "token")) as site:
        assert (await site.get("/metrics"))[0] == 401
        assert (await site.get("/metrics", headers={"Authorization": "Bearer c2VjcmV0"}))[0] == 200
        assert (await site.get("/livez"))[0] == 200
