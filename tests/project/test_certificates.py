"""deploy/certificates.py: certificates that both ends take, and whose renewal the same authority signs."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import pytest
from cryptography import x509
from tests.project.scripts import by_name, load, render
from tests.project.test_deploy import ROLES, dns_names

from randstream.net.tls import holds_name

cluster = load("cluster")
certificates = load("certificates")


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The Secrets of a cluster that has nothing but those."""
    held: dict[str, Any] = {}

    def kubectl(command: str, *arguments: str, given: str | None = None) -> str:
        if given is not None:
            secret = json.loads(given)
            held[secret["metadata"]["name"]] = secret
        return json.dumps(held[arguments[1]]) if command == "get" and arguments[1] in held else ""

    monkeypatch.setattr(cluster, "kubectl", kubectl)
    monkeypatch.setattr(cluster, "check", lambda: None)
    return held


def pem(secret: Any, key: str) -> bytes:
    return b64decode(secret["data"][key])


def names(secret: Any) -> list[str]:
    certificate = x509.load_pem_x509_certificate(pem(secret, "tls.crt"))
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_a_certificate_with_the_names_that_cert_manager_would_give(
    role: str, secrets: dict[str, Any]
) -> None:
    assert certificates.main() == 0
    secret = secrets[f"{role}-tls"]
    assert secret["type"] == "kubernetes.io/tls"
    assert names(secret) == dns_names(by_name(render("production-mtls", "Certificate"))[role])
    assert all(holds_name(names(secret), f"{role}-{number}") for number in range(20))
    assert b"PRIVATE KEY" in pem(secret, "tls.key")


def test_a_renewal_has_other_keys_and_the_same_authority(secrets: dict[str, Any]) -> None:
    certificates.main()
    before = dict(secrets)
    certificates.main()
    for role in ROLES:
        old, new = before[f"{role}-tls"], secrets[f"{role}-tls"]
        assert pem(old, "ca.crt") == pem(new, "ca.crt")
        assert pem(old, "tls.key") != pem(new, "tls.key")
        authority = x509.load_pem_x509_certificate(pem(new, "ca.crt"))
        x509.load_pem_x509_certificate(pem(new, "tls.crt")).verify_directly_issued_by(authority)


def test_no_pod_has_the_authoritys_key(secrets: dict[str, Any]) -> None:
    certificates.main()
    key = pem(secrets["authority-for-trying"], "tls.key")
    for role in ROLES:
        assert key not in b"".join(pem(secrets[f"{role}-tls"], name) for name in ("tls.crt", "tls.key", "ca.crt"))
