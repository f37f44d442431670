"""Statements: what a file of a release holds (CycloneDX) and how it was made (SLSA provenance), in two files beside it.

They are not signed: they tell scanners and people what is there, and `check` compares them with what they are about.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from .wheels import Source

BOM_SUFFIX, PROVENANCE_SUFFIX = ".cdx.json", ".provenance.json"
LIBRARY = "randstream/speedups/libspeedups.so"
TOOLS = "requirements/release.txt"
"""The compiler, with its hashes."""
STATEMENT_TYPE, PREDICATE_TYPE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)(?: ; (.+?))? \\$", re.MULTILINE)


def describe(root: Path, folder: Path, source: Source) -> None:
    """Write both statements of each file of a release in `folder`."""
    for name, platform in source.names().items():
        path = folder / name
        digest = digest_of(path)
        write_beside(
            path,
            bill(name, source, digest, [*locked_packages(root), *files_in(path)]),
            provenance(name, source, digest, {"platform": platform or "source"}, [file_of(root, TOOLS)]),
        )


def write_beside(path: Path, bom: str, statement: dict[str, Any]) -> None:
    """Write the two statements of what lies, or would lie, at `path`."""
    path.with_name(path.name + BOM_SUFFIX).write_text(bom)
    path.with_name(path.name + PROVENANCE_SUFFIX).write_text(json.dumps(statement, indent=2) + "\n")


def digest_of(path: Path) -> str:
    """Its SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def file_of(root: Path, name: str) -> dict[str, Any]:
    """A tracked file, as SLSA's ResourceDescriptor."""
    return {"name": name, "digest": {"sha256": digest_of(root / name)}}


# ---- what it holds ----


def locked_packages(root: Path) -> list[Component]:
    """What an installation from the lock has beside randstream, with the marker of what only some machines have."""
    pins = PIN.findall((root / "requirements/runtime.txt").read_text())
    return [package("pypi", name, version, {"marker": marker} if marker else {}) for name, version, marker in pins]


def package(kind: str, name: str, version: str, told: Mapping[str, str] | None = None) -> Component:
    """A package of Python's index (`pypi`) or of Debian (`deb`), with what else is told of it."""
    url = PackageURL(kind, "debian" if kind == "deb" else None, name, version)
    properties = [Property(name=f"randstream:{key}", value=value) for key, value in (told or {}).items()]
    return Component(
        type=ComponentType.LIBRARY, name=name, version=version, purl=url, bom_ref=str(url), properties=properties
    )


def files_in(path: Path) -> list[Component]:
    """The compiled library of a wheel, if it has one."""
    if path.suffix != ".whl":
        return []
    with zipfile.ZipFile(path) as wheel:
        if LIBRARY not in wheel.namelist():
            return []
        digest = hashlib.sha256(wheel.read(LIBRARY)).hexdigest()
    return [Component(type=ComponentType.FILE, name=LIBRARY, hashes=[_sha256(digest)], bom_ref=LIBRARY)]


def bill(name: str, source: Source, digest: str, components: Iterable[Component]) -> str:
    """The bill of materials of what has that name and digest, as CycloneDX's JSON."""
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{name}#{digest}"), components=components)
    bom.metadata.timestamp = datetime.fromtimestamp(source.time, UTC)
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION, name=name, version=source.version, hashes=[_sha256(digest)], bom_ref=name
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


# ---- how it was made ----


def provenance(
    name: str, source: Source, digest: str, parameters: dict[str, str], materials: list[dict[str, Any]]
) -> dict[str, Any]:
    """An in-toto statement. It tells neither time nor machine: the same builder says the same of the same commit."""
    server, repository = (os.environ.get(f"GITHUB_{what}") for what in ("SERVER_URL", "REPOSITORY"))
    ours = f"{server}/{repository}" if server and repository else None
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:randstream:release:1",
                "externalParameters": {"version": source.version, **parameters},
                "internalParameters": {"SOURCE_DATE_EPOCH": source.time},
                "resolvedDependencies": [
                    {"uri": f"git+{ours}" if ours else "urn:randstream:source", "digest": {"gitCommit": source.commit}},
                    *materials,
                ],
            },
            "runDetails": {"builder": {"id": _builder(ours)}},
        },
    }


def _builder(ours: str | None) -> str:
    workflow = os.environ.get("GITHUB_WORKFLOW_REF")
    return f"{os.environ['GITHUB_SERVER_URL']}/{workflow}" if ours and workflow else "urn:randstream:builder:make"
