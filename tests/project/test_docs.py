"""The pages: every command is run or listed as not run, links are valid, the French README has the same content."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e import pages
from tests.project.program import a_program
from tests.project.test_numbers_page import NOT_RUN as STATISTICS
from tests.project.test_reading_page import COMMANDS as READING
from tests.project.test_tour_page import COMMANDS as TOUR
from tests.project.test_tutorial_page import COMMANDS as TUTORIAL
from tests.store.streams import make_store
from tests.support.ports import free_port
from tests.support.roles import producing
from tests.support.stream import stream
from tests.support.waiting import until

from randstream.cli.commands import commands as command_line

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for page in ROOT.glob(pattern)
)
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):.*## ", MAKEFILE, re.MULTILINE))
VARIABLES = {"ARGS", *re.findall(r"^([A-Z_]+) *\?=", MAKEFILE, re.MULTILINE), "N"}
PROGRAMS = r"(?:\.venv/bin/)?randstream|make|node|python3?|kubectl|docker|nc|curl|git|pip|examples/\S+"

NOT_RUN_HERE = {
    "make demo": "tests/cli/demo/test_demo.py runs the command behind it, .ci/run the target",
    "make test": "this is it",
    "make all": "tests/e2e/test_cluster.py",
    "make status": "tests/e2e/test_cluster.py",
    "make logs": "tests/e2e/test_pages.py",
    "make verify": "tests/e2e/test_pages.py",
    ".venv/bin/randstream worker --name worker-0": "endless: tests/processes/test_processes.py",
    ".venv/bin/randstream producer --workers 127.0.0.1:9000 --seed 42": "endless: tests/processes/test_processes.py",
    "pip install .": "tests/project/test_packaging.py, in an environment of its own",
    "uvx --from . randstream demo": "as pip install ., with a tool of its own",
    "pipx run --spec . randstream demo": "as pip install ., with a tool of its own",
    'eval "$(_RANDSTREAM_COMPLETE=bash_source randstream)"': "tests/project/test_packaging.py, in a bash",
    "make chaos": "minutes long: .ci/run",
    "make chaos SECONDS=240": "minutes long: .ci/run runs a shorter one",
    "make chaos SEED=2026": "minutes long: tests/chaos/test_plan.py proves that a seed is a plan",
    'make chaos ARGS="-k full_disk"': "tests/chaos/test_failing_disk.py is what it picks",
    "make simulate SECONDS=60": "a minute long: .ci/run",
    "make simulate SECONDS=60 SEED=1000": "tests/simulation/test_simulate.py proves that a seed is a run",
    "make simulate ARGS=--storm": "tests/simulation/test_simulate.py runs a storm",
    'make simulate ARGS="--replay 1017 --keep 3,8 --trace"': "tests/simulation/test_simulate.py replays a plan",
    "kubectl -n randstream port-forward producer-0 9001": "tests/e2e/test_pages.py, with a worker",
    "make build IMAGE=registry.example.org/team/randstream": "tests/e2e/test_bare_image.py builds it",
    "make load-images CLUSTER=none IMAGE=registry.example.org/team/randstream":
        "loads nothing, and says so: tests/project/test_deploy.py tries what it says otherwise",
    "make deploy CLUSTER=none OVERLAY=production IMAGE=registry.example.org/team/randstream@sha256:...":
        "needs a registry: tests/project/test_rollout.py holds what it deploys",
    "randstream top --ca ca.crt --token-file token https://127.0.0.1:9001": "tests/cli/top/test_source.py: each alone",
    "randstream top http://127.0.0.1:9001": "tests/cli/top/test_command.py, on a port from the system",
    "kubectl -n randstream exec -it worker-0 -- python -m randstream top srv://_admin._tcp.producer":
        "needs a terminal: tests/cli/top/test_watched.py, with DNS of its own",
    "randstream worker --discard --listen 0.0.0.0:9000": "endless: tests/cli/check/test_run.py starts such workers",
    "randstream check --workers a:9000,b:9000 --seconds 60": "tests/cli/check/test_run.py, for no time",
    "randstream check --workers a:9000,b:9000 -- kubectl rollout restart daemonset/cilium -n kube-system":
        "tests/cli/check/test_run.py, with other commands",
    "randstream check --workers srv://_stream._tcp.worker -- sh -c "
    "'kubectl rollout restart ds/cilium -n kube-system && "
    "kubectl rollout status ds/cilium -n kube-system'":
        "tests/cli/check/test_check.py restarts workers behind a service",
    'make check COMMAND="kubectl rollout restart ds/cilium -n kube-system && '
    'kubectl rollout status ds/cilium -n kube-system"':
        "tests/e2e/test_check.py restarts workers",
    'make check COMMAND="kubectl drain node-2 --ignore-daemonsets" NODE=node-1 ARGS="--max-interruption 5"':
        "needs two nodes: tests/project/test_check.py holds what NODE does",
    "make check SECONDS=600": "ten minutes long: tests/project/test_check.py",
    "make all OVERLAY=daemonset": "tests/e2e/test_daemonset.py",
    "make clean": "tests/e2e/test_producers.py",
    "kubectl -n randstream exec producer-0 -- python -m randstream top 127.0.0.1:9001":
        "tests/e2e/test_daemonset.py",
    "examples/bash_worker/worker.sh 9000 bash-0": "tests/project/test_examples.py, on a port from the system",
    '.venv/bin/randstream numbers --seed 42 --worker bash-0 --count "$(wc -l <bash-0.numbers)" | cmp - bash-0.numbers':
        "tests/project/test_examples.py compares the same",
    ".venv/bin/python examples/pi/run.py --workers 3 --points 100000":
        "tests/project/test_examples.py, with fewer points",
    ".venv/bin/randstream worker --name worker-0 --store store":
        "endless: tests/project/test_examples.py makes a store",
    ".venv/bin/python examples/read_store/read.py store": "tests/project/test_examples.py, on a store it makes",
    "node examples/javascript/worker.js 127.0.0.1:9000 js-0":
        "tests/project/test_examples.py, on a port from the system",
    "node examples/javascript/producer.js 127.0.0.1:9000 42 integers:1:100 js-p 1.0 10":
        "tests/project/test_examples.py, on a port from the system",
    ".venv/bin/randstream verify store --seed 42": "tests/project/test_examples.py, on what the producer sent",
    ".venv/bin/randstream conform worker 127.0.0.1:9000": "tests/conform/test_suites.py, on a port from the system",
    ".venv/bin/randstream conform producer --listen 0.0.0.0:9000 --seed 42":
        "tests/conform/test_suites.py, on a port from the system",
    "awk '!/^#/ { sum += $1; count++ } END { print sum / count }' store/*/*.numbers":
        "tests/project/test_examples.py runs awk so",
    **{command: "tests/project/test_reading_page.py" for command, _ in READING},
    **{command: "tests/project/test_tour_page.py" for command, _ in TOUR},
    **{command: "tests/project/test_tutorial_page.py" for command, _ in TUTORIAL},
    **STATISTICS,
    **dict.fromkeys(pages.commands(), "tests/e2e/test_pages.py, test_mtls.py or test_tutorial.py"),
}  # fmt: skip
"""Commands of code blocks, and where else they are run, or why they are not. `...`: anything piped into the rest."""


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of each code block; those that are indented count as `sh`."""
    text = (ROOT / page).read_text()
    fenced: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    indented = re.findall(r"(?<=\n\n)(?: {4}.*\n)+", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return fenced + [("sh", block.replace("    ", "")) for block in indented]


def commands(page: str) -> list[tuple[str, str]]:
    """Every command of the page's code blocks, with what is shown of its output."""
    found: list[tuple[str, str]] = []
    for language, block in blocks(page):
        if language == "console":
            found += [(command, shown) for command, shown in (part.split("\n", 1) for part in block.split("$ ")[1:])]
        elif language == "sh":
            found += [(re.sub(r" +# .*", "", line), "") for line in block.splitlines()]
    return found


def inline(page: str) -> list[str]:
    """The texts between single backticks."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def in_table(command: str) -> str:
    """The key of NOT_RUN_HERE: the command itself, or `...` and what follows its first pipe."""
    return command if command in NOT_RUN_HERE else f"... {command.partition(' | ')[2]}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_what_is_shown_or_is_listed_as_not_run_here(page: str) -> None:
    for command, shown in commands(page):
        if in_table(command) in NOT_RUN_HERE:
            continue
        program, *words = shlex.split(command)
        assert program == ".venv/bin/randstream", f"{command}: say in NOT_RUN_HERE which test runs it, or why none does"
        run = subprocess.run([sys.executable, "-m", "randstream", *words], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stdout) == (0, shown)


def test_a_command_that_is_not_run_here_is_on_a_page_and_its_test_exists() -> None:
    assert {in_table(command) for page in PAGES for command, _ in commands(page)} >= set(NOT_RUN_HERE)
    named = re.findall(r"(?:tests/\S+\.py|\.ci/run)", " ".join(NOT_RUN_HERE.values()))
    assert [test for test in named if not (ROOT / test).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_a_block_without_a_language(page: str) -> None:
    texts = [block for language, block in blocks(page) if language not in ("console", "sh")]
    assert re.findall(rf"^(?:{PROGRAMS}) .*", "\n".join(texts), re.MULTILINE) == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_the_text_exist(page: str) -> None:
    for command in [code for code in inline(page) if re.match(r"(randstream|make) [^.]", code)]:
        program, *words = shlex.split(command)
        if program == "make":
            assert {word for word in words if "=" not in word} <= TARGETS, command
            assert {word.partition("=")[0] for word in words if "=" in word} <= VARIABLES, command
        elif words[0] not in ("--help", "COMMAND"):
            known = command_line.commands[words[0]]
            if words[1:]:
                known.make_context(words[0], words[1:])  # raises a UsageError


def test_what_the_readme_says_of_a_store_can_be_done(tmp_path: Path) -> None:
    make_store(tmp_path / "DIR", 500, 2000)
    said = [code for code in inline("README.md") if code.startswith(("randstream verify ", "randstream cat "))]
    for command in said:
        run = subprocess.run(
            [sys.executable, "-m", *command.split()], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        assert "cat" not in command or run.stdout.encode() == stream().lines(1000, 5)
    assert len(said) == 2


async def test_python_of_the_readme_runs(tmp_path: Path) -> None:
    (program,) = [block for language, block in blocks("README.md") if language == "python"]
    port = free_port()
    async with producing(f"127.0.0.1:{port}", grace_period=0.0):
        with a_program(program, port, tmp_path) as out:
            await until(lambda: "\n0 " in out.read_text())
    assert out.read_text().startswith(f"{stream().read(1_000_000, 5)}\n")


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("README.md", "README.fr.md"),
        ("docs/kubernetes.md", "docs/kubernetes.fr.md"),
        ("docs/tutorial.md", "docs/tutoriel.fr.md"),
    ],
)
def test_the_french_page_has_the_same_commands_code_and_links(english: str, french: str) -> None:
    assert blocks(french) == blocks(english)
    links_of = [re.findall(r"\]\([^#)][^)]*\)", (ROOT / page).read_text()) for page in (english, french)]
    assert links_of[1] == links_of[0]  # but for those within the page
    assert set(inline(french)) == set(inline(english))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []
