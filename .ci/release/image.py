"""Image: what an image holds and how it was made, asked of Docker, in the two files that a wheel has beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.model.component import Component

from .check import provenance_flaws, read_bom
from .statements import bill, file_of, package, provenance, write_beside
from .tree import git
from .wheels import Source

INPUTS = ("Dockerfile", "LICENSE", "hatch_build.py", "pyproject.toml", "requirements", "src")
LIST = """
import importlib.metadata, json, platform, shutil, subprocess
deb = "dpkg-query --show --showformat ${Package}=${Version}\\\\n".split()
listed = subprocess.run(deb, capture_output=True, text=True, check=True).stdout.split() if shutil.which(deb[0]) else []
found = {(each.metadata["Name"], each.version) for each in importlib.metadata.distributions()}
print(json.dumps({"pypi": sorted(found), "deb": sorted(each.split("=", 1) for each in listed),
                  "generic": [["python", platform.python_version()]]}))
"""
"""For the image's own Python: its packages, Debian's, and itself."""


def describe_image(root: Path, folder: Path, image: str, base: str) -> None:
    """Write the statements of an image that was built on `base`. Raises ValueError: it is of no commit."""
    for line in git(root, "status", "--porcelain", "--", *INPUTS):
        raise ValueError(f"the image is of no commit: {line}")
    source, digest = Source.of(root), digest_of_image(image)
    materials = [
        {"uri": f"docker:{base}", "digest": {"sha256": base.partition("@sha256:")[2] or digest_of_image(base)}}
    ]
    materials += [file_of(root, f"requirements/{name}.txt") for name in ("runtime", "image")]
    name = name_of(image)
    folder.mkdir(parents=True, exist_ok=True)
    statement = provenance(name, source, digest, {"image": image, "base": base}, materials)
    write_beside(folder / name, bill(name, source, digest, contents(image)), statement)


def image_flaws(folder: Path, image: str, source: Source) -> Iterator[str]:
    """Why the statements in `folder` do not tell of the image that Docker has."""
    name = name_of(image)
    try:
        path, digest = folder / name, digest_of_image(image)
        yield from (f"{name}: {flaw}" for flaw in provenance_flaws(path, digest, source.commit))
        bom = read_bom(path)
        if bom["metadata"]["component"].get("hashes") != [{"alg": "SHA-256", "content": digest}]:
            yield f"{name}: its bill of materials tells of other bytes"
        listed, there = {each["purl"] for each in bom["components"]}, {str(each.purl) for each in contents(image)}
        for each in sorted(listed ^ there):
            yield f"{name}: {each} is {'only in its bill of materials' if each in listed else 'only in the image'}"
    except Exception as error:  # Docker's, JSON's, and of every wrong shape
        yield f"{name}: cannot be read: {type(error).__name__}: {error}"


def name_of(image: str) -> str:
    """What its statements are called after."""
    return f"{image.rpartition('/')[2].replace(':', '-')}.image"


def digest_of_image(image: str) -> str:
    """The SHA-256 of its configuration, which names every layer: Docker's image ID."""
    return docker("image", "inspect", "--format={{.Id}}", image).strip().removeprefix("sha256:")


def contents(image: str) -> list[Component]:
    """What is installed in it."""
    listed: dict[str, Any] = json.loads(
        docker("run", "--rm", "--network=none", "--read-only", "--entrypoint=python", image, "-c", LIST)
    )
    return [package(kind, name, version) for kind, found in listed.items() for name, version in found]


def docker(*arguments: str) -> str:
    """What Docker prints. Raises ValueError: it cannot do that."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise ValueError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
