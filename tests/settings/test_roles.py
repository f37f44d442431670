"""Roles: from a definition follow the value, the help and the documentation. Making settings reads no file."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
from docs.settings_table import PAGE, page
from tests.settings.makers import inputs, producer, refusal

from randstream.settings import Address, CommonSettings, ProducerSettings, WorkerSettings, settings_of


@pytest.mark.parametrize("kind", [ProducerSettings, WorkerSettings])
def test_every_field_is_a_setting_with_its_help_and_default(kind: type[CommonSettings]) -> None:
    settings = settings_of(kind)
    assert {each.name for each in fields(kind) if each.init} == set(settings)
    for known in settings.values():
        assert known.help.endswith(".")
        assert known.default_text


@pytest.mark.parametrize("kind", [ProducerSettings, WorkerSettings])
def test_a_default_that_is_shown_is_the_default(kind: type[CommonSettings]) -> None:
    settings = settings_of(kind)
    for each in fields(kind):
        if each.init and each.default not in (MISSING, None, ()):
            known = settings[each.name]
            assert known.check(known.default_text) == known.check(each.default)


def test_a_roles_own_settings_come_before_those_of_both() -> None:
    names = list(settings_of(WorkerSettings))
    assert names[0] == "listen"
    assert names[-len(fields(CommonSettings)) :] == [each.name for each in fields(CommonSettings)]


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run `make docs`"


def test_settings_can_be_made_from_values_or_from_their_text() -> None:
    texts: dict[str, Any] = {"grace_period": "2", "discard": "yes"}  # text is accepted though their types do not say so
    by_text = WorkerSettings(name="w", listen="[::1]:0", segment_bytes="64MiB", **texts)
    by_value = WorkerSettings(name="w", listen=Address("::1", 0), grace_period=2, discard=True, segment_bytes=2**26)
    assert by_text == by_value


@pytest.mark.parametrize(
    ("given", "both"),
    [
        ({"store": "/data", "discard": True}, "--store and --discard"),
        ({"store": "/data", "command": "cat"}, "--store and -- COMMAND"),
        ({"discard": True, "command": "cat"}, "--discard and -- COMMAND"),
        ({"store": "/data", "accept_raw": True}, "--accept-raw and --store"),
    ],
)
def test_only_one_place_for_the_numbers_can_be_given(given: dict[str, Any], both: str) -> None:
    assert refusal(WorkerSettings, **given).startswith(f"{both} are both given; give one")


def test_making_settings_opens_no_file_and_changing_them_keeps_its_name() -> None:
    given = producer(workers="@/nope/workers", seed_file=Path("/nope/seed"))
    changed = replace(given, rate=5)
    assert (changed.workers, changed.seed, changed.seed_file, changed.rate) == ("@/nope/workers", None, "/nope/seed", 5)
    assert replace(changed, rate=10) == given


def test_a_raw_target_cannot_have_tls_even_if_a_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "workers"
    path.write_text("a:1\nraw://b:2\n")
    files = {"tls_cert": "cert.pem", "tls_key": "key.pem", "tls_ca": "ca.pem"}
    assert "raw://b:2 cannot have TLS" in refusal(inputs, workers="raw://b:2", **files)
    assert "raw://b:2 cannot have TLS" in refusal(inputs, workers=f"@{path}", **files)


@pytest.mark.parametrize(
    ("given", "flag"),
    [({"admin_host": "a"}, "host"), ({"admin_token_file": "a"}, "token-file"),
     ({"admin_tls_cert": "a", "admin_tls_key": "b"}, "tls-cert")],
)  # fmt: skip
def test_admin_settings_without_an_admin_server_are_refused(given: dict[str, str], flag: str) -> None:
    told = f"--admin-{flag} is of no use without --admin; give --admin HOST:PORT too"
    assert refusal(producer, **given) == told


@pytest.mark.parametrize(("given", "missing"), [("cert", "key"), ("key", "cert")])
def test_half_of_the_admin_servers_pair_is_refused(given: str, missing: str) -> None:
    told = f"--admin-tls-{missing} missing; TLS needs --admin-tls-cert and --admin-tls-key"
    assert refusal(producer, admin=":1", **{f"admin_tls_{given}": "a"}) == told


def test_the_admin_servers_pair_is_its_certificate() -> None:
    assert producer(admin=":1").admin_certificate is None
    assert producer(admin=":1", admin_tls_cert="a", admin_tls_key="b").admin_certificate == ("a", "b")
