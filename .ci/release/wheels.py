"""Wheels: the sdist and a wheel for each platform, the same bytes whoever builds a commit and where."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .tree import git, read_version

PLATFORMS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "musllinux_1_2_x86_64": "x86_64-linux-musl",
    "musllinux_1_2_aarch64": "aarch64-linux-musl",
    "macosx_11_0_x86_64": "x86_64-macos.11.0",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
}
"""The tag of a wheel with the speed-ups, and the target for which Zig compiles them. All others get the pure one."""


@dataclass(frozen=True, slots=True)
class Source:
    """The commit that is built."""

    version: str
    commit: str
    """The hash."""
    time: int
    """When it was committed, in seconds since 1970."""

    @classmethod
    def of(cls, root: Path) -> Source:
        """The last commit. Raises ValueError: there is none."""
        lines = git(root, "log", "-1", "--format=%H %ct")
        if not lines:
            raise ValueError("this is no checkout, so nobody can say what is built")
        commit, time = lines[0].split()
        return cls(read_version(root), commit, int(time))

    def names(self) -> dict[str, str | None]:
        """Each file of a release: its platform, `any` of the pure wheel, None of the sdist."""
        wheels = {f"randstream-{self.version}-py3-none-{platform}.whl": platform for platform in (*PLATFORMS, "any")}
        return {f"randstream-{self.version}.tar.gz": None, **wheels}


def build_all(root: Path, folder: Path) -> Source:
    """Build the last commit into `folder`. Raises ValueError: a tracked file has changed since, or a build failed."""
    source = Source.of(root)
    for line in git(root, "status", "--porcelain", "--untracked-files=no"):
        raise ValueError(f"not committed: {line}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        tree = Path(place, "tree")
        subprocess.run(["git", "archive", "--output", f"{place}/tree.tar", source.commit], cwd=root, check=True)
        with tarfile.open(f"{place}/tree.tar") as archive:
            archive.extractall(tree, filter="data")
        for name, platform in source.names().items():
            (folder / name).unlink(missing_ok=True)  # of another build
            told = _build(tree, folder, source, platform)
            if not (folder / name).exists():
                raise ValueError(f"{name} was not built: {told}")
    return source


def _build(tree: Path, folder: Path, source: Source, platform: str | None) -> str:
    ours = ("CC", "CFLAGS", "LDFLAGS", "_PYTHON_HOST_PLATFORM", "SOURCE_DATE_EPOCH")
    variables = {name: value for name, value in os.environ.items() if name not in ours}
    variables["SOURCE_DATE_EPOCH"] = str(source.time)
    if platform in PLATFORMS:
        variables["_PYTHON_HOST_PLATFORM"] = platform
        variables["CC"] = f"{sys.executable} -m ziglang cc -target {PLATFORMS[platform]}"
        variables["CFLAGS"] = "-g0 -s"  # else the library holds the paths of this machine
        if platform.startswith("macosx"):
            variables["LDFLAGS"] = "-Wl,-install_name,@rpath/libspeedups.so"
    else:
        variables["CC"] = "false"  # no speed-ups
    target = "wheel" if platform else "sdist"
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder.resolve())]
    return subprocess.run(command, cwd=tree, env=variables, check=False, capture_output=True, text=True).stderr
