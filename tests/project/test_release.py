"""What builds, describes and checks a release (`.ci/release`): it takes a true one, and none that was changed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import platform
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from release import check, image, wheels
from release.statements import LIBRARY, describe
from release.tags import tag_flaws
from release.tree import changelog_flaws, git, read_version, tree_flaws

from randstream import __version__, speedups

ROOT = Path(__file__).parents[2]
SOURCE = wheels.Source(__version__, "c0ffee" * 6 + "abcd", 1_700_000_000)
LIBC, LIBC_VERSION = platform.libc_ver()
HERE = f"manylinux_{LIBC_VERSION.replace('.', '_')}_{platform.machine()}"
METADATA = f"Metadata-Version: 2.4\nName: randstream\nVersion: {__version__}\nRequires-Dist: numpy>=2.0\n"
HAS_LIBRARY = speedups.ARE_COMPILED and LIBC == "glibc" and platform.machine() in ("x86_64", "aarch64")

LOCKS = ("requirements/runtime.txt", "requirements/release.txt")

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
needs_library = pytest.mark.skipif(not HAS_LIBRARY, reason="no speed-ups were compiled here, for Linux")


# ---- the tree ----


def test_no_file_names_an_index_or_a_path_of_a_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    assert git(ROOT, "ls-files")
    assert [flaw for flaw in tree_flaws(ROOT) if not flaw.startswith("not committed")] == []


@needs_git
def test_a_tree_that_is_not_clean_or_names_an_index_is_rejected(tmp_path: Path) -> None:
    index = ".".join(("pypi", "org"))  # split, so that this file is not found too
    (tmp_path / "a.txt").write_text(f"from {index}\nsee {tmp_path}/b\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    flaws = list(tree_flaws(tmp_path))
    assert [flaw.partition(":")[0] for flaw in flaws] == ["not committed", *["names an index or a machine's path"] * 2]


@pytest.mark.parametrize(
    ("text", "flaws"),
    [
        ("## [Unreleased]\n\n## [1.2.0] - 2026-11-25\n\n- A thing.\n\n## [1.1.0] - 2026-01-01\n", 0),
        ("## [Unreleased]\n\n- A thing.\n", 2),
        ("## [Unreleased]\n\n## [1.2.0]\n\n- A thing.\n", 1),
        ("## [Unreleased]\n\n## [1.1.0] - 2026-01-01\n\n- A thing.\n", 1),
        ("## [Unreleased]\n\n## [1.2.0] - 2026-11-25\n\n## [1.1.0] - 2026-01-01\n\n- A thing.\n", 1),
    ],
)
def test_changelog_must_say_what_is_new_in_this_version(text: str, flaws: int) -> None:
    assert len(list(changelog_flaws(f"# Changelog\n\n{text}", "1.2.0"))) == flaws


def test_the_version_is_read_without_the_package() -> None:
    assert read_version(ROOT) == __version__


def test_the_base_image_is_one_image_and_the_same_everywhere() -> None:
    texts = [(ROOT / name).read_text() for name in ("Dockerfile", "Makefile")]
    named = re.compile(r"^(?:ARG PYTHON_IMAGE|BASE) *:?= *(\S+)", re.MULTILINE)
    bases = {base for text in texts for base in named.findall(text)}
    assert len(bases) == 1
    assert re.fullmatch(r"python:[\w.-]+@sha256:[0-9a-f]{64}", *bases)
    assert set(re.findall(r"^FROM (\S+)", texts[0], re.MULTILINE)) == {"${PYTHON_IMAGE}", "build", "runtime"}


def test_what_goes_into_the_image_changes_its_tag_and_must_be_committed() -> None:
    stages = (ROOT / "Dockerfile").read_text().partition(" AS test\n")[0]
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", stages, re.MULTILINE)
    copied = {"Dockerfile", *(name for line in lines for name in line.split())}
    assert len(copied) > 5
    found = re.search(r"^TAG = .+?find (.+?)-type f", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    assert set(found[1].replace("\\\n", " ").split()) == copied - {"LICENSE"}
    assert {name.partition("/")[0] for name in copied} == set(image.INPUTS)


# ---- the build ----


@needs_git
@pytest.mark.slow
def test_a_commit_gives_the_same_bytes_wherever_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PLATFORMS", {})  # those, `make release-check` builds a second time
    here, there = tmp_path / "here", tmp_path / "elsewhere/there"
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "src/randstream/__init__.py", *LOCKS):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, here / name)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.net", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message=one"]):
        subprocess.run(["git", *command], cwd=here, check=True)
    subprocess.run(["git", "clone", "--quiet", here, there], check=True)
    (there / "src/randstream/not_committed.py").touch()
    (there / "LICENSE").chmod(0o600)
    monkeypatch.setenv("CC", "no-such-compiler")
    first = wheels.build_all(here, tmp_path / "1")
    assert wheels.build_all(there, tmp_path / "2") == first
    files = [(tmp_path / "1" / name, tmp_path / "2" / name) for name in first.names()]
    assert len(files) == 2
    assert all(a.read_bytes() == b.read_bytes() for a, b in files)

    describe(here, tmp_path / "1", first)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.net")  # whoever builds it again
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    monkeypatch.setenv("GITHUB_WORKFLOW_REF", "a/b/c.yml@v1")
    assert list(check.rebuild_flaws(here, tmp_path / "1")) == []
    wheel, sdist = (tmp_path / "1" / name for name in sorted(first.names()))
    sdist.write_bytes(sdist.read_bytes() + b"\0")
    change_json(tmp_path / "1" / f"{wheel.name}.cdx.json", lambda bom: bom["components"][0].update(version="9"))
    change_json(tmp_path / "1" / f"{wheel.name}.provenance.json", lambda told: materials(told).pop())
    (tmp_path / "1" / f"{sdist.name}.provenance.json").write_text("{}")
    flaws = [flaw.partition(": ")[0] for flaw in check.rebuild_flaws(here, tmp_path / "1")]
    ends = (wheel.name + ".cdx.json", wheel.name + ".provenance.json", sdist.name, sdist.name + ".provenance.json")
    assert flaws == list(ends)
    (here / "pyproject.toml").write_text("[project]\nname = 'broken'\n")
    subprocess.run(["git", *who, "commit", "--quiet", "--all", "--message=two"], cwd=here, check=True)
    with pytest.raises(ValueError, match="was not built"):  # what lies there from before does not pass for it
        wheels.build_all(here, tmp_path / "1")
    (here / LOCKS[0]).write_text("")
    with pytest.raises(ValueError, match=rf"not committed:  M {LOCKS[0]}"):
        wheels.build_all(here, tmp_path / "3")


# ---- the tags ----


def macho(machine: int, least: tuple[int, int], needs: str) -> bytes:
    """The head of a library for macOS."""
    name = needs.encode().ljust(48, b"\0")
    commands = struct.pack("<6I", 0x32, 24, 1, least[0] << 16 | least[1] << 8, 0, 0)
    commands += struct.pack("<6I", 0xC, 24 + len(name), 24, 0, 0, 0) + name
    return struct.pack("<8I", 0xFEEDFACF, machine, 0, 6, 2, len(commands), 0, 0) + commands


@needs_library
def test_what_was_compiled_here_runs_where_its_tag_says() -> None:
    assert list(tag_flaws(Path(speedups.LIBRARY).read_bytes(), HERE)) == []


@needs_library
@pytest.mark.parametrize(
    ("tag", "told"),
    [
        ("manylinux_2_5_HERE", "needs GLIBC_"),
        ("musllinux_1_2_HERE", "needs libc.so.6"),
        ("manylinux_2_17_OTHER", "is no ELF library"),
        ("macosx_11_0_arm64", "is no Mach-O library"),
    ],
)
def test_a_tag_that_promises_too_much_is_found(tag: str, told: str) -> None:
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[platform.machine()]
    tag = tag.replace("HERE", platform.machine()).replace("OTHER", other)
    assert any(told in flaw for flaw in tag_flaws(Path(speedups.LIBRARY).read_bytes(), tag))


SYSTEM = "/usr/lib/libSystem.B.dylib"


@pytest.mark.parametrize(
    ("library", "flaws"),
    [
        (macho(0x0100000C, (11, 0), SYSTEM), 0),
        (macho(0x0100000C, (10, 15), SYSTEM), 0),
        (macho(0x0100000C, (11, 1), SYSTEM), 1),
        (macho(0x0100000C, (12, 0), SYSTEM), 1),
        (macho(0x01000007, (11, 0), SYSTEM), 1),
        (macho(0x0100000C, (11, 0), "/opt/lib/libomp.dylib"), 1),
        (b"\x7fELF", 1),
        (b"", 1),
    ],
)
def test_a_library_for_macos_is_examined_without_a_mac(library: bytes, flaws: int) -> None:
    assert len(list(tag_flaws(library, "macosx_11_0_arm64"))) == flaws


@pytest.mark.parametrize("tag", ["any", "linux_x86_64", "manylinux2014_x86_64", "manylinux_2_17_riscv64", "win_amd64"])
def test_nothing_is_said_of_a_tag_that_is_not_known(tag: str) -> None:
    with pytest.raises(ValueError, match="nobody here knows"):
        list(tag_flaws(b"", tag))


# ---- a release, and what may be wrong with it ----


def write_wheel(path: Path, tag: str, files: dict[str, bytes], recorded: dict[str, bytes] | None = None) -> None:
    """A wheel whose RECORD is that of `recorded`, if that is given."""
    info = f"randstream-{__version__}.dist-info"
    files = {**files, f"{info}/METADATA": METADATA.encode(), f"{info}/WHEEL": f"Tag: py3-none-{tag}\n".encode()}
    listed = {**files, **(recorded or {})}
    digests = {name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for name, data in listed.items()}
    record = [f"{name},sha256={digest.decode().rstrip('=')},\n" for name, digest in digests.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
        wheel.writestr(f"{info}/RECORD", "".join(record) + f"{info}/RECORD,,\n")


def write_sdist(path: Path, metadata: str = METADATA) -> None:
    data = metadata.encode()
    member = tarfile.TarInfo(f"randstream-{__version__}/PKG-INFO")
    member.size = len(data)
    with tarfile.open(path, "w:gz") as sdist:
        sdist.addfile(member, io.BytesIO(data))


PURE, COMPILED, SDIST = (
    f"randstream-{__version__}{end}" for end in ("-py3-none-any.whl", f"-py3-none-{HERE}.whl", ".tar.gz")
)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release for this machine's kind, with its statements."""
    for module in (wheels, check):
        monkeypatch.setattr(module, "PLATFORMS", {HERE: ""})
    write_wheel(tmp_path / PURE, "any", {"randstream/a.py": b"a"})
    write_wheel(tmp_path / COMPILED, HERE, {"randstream/a.py": b"a", LIBRARY: Path(speedups.LIBRARY).read_bytes()})
    write_sdist(tmp_path / SDIST)
    describe(ROOT, tmp_path, SOURCE)
    return tmp_path


@needs_library
def test_a_whole_release_has_no_flaw(release: Path) -> None:
    assert list(check.release_flaws(release, SOURCE)) == []


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


def change_bill(folder: Path, change: Callable[[Any], object], name: str = COMPILED) -> None:
    change_json(folder / f"{name}.cdx.json", change)


def change_provenance(folder: Path, change: Callable[[Any], object]) -> None:
    change_json(folder / f"{COMPILED}.provenance.json", change)


def materials(statement: Any) -> Any:
    return statement["predicate"]["buildDefinition"]["resolvedDependencies"]


OURS = {"randstream/a.py": b"a"}
CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a byte behind a wheel": (
        lambda folder: (folder / PURE).write_bytes((folder / PURE).read_bytes() + b"\n"),
        ["its provenance tells of other bytes", "its bill of materials tells of other bytes"],
    ),
    "another library, and RECORD with it": (
        lambda folder: write_wheel(folder / COMPILED, HERE, OURS | {LIBRARY: b"\x7fELF"}),
        ["is no ELF library", "its provenance tells of other bytes", f"tells of another {LIBRARY}"],
    ),
    "another file than RECORD's": (
        lambda folder: write_wheel(folder / PURE, "any", {"randstream/a.py": b"b"}, OURS),
        ["randstream/a.py is not what RECORD says"],
    ),
    "a file that RECORD lacks": (
        lambda folder: zipfile.ZipFile(folder / PURE, "a").writestr("randstream/b.py", "b"),
        ["randstream/b.py is not both in RECORD and in the wheel"],
    ),
    "a file that only RECORD has": (
        lambda folder: write_wheel(folder / PURE, "any", OURS, {"randstream/b.py": b"b"}),
        ["randstream/b.py is not both in RECORD and in the wheel"],
    ),
    "no library": (lambda folder: write_wheel(folder / COMPILED, HERE, OURS), [f"{LIBRARY} is missing"]),
    "a library for any machine": (
        lambda folder: write_wheel(folder / PURE, "any", {LIBRARY: b"\x7fELF"}),
        [f"{LIBRARY} is in the wheel for any machine"],
    ),
    "another tag": (lambda folder: write_wheel(folder / PURE, HERE, OURS), [f"its tags are py3-none-{HERE}"]),
    "another version": (
        lambda folder: write_sdist(folder / SDIST, METADATA.replace(__version__, "9")),
        ["its metadata tells version 9"],
    ),
    "no metadata for an index": (lambda folder: write_sdist(folder / SDIST, "Name: a\n"), [f"{SDIST}: cannot be read"]),
    "no archive": (lambda folder: (folder / PURE).write_bytes(b"x"), [f"{PURE}: cannot be read"]),
    "no wheel": (lambda folder: (folder / PURE).unlink(), [f"{PURE}: is not there"]),
    "a stranger": (lambda folder: (folder / "a.whl").touch(), ["a.whl: is no part of this release"]),
    "no provenance": (lambda folder: (folder / f"{SDIST}.provenance.json").unlink(), [f"{SDIST}: cannot be read"]),
    "no bill": (lambda folder: (folder / f"{SDIST}.cdx.json").unlink(), [f"{SDIST}: cannot be read"]),
    "a provenance that is a list": (
        lambda folder: (folder / f"{SDIST}.provenance.json").write_text("[]"),
        [f"{SDIST}: cannot be read"],
    ),
    "a provenance of another kind": (
        lambda folder: change_provenance(folder, lambda told: told.update(predicateType="x")),
        ["its provenance is no"],
    ),
    "a provenance of another file": (
        lambda folder: change_provenance(folder, lambda told: told["subject"][0].update(name=PURE)),
        ["its provenance tells of other bytes"],
    ),
    "a provenance of two files": (
        lambda folder: change_provenance(folder, lambda told: told["subject"].append(told["subject"][0])),
        ["its provenance tells of other bytes"],
    ),
    "another commit": (
        lambda folder: change_provenance(
            folder, lambda told: materials(told)[0]["digest"].update(gitCommit="0")
        ),
        ["its provenance tells of another commit"],
    ),
    "a bill of no kind": (lambda folder: change_bill(folder, lambda bom: bom.update(a=1)), ["is no CycloneDX 1.6"]),
    "a bill without numpy": (
        lambda folder: change_bill(
            folder, lambda bom: bom.update(components=[each for each in bom["components"] if each["name"] != "numpy"],
                                           dependencies=[]),
        ),
        ["its bill of materials has nothing for numpy>=2.0"],
    ),
    "a bill with an old numpy": (
        lambda folder: change_bill(
            folder, lambda bom: [each.update(version="1.9") for each in bom["components"] if each["name"] == "numpy"]
        ),
        ["its bill of materials has 1.9, 1.9 for numpy>=2.0"],
    ),
    "a bill of other bytes": (
        lambda folder: change_bill(folder, lambda bom: bom["metadata"]["component"].pop("hashes")),
        ["its bill of materials tells of other bytes"],
    ),
}  # fmt: skip


@needs_library
@pytest.mark.parametrize("change", CHANGES)
def test_a_release_that_was_changed_is_found_out(release: Path, change: str) -> None:
    make, told = CHANGES[change]
    make(release)
    flaws = list(check.release_flaws(release, SOURCE))
    assert [text for text in told if not any(text in flaw for flaw in flaws)] == [], flaws


@needs_library
@pytest.mark.parametrize("name", [PURE, SDIST])
def test_no_byte_can_be_changed_or_cut_without_being_found_out(release: Path, name: str) -> None:
    whole = (release / name).read_bytes()
    for place in range(0, len(whole), len(whole) // 20):
        for changed in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :]):
            (release / name).write_bytes(changed)
            assert any(flaw.startswith(f"{name}: ") for flaw in check.release_flaws(release, SOURCE))


@needs_library
def test_a_release_of_another_commit_or_version_is_none(release: Path) -> None:
    other = wheels.Source(__version__, "0" * 40, SOURCE.time)
    assert len(list(check.release_flaws(release, other))) == 3
    later = wheels.Source("99.0", SOURCE.commit, SOURCE.time)
    assert {flaw.partition(": ")[2] for flaw in check.release_flaws(release, later)} == {
        "is not there",
        "is no part of this release",
    }


# ---- the image ----


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for Docker. Its image holds this environment and one Debian package; its ID is in the file given."""
    programs, digest = tmp_path / "bin", tmp_path / "id"
    programs.mkdir()
    digest.write_text(f"sha256:{'ab' * 32}\n")
    for name, script in {
        "docker": f'if [ "$1" = run ]; then shift 6; exec {sys.executable} "$@"; fi\nexec /bin/cat {digest}\n',
        "dpkg-query": "echo libc6=2.41-12+deb13u1\n",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(image, "git", lambda *_: [])
    monkeypatch.setattr(wheels.Source, "of", lambda _: SOURCE)
    return digest


def test_an_image_is_described_and_found_as_described(docker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    image.describe_image(ROOT, folder, "host:5000/randstream:1a", "python@sha256:" + "cd" * 32)
    assert list(image.image_flaws(folder, "host:5000/randstream:1a", SOURCE)) == []
    bom, provenance = (folder / f"randstream-1a.image.{kind}.json" for kind in ("cdx", "provenance"))
    packages = {each["purl"].partition("@")[0] for each in json.loads(bom.read_text())["components"]}
    assert {"pkg:pypi/numpy", "pkg:pypi/randstream", "pkg:generic/python", "pkg:deb/debian/libc6"} <= packages
    assert f'"sha256": "{"cd" * 32}"' in provenance.read_text()


def test_an_image_that_holds_something_else_is_found_out(docker: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    image.describe_image(ROOT, folder, "randstream:1a", "python")
    bom = folder / "randstream-1a.image.cdx.json"
    text = bom.read_text()
    bom.write_text(text.replace("pkg:pypi/numpy@", "pkg:pypi/numpie@"))
    assert len(list(image.image_flaws(folder, "randstream:1a", SOURCE))) == 2
    bom.write_text(text)
    docker.write_text(f"sha256:{'ef' * 32}\n")
    assert len(list(image.image_flaws(folder, "randstream:1a", SOURCE))) == 2
    docker.unlink()
    [flaw] = image.image_flaws(folder, "randstream:1a", SOURCE)
    assert flaw.startswith("randstream-1a.image: cannot be read: ValueError: docker image: ")


@pytest.mark.usefixtures("docker")
def test_an_image_of_what_is_not_committed_is_not_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "git", lambda *_: [" M src/randstream/clock.py"])
    with pytest.raises(ValueError, match=r"the image is of no commit:  M src/randstream/clock.py"):
        image.describe_image(ROOT, tmp_path, "randstream:1a", "python")
