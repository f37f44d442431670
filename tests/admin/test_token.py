"""Token: a client without the right one gets nothing but health."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from tests.admin.roles import FakeRole
from tests.admin.site import site_of
from tests.support.log import Log

from randstream.admin.token import Token
from randstream.clock import Clock
from randstream.errors import SettingsError

PATHS = ["/", "/events", "/api/links", "/api/stream", "/metrics", "/numbers", "/nothing"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("c2VjcmV0\n")
    return path


def write(file: Path, text: str | None) -> None:
    """None: the file goes."""
    file.unlink()
    if text is not None:
        file.write_text(text)


def basic(text: str) -> str:
    return f"Basic {b64encode(text.encode()).decode()}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "given",
    [None, "", "Bearer", "Bearer ", "Bearer secret", "Bearer c2VjcmV", "Bearer c2VjcmV0x", "c2VjcmV0",
     "Digest c2VjcmV0", "Bearer \xff", "Basic c2VjcmV0", "Basic !", basic("c2VjcmV0:"), basic("me:other")],
)  # fmt: skip
async def test_without_the_token_there_is_nothing(file: Path, path: str, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    async with site_of(FakeRole(), token_file=str(file)) as site, site.client.get(path, headers=headers) as answer:
        assert answer.status == 401
        assert "Basic realm" in answer.headers["WWW-Authenticate"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert (await answer.text()).startswith("a token is needed; ")


@pytest.mark.parametrize("given", ["Bearer c2VjcmV0", "bearer  c2VjcmV0", basic("me:c2VjcmV0"), basic(":c2VjcmV0")])
async def test_with_the_token_there_is_all(file: Path, given: str) -> None:
    async with site_of(FakeRole(), token_file=str(file)) as site:
        for path in ("/", "/events", "/api/links", "/metrics"):
            async with site.client.get(path, headers={"Authorization": given}) as answer:
                assert answer.status == 200


async def test_health_asks_for_no_token(file: Path) -> None:
    async with site_of(FakeRole(), token_file=str(file)) as site:
        assert [(await site.get(path))[0] for path in ("/livez", "/readyz")] == [200, 200]


async def test_the_token_is_read_again_when_its_file_changes(file: Path, log: Log) -> None:
    async with site_of(FakeRole(), token_file=str(file)) as site:
        for text, valid in [("bmV3\n", "bmV3"), ("\n", "bmV3"), ("bmV3ZXI=", "bmV3ZXI=")]:
            write(file, text)
            for token in ("c2VjcmV0", "bmV3", "bmV3ZXI="):
                status, _ = await site.get("/metrics", headers={"Authorization": f"Bearer {token}"})
                assert status == (200 if token == valid else 401)
        write(file, None)
        assert (await site.get("/metrics", headers={"Authorization": "Bearer bmV3ZXI="}))[0] == 200
    assert len(log.of("admin.token_reloaded")) == 2
    assert len(log.of("admin.token_unreadable")) == 2
    assert "bmV3" not in str(log.of("admin.token_unreadable"))


@pytest.mark.parametrize("text", ["", "\n", "two words", "two\nlines", "\x00", "caf\u00e9"])
def test_a_file_without_a_token_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingsError, match=r"^--admin-token-file: no token in .*; give a line of letters"):
        Token(str(file), Clock())
    file.unlink()
    with pytest.raises(SettingsError, match=r"^--admin-token-file: cannot read .*No such file"):
        Token(str(file), Clock())
