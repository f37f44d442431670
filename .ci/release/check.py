"""Check: whether a folder holds a whole release of this commit, and each file is what is said of it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.metadata import Metadata

from .statements import BOM_SUFFIX, LIBRARY, PREDICATE_TYPE, PROVENANCE_SUFFIX, STATEMENT_TYPE, describe, digest_of
from .tags import tag_flaws
from .wheels import PLATFORMS, Source, build_all

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def release_flaws(folder: Path, source: Source) -> Iterator[str]:
    """Why `folder` is no release of `source`, file by file."""
    for name, platform in source.names().items():
        path = folder / name
        if not path.exists():
            yield f"{name}: is not there"
            continue
        try:
            flaws = list(artefact_flaws(path, source, platform))
        except Exception as error:  # a dozen kinds: of zip, tar, zlib, JSON, metadata, and of every wrong shape
            flaws = [f"cannot be read: {type(error).__name__}: {error}"]
        yield from (f"{name}: {flaw}" for flaw in flaws)
    known = {name + suffix for name in source.names() for suffix in ("", BOM_SUFFIX, PROVENANCE_SUFFIX)}
    for path in sorted(folder.iterdir()):
        if path.name not in known and ".image." not in path.name:
            yield f"{path.name}: is no part of this release"


def artefact_flaws(path: Path, source: Source, platform: str | None) -> Iterator[str]:
    """Why an sdist (`platform` is None) or a wheel is not what it and its two statements say."""
    metadata = read_metadata(path, source.version)  # raises, and names each field that does not hold
    if str(metadata.version) != source.version:
        yield f"its metadata tells version {metadata.version}"
    library = None
    if platform:
        with zipfile.ZipFile(path) as wheel:
            yield from record_flaws(wheel)
            yield from wheel_flaws(wheel, platform)
            library = wheel.read(LIBRARY) if LIBRARY in wheel.namelist() else None
    if library is not None and platform in PLATFORMS:
        yield from (f"{LIBRARY} {flaw}" for flaw in tag_flaws(library, platform))
    digest = digest_of(path)
    yield from provenance_flaws(path, digest, source.commit)
    yield from bom_flaws(path, digest, metadata, library)


def read_metadata(path: Path, version: str) -> Metadata:
    """The metadata of a wheel or sdist. Raises an ExceptionGroup: an index would not take them."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            text = wheel.read(f"randstream-{version}.dist-info/METADATA")
    else:
        with tarfile.open(path) as sdist:
            member = sdist.extractfile(f"randstream-{version}/PKG-INFO")
            assert member is not None
            text = member.read()
    return Metadata.from_email(text, validate=True)


def record_flaws(wheel: zipfile.ZipFile) -> Iterator[str]:
    """Where a wheel's files are not those that its RECORD lists."""
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/RECORD")]
    recorded = {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(name).decode())) if row}
    for each in sorted(recorded.keys() ^ set(wheel.namelist())):
        yield f"{each} is not both in RECORD and in the wheel"
    for each in sorted(recorded.keys() & set(wheel.namelist()) - {name}):
        digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(each)).digest()).rstrip(b"=").decode()
        if recorded[each] != f"sha256={digest}":
            yield f"{each} is not what RECORD says"


def wheel_flaws(wheel: zipfile.ZipFile, platform: str) -> Iterator[str]:
    """Where the wheel's own tag is another one, or the compiled library is missing or too much."""
    (name,) = [each for each in wheel.namelist() if each.endswith(".dist-info/WHEEL")]
    tags = re.findall(r"^Tag: (.+)$", wheel.read(name).decode(), re.MULTILINE)
    if tags != [f"py3-none-{platform}"]:
        yield f"its tags are {', '.join(tags)}"
    if (LIBRARY in wheel.namelist()) != (platform in PLATFORMS):
        yield f"{LIBRARY} is {'missing' if platform in PLATFORMS else 'in the wheel for any machine'}"


# ---- the statements ----


def provenance_flaws(path: Path, digest: str, commit: str) -> Iterator[str]:
    """Why the provenance beside `path` does not tell of these bytes, made from this commit."""
    statement = json.loads(path.with_name(path.name + PROVENANCE_SUFFIX).read_text())
    if (statement["_type"], statement["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
        yield f"its provenance is no {PREDICATE_TYPE}"
    if statement["subject"] != [{"name": path.name, "digest": {"sha256": digest}}]:
        yield "its provenance tells of other bytes"
    materials = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    if [each["digest"]["gitCommit"] for each in materials if "gitCommit" in each["digest"]] != [commit]:
        yield f"its provenance tells of another commit than {commit}"


def bom_flaws(path: Path, digest: str, metadata: Metadata, library: bytes | None) -> Iterator[str]:
    """Why the bill of materials beside `path` is not of these bytes, or lacks what they hold or require."""
    bom = read_bom(path)
    if bom["metadata"]["component"].get("hashes") != [{"alg": "SHA-256", "content": digest}]:
        yield "its bill of materials tells of other bytes"
    for wanted in metadata.requires_dist or []:
        versions = [each["version"] for each in bom["components"] if each["name"] == wanted.name]
        if not versions or not all(wanted.specifier.contains(version) for version in versions):
            yield f"its bill of materials has {', '.join(versions) or 'nothing'} for {wanted}"
    listed = [each["hashes"] for each in bom["components"] if each["name"] == LIBRARY]
    there = [[{"alg": "SHA-256", "content": hashlib.sha256(library).hexdigest()}]] if library is not None else []
    if listed != there:
        yield f"its bill of materials tells of another {LIBRARY}"


def read_bom(path: Path) -> dict[str, Any]:
    """The bill of materials beside `path`. Raises ValueError: it is not valid."""
    text = path.with_name(path.name + BOM_SUFFIX).read_text()
    error = VALIDATOR.validate_str(text)
    if error is not None:
        raise ValueError(f"its bill of materials is no CycloneDX 1.6: {error}")
    bom: dict[str, Any] = json.loads(text)
    return bom


# ---- the bytes ----


def rebuild_flaws(root: Path, folder: Path) -> Iterator[str]:
    """Which files, and statements of them, another build of this commit does not give: nobody can write that away."""
    with tempfile.TemporaryDirectory() as place:
        again = Path(place)
        describe(root, again, build_all(root, again))
        for path in sorted(again.iterdir()):
            given = folder / path.name
            if not given.exists() or _essence(given) != _essence(path):
                yield f"{path.name}: is not what this commit gives when it is built"


def _essence(path: Path) -> Any:
    """What is the same whoever builds. Of a provenance that is all but who it was, and where the source came from."""
    if not path.name.endswith(PROVENANCE_SUFFIX):
        return path.read_bytes()
    try:
        statement = json.loads(path.read_text())
        del statement["predicate"]["runDetails"]["builder"]["id"]
        del statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"]
    except Exception as error:
        return error
    return statement
