"""The image without a cluster, locked down as far as Docker allows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.cluster import make, run, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MAX_ADDED_BYTES = 130_000_000
LOCKED = ("--read-only", "--cap-drop=ALL", "--user=65532", "--security-opt=no-new-privileges")


@pytest.fixture(scope="module")
def image() -> str:
    built = make("build").stdout
    return built.split("build the image ")[1].split()[0]


@pytest.fixture
def start(image: str) -> Iterator[Callable[..., str]]:
    """Starts a container that does not outlive the test; gives its id."""
    started: list[str] = []

    def start(*options: str) -> str:
        started.append(run("docker", "run", "--detach", *LOCKED, *options, image).stdout.strip())
        return started[-1]

    yield start
    run("docker", "rm", "--force", *started)


def inside(image: str, *command: str) -> str:
    """What a command prints in the image, run as root so that it sees everything."""
    entry = ("--rm", "--user=0", "--network=none", f"--entrypoint={command[0]}")
    return run("docker", "run", *entry, image, *command[1:]).stdout


def test_both_roles_run_locked_down_and_end_politely(start: Callable[..., str]) -> None:
    worker = start("--network=none", "--env=RANDSTREAM_ROLE=worker", "--env=RANDSTREAM_NAME=worker-0")
    producer = start(
        f"--network=container:{worker}", "--env=RANDSTREAM_ROLE=producer", "--env=RANDSTREAM_SEED=42",
        "--env=RANDSTREAM_WORKERS=127.0.0.1:9000", "--env=RANDSTREAM_RATE=100",
    )  # fmt: skip
    until(lambda: run("docker", "logs", worker).stdout.startswith("10\n60\n77\n74\n14\n5\n64\n49\n"), "numbers come")
    for container in (producer, worker):
        run("docker", "stop", "--time=10", container)
        assert run("docker", "inspect", "--format={{.State.ExitCode}}", container).stdout.strip() == "0"
        for line in run("docker", "logs", container).stderr.splitlines():
            json.loads(line)


def test_an_unknown_role_is_one_line_and_status_2(image: str) -> None:
    done = run("docker", "run", "--rm", *LOCKED, "--env=RANDSTREAM_ROLE=server", image, check=False)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("randstream: RANDSTREAM_ROLE=server")


def test_nothing_in_it_raises_privileges(image: str) -> None:
    assert inside(image, "find", "/", "-xdev", "-type", "f", "-perm", "/6000") == ""


def test_it_holds_no_installer_no_tests_and_no_package_cache(image: str) -> None:
    tools = "[name for name in ('pip', 'uv', 'pytest', 'hatchling') if importlib.util.find_spec(name)]"
    assert inside(image, "python", "-c", f"import importlib.util; print({tools})") == "[]\n"
    for cache in ("/var/lib/apt/lists/*", "/var/cache/apt/*", "/root/.cache/*"):
        assert inside(image, "find", "/", "-xdev", "-type", "f", "-path", cache) == ""
    assert inside(image, "find", "/", "-xdev", "-name", "pip", "-path", "*bin*") == ""


def test_it_runs_as_a_numeric_user_without_a_shell(image: str) -> None:
    [config] = [each["Config"] for each in json.loads(run("docker", "image", "inspect", image).stdout)]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["python", "-m", "randstream"]
    assert config["Labels"]["org.opencontainers.image.version"] == image.rpartition(":")[2]


def test_it_adds_little_to_its_base(image: str) -> None:
    sizes = [int(run("docker", "image", "inspect", "--format={{.Size}}", each).stdout) for each in (image, base())]
    assert sizes[0] - sizes[1] < MAX_ADDED_BYTES


def base() -> str:
    """The base image of the Dockerfile."""
    made = make("--dry-run", "build").stdout
    return made.split("PYTHON_IMAGE=")[1].split()[0]
