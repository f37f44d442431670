"""The package outside the repository: what a wheel and the sdist contain, and that they run elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
from release.tree import git

from randstream import __version__, speedups

ROOT = Path(__file__).parents[2]
HAS_COMPILER = shutil.which("cc") is not None


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a new environment, which has randstream's dependencies but not randstream."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    # The folder that a .pth file names is searched, its own .pth files (the editable installation's) are not read.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run_in(folder: Path, bin_folder: Path, *command: str | Path) -> str:
    """Run `command` in `folder` with the environment's programs first on the path; its output."""
    ours = ("RANDSTREAM_", "PYTHON", "COVERAGE_", "VIRTUAL_ENV")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables["PATH"] = f"{bin_folder}{os.pathsep}{variables['PATH']}"
    run = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


def install(folder: Path, bin_folder: Path, what: Path) -> None:
    offline = "--quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --force-reinstall"
    run_in(folder, bin_folder, bin_folder / "pip", "install", *offline.split(), what)


def test_wheel_holds_the_package_and_nothing_else(dist: Path) -> None:
    package = ROOT / "src/randstream"
    expected = {
        f"randstream/{path.relative_to(package)}"
        for path in package.rglob("*")
        if path.suffix in (".py", ".html", ".css", ".js") or path.name == "py.typed"
    }
    info = f"randstream-{__version__}.dist-info"
    (wheel,) = dist.glob("*.whl")
    kind = "any"
    if HAS_COMPILER:
        kind = re.sub("[-.]", "_", sysconfig.get_platform())
        expected.add("randstream/speedups/libspeedups.so")
    assert wheel.name == f"randstream-{__version__}-py3-none-{kind}.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == expected | {
            f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
        }
    assert {"randstream/py.typed", "randstream/admin/live/page.html", "randstream/admin/live/strip.js"} <= expected


def test_a_machine_with_a_compiler_gets_the_speedups() -> None:
    assert speedups.ARE_COMPILED == HAS_COMPILER


def test_without_a_compiler_the_wheel_is_for_any_machine(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    run = subprocess.run(
        build, cwd=tmp_path, env={**os.environ, "CC": "no-such-compiler"}, capture_output=True, text=True, check=True
    )
    assert "no speed-ups" in run.stderr
    assert "no-such-compiler" in run.stderr
    (wheel,) = tmp_path.glob("dist/*.whl")
    assert wheel.name == f"randstream-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if "libspeedups" in name]


def test_sdist_holds_what_is_tracked_and_nothing_else(dist: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    tracked = set(git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard"))
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names == tracked | {"PKG-INFO"}


@pytest.mark.slow
def test_installed_wheel_runs_the_demo_in_an_empty_folder(dist: Path, bin_folder: Path, tmp_path: Path) -> None:
    install(tmp_path, bin_folder, *dist.glob("*.whl"))
    assert run_in(tmp_path, bin_folder, bin_folder / "randstream", "--version") == f"randstream {__version__}\n"
    where = run_in(tmp_path, bin_folder, bin_folder / "python", "-c", "import randstream; print(randstream.__file__)")
    assert where.startswith(str(bin_folder.parent))
    demo = run_in(tmp_path, bin_folder, bin_folder / "randstream", "demo", "--seconds", "5")
    assert "Every number is where it belongs." in demo
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_pip_install_of_the_source_gives_the_command_and_its_completion(bin_folder: Path, tmp_path: Path) -> None:
    install(tmp_path, bin_folder, ROOT)
    assert run_in(tmp_path, bin_folder, bin_folder / "randstream", "--version") == f"randstream {__version__}\n"
    script = """
        eval "$(_RANDSTREAM_COMPLETE=bash_source randstream)"
        COMP_WORDS=(randstream prod) COMP_CWORD=1
        _randstream_completion randstream
        echo "${COMPREPLY[@]}"
    """
    assert run_in(tmp_path, bin_folder, "bash", "-c", script) == "producer\n"
