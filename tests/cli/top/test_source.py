"""Source: an admin server is asked, and what comes of it. It may be anybody's."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of
from tests.net.certificates import CA, OTHER_CA, Files
from trustme import LeafCert

from randstream.cli.top.source import MOST_BYTES, Source, is_loopback
from randstream.cli.top.view import View
from randstream.errors import SettingsError


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers each request so, and closes; its HOST:PORT, and the requests that it gets."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def complaint(url: str, ca_file: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        await asyncio.to_thread(Source(url, ca_file=ca_file).fetch, limit=1)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "ftp://a:1", "http://", "://", "http://[::1", "http://a:port", "http://a:99999", "a:0", "http://\u2100"]
)
def test_an_unusable_address_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="is not the address of an admin server; give http://HOST:PORT"):
        Source(url)


async def test_why_a_server_refuses_is_told() -> None:
    async with site_of(FakeRole()) as site:
        assert ": 404, there is no /livez/api/links here; try /," in await complaint(f"127.0.0.1:{site.port}/livez")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "Remote end closed connection without response"),
        (b"\x1b]0;taken\x07\r\n\r\n", "]0;taken"),
        (b"HTTP/1.1 200 \x1b[2J\r\nContent-Length: 2\r\n\r\n[]", "the whole has the wrong shape"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "role is missing"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-9\r\n\x1b", "non-negative"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}", "is missing"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", "100 headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000 + b"\r\n", "65536"),
        (b"HTTP/1.1 999 \x1b[2J\r\n\r\n", "999, [2J"),
        (b"HTTP/1.1 503 No\r\nContent-Type: text/plain\r\n\r\n\x1b[2Jwhy\n\n", "503, [2Jwhy"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\n\r\n<h1>", "401, Unauthorized"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MOST_BYTES + 1), "it is too long"),
    ],
)
async def test_whatever_a_server_answers_is_told_in_one_line(answer: bytes, told: str) -> None:
    async with answering(answer) as (address, _):
        said = await complaint(address)
    assert said.startswith(("no answer from http://127.0.0.1:", "no admin server's answer from http://127.0.0.1:"))
    assert told in said


@pytest.mark.parametrize("host", ["nobody.invalid", "a" * 300, "a..b", "bücher.invalid", "a%00b"])
async def test_a_name_that_cannot_be_looked_up_is_told_in_one_line(host: str) -> None:
    assert (await complaint(f"http://{host}:1")).startswith("no answer from http://")


async def test_a_server_cannot_send_us_elsewhere() -> None:
    async with answering(b"") as (elsewhere, asked):
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n"
        async with answering(moved.encode()) as (address, _):
            assert "302, Found" in await complaint(address)
        assert not asked


async def test_credentials_are_sent_and_not_shown() -> None:
    async with answering(b"") as (address, asked):
        said = await complaint(f"http://me:s%40cret@{address}/behind/")
        source = Source(f"http://me:s%40cret@{address}/behind/")
    assert b"Authorization: Basic " + b64encode(b"me:s@cret") in asked[0]
    assert asked[0].startswith(b"GET /behind/api/links?")
    assert "cret" not in said + source.address + View(source).look().trouble


@pytest.mark.parametrize(
    "url", ["ftp://me:secret@a:1", "http://me:secret@", "http://me:secret@a:port", "me:1/secret@a:1", "http://a:1/x?y=secret@",
            "me:se#cret@a", "http://me:secret@[::1", "ftp://a/?token=secret"],
)  # fmt: skip
def test_credentials_in_an_unusable_address_are_not_shown(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Source(url)
    assert "secret" not in str(caught.value)
    assert "cret@" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "127.1")),
        *((host, True) for host in ("0x7f000001", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::")),
        *((host, False) for host in ("10.0.0.1", "128.0.0.1", "fe80::1", "127.0.0.1.example", "bücher", "")),
        *((host, False) for host in ("localhost.example", "notlocalhost")),
    ],
)  # fmt: skip
def test_what_is_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_proxy_hears_nothing_of_loopback(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with answering(b"") as (proxy, heard), site_of(FakeRole()) as site:
        for variable in ("http_proxy", "all_proxy"):
            monkeypatch.setenv(variable, f"http://{proxy}")
        monkeypatch.delenv("no_proxy", raising=False)
        found = await asyncio.to_thread(Source(f"http://{name}:{site.port}").fetch, limit=1)
        assert found["name"] == "producer-0"
        assert not heard
        assert "no answer" in await complaint("http://admin.invalid:1")
        assert heard[0].startswith(b"GET http://admin.invalid:1/api/links")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path).write(CA.issue_cert("127.0.0.1"), CA)


@asynccontextmanager
async def secured(files: Files) -> AsyncIterator[str]:
    """An admin server with TLS; its HOST:PORT."""
    async with site_of(FakeRole(), certificate=(str(files.folder / "cert"), str(files.folder / "key"))) as site:
        yield f"127.0.0.1:{site.port}"


@pytest.mark.parametrize("trusted", ["ca", "cert"])
async def test_https_works_with_a_given_ca_or_the_certificate_itself(files: Files, trusted: str) -> None:
    async with secured(files) as address:
        source = Source(f"https://{address}", ca_file=str(files.folder / trusted))
        assert (await asyncio.to_thread(source.fetch, limit=1))["name"] == "producer-0"


async def test_the_systems_cas_are_trusted_by_default(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(files) as address:
        assert "; give the CA that signed it, or the certificate itself, with --ca FILE" in await complaint(
            f"https://{address}"
        )
        monkeypatch.setenv("SSL_CERT_FILE", str(files.folder / "ca"))
        assert (await asyncio.to_thread(Source(f"https://{address}").fetch, limit=1))["name"] == "producer-0"


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        (CA.issue_cert("other.example"), "IP address mismatch, certificate is not valid for '127.0.0.1'; use a name"),
        (CA.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)), "certificate has expired; renew it"),
        (OTHER_CA.issue_cert("127.0.0.1"), "unable to get local issuer certificate; give the CA that signed it"),
    ],
)
async def test_a_rejected_certificate_is_reported_in_one_line_with_what_to_do(
    files: Files, certificate: LeafCert, told: str
) -> None:
    files.write(certificate, CA)
    async with secured(files) as address:
        assert f"its certificate is not accepted: {told}" in await complaint(
            f"https://{address}", str(files.folder / "ca")
        )


async def test_http_to_an_https_port_and_the_reverse_are_reported(files: Files) -> None:
    async with secured(files) as address:
        assert "400, this is plain HTTP, but the port speaks HTTPS; use https://" in await complaint(address)
    async with site_of(FakeRole()) as site:
        assert "it does not speak TLS; use http://" in await complaint(f"https://127.0.0.1:{site.port}")


@pytest.mark.parametrize("text", [None, "hello", "-----BEGIN CERTIFICATE-----"])
def test_an_unusable_ca_is_a_settings_error(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ca").write_text(text)
    with pytest.raises(SettingsError, match=r"^--ca .*; give|^--ca .*: cannot read it"):
        Source("https://127.0.0.1:1", ca_file=str(tmp_path / "ca"))


async def test_a_token_is_read_from_its_file_at_each_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = Source("127.0.0.1:1", token_file=str(file))
    with pytest.raises(SettingsError, match=r"^--token-file: cannot read .*: No such file"):
        source.fetch(limit=1)
    file.write_text("c2VjcmV0\n")
    async with site_of(FakeRole(), token_file=str(file)) as site:
        url = f"127.0.0.1:{site.port}"
        assert ": 401, a token is needed; " in await complaint(url)
        for given in (Source(url, token_file=str(file)), Source(f"me:c2VjcmV0@{url}")):
            assert (await asyncio.to_thread(given.fetch, limit=1))["name"] == "producer-0"
