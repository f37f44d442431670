"""Certificates: those that the component mtls needs, for a first try. Needs kubectl and, of Python, trustme.

certificates.py    make the Secrets producer-tls and worker-tls; again: renew both, with the same authority

The authority and its key stay in the Secret authority-for-trying: use certificates of your own for more than that.
"""

from __future__ import annotations

import json
import sys
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import cluster
import trustme
from cluster import NAMESPACE, Failed, Object

DAYS = 30
AUTHORITY = "authority-for-trying"
NAMES = {
    # None is dialled. RANDSTREAM_ALLOW_PRODUCER requires the first; the second holds the name that each producer gives.
    "producer": ["producer.randstream", f"*.producer.{NAMESPACE}.svc.cluster.local"],
    # Producers dial these.
    "worker": [f"*.worker.{NAMESPACE}.svc.cluster.local"],
}
"""The names in each role's certificate, as in components/mtls-cert-manager."""


def main() -> int:
    """Make or renew them; the exit status."""
    try:
        cluster.check()
        cluster.kubectl("apply", "--filename=deploy/components/namespace/namespace.yaml")
        authority = load_authority()
        not_after = datetime.now(UTC) + timedelta(days=DAYS)
        for role in NAMES:
            word = "renew" if cluster.exists("secret", f"{role}-tls") else "make"
            cluster.kubectl("apply", "--filename=-", given=json.dumps(issue(role, authority, not_after)))
            print(f"{word} the Secret {role}-tls: {', '.join(NAMES[role])}; valid until {not_after:%Y-%m-%d}")
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    print("Pods see a renewed certificate within two minutes, and new connections use it. If none is deployed yet:")
    print("  make all OVERLAY=minikube-mtls")
    return 0


def load_authority() -> trustme.CA:
    """The authority in the cluster; the first time, a new one."""
    held = cluster.kubectl("get", "secret", AUTHORITY, "--ignore-not-found", "--output=json")
    if held:
        data = {key: b64decode(value) for key, value in json.loads(held)["data"].items()}
        return trustme.CA.from_pem(data["tls.crt"], data["tls.key"])
    made = trustme.CA(organization_name="randstream, for trying")
    pair = {"tls.crt": made.cert_pem.bytes(), "tls.key": made.private_key_pem.bytes()}
    cluster.kubectl("apply", "--filename=-", given=json.dumps(a_secret(AUTHORITY, pair)))
    return made


def issue(role: str, authority: trustme.CA, not_after: datetime) -> Object:
    """The Secret with a new key and certificate for a role."""
    made = authority.issue_cert(*NAMES[role], common_name=role, not_after=not_after)
    chain = b"".join(each.bytes() for each in made.cert_chain_pems)
    held = {"tls.crt": chain, "tls.key": made.private_key_pem.bytes(), "ca.crt": authority.cert_pem.bytes()}
    return a_secret(f"{role}-tls", held)


def a_secret(name: str, data: dict[str, bytes]) -> Object:
    """A Secret of Kubernetes' own type for certificates."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name},
        "data": {key: b64encode(value).decode() for key, value in data.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
