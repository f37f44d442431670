"""Starting programs: what they inherit, how they fail, and that they do not outlive us."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from randstream.children import spawn as spawning
from randstream.children.spawn import is_ours, send_signal, spawn

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
PIPE = asyncio.subprocess.PIPE
PARENT = """
import asyncio, sys, uvloop
from randstream.children.spawn import spawn

async def main():
    print((await spawn(["sleep", "1000"])).pid, flush=True)
    await asyncio.Event().wait()

asyncio.Runner(loop_factory=uvloop.new_event_loop if sys.argv[1] == "uvloop" else None).run(main())
"""


async def output_of(*command: str) -> str:
    process = await spawn(command, stdin=asyncio.subprocess.DEVNULL, stdout=PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@pytest.fixture
def inheritable() -> Iterator[int]:
    fd = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(fd, True)
    yield fd
    os.close(fd)


async def test_a_program_inherits_nothing_but_its_three_standard_streams(inheritable: int) -> None:
    shown = "import os; print(sorted(fd for fd in range(1000) if os.path.exists(f'/proc/self/fd/{fd}')))"
    assert await output_of(sys.executable, "-c", shown) == "[0, 1, 2]\n"


async def test_a_program_that_closes_its_standard_input_is_noticed_by_whoever_writes_there() -> None:
    reading, writing = os.pipe()
    process = await spawn(["sh", "-c", "exec 0<&-; echo closed; exec sleep 1000"], stdin=reading, stdout=PIPE)
    os.close(reading)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"closed\n"
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"1\n")
    os.close(writing)
    process.kill()
    await process.wait()


async def test_a_program_ignores_no_signal_that_python_does() -> None:
    (ignored,) = (line for line in (await output_of("cat", "/proc/self/status")).splitlines() if "SigIgn" in line)
    assert not int(ignored.split()[1], 16) & (1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1))


async def test_a_program_gets_its_arguments_and_environment_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert await output_of("sh", "-c", 'echo "$1|$2|$PYTHONPATH"', "sh", "-I", "a b") == "-I|a b|/somewhere\n"


async def test_how_a_program_ended_is_known() -> None:
    assert await (await spawn(["sh", "-c", "exit 3"])).wait() == 3
    assert await (await spawn(["sh", "-c", "kill -9 $$"])).wait() == -signal.SIGKILL


async def test_what_cannot_be_run_is_an_error_of_the_systems(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with pytest.raises(FileNotFoundError, match="No such file"):
        await spawn(["./no/such"])
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        await spawn(["no-such-program"])
    with pytest.raises(PermissionError):
        await spawn([str(tmp_path / "text")])
    (tmp_path / "text").chmod(0o755)
    with pytest.raises(OSError, match="Exec format error"):
        await spawn([str(tmp_path / "text")])


async def test_starting_a_program_leaves_no_descriptor_behind() -> None:
    await (await spawn(["true"])).wait()
    before = open_descriptors()
    await (await spawn(["true"])).wait()
    with pytest.raises(FileNotFoundError):
        await spawn(["no-such-program"])
    assert open_descriptors() <= before


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_program_whose_start_is_given_up_does_not_stay() -> None:
    starting = asyncio.ensure_future(spawn(["sleep", "1000"]))
    children: set[int] = set()
    while not starting.done() and not children:
        await asyncio.sleep(0)
        children = children_of_this()
    starting.cancel()
    await asyncio.wait([starting])
    if not starting.cancelled():
        starting.result().kill()
        await starting.result().wait()
    assert not children & children_of_this()


def children_of_this() -> set[int]:
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


async def test_a_program_is_ours_until_its_end_is_known() -> None:
    process = await spawn(["sleep", "1000"])
    assert is_ours(process.pid)
    assert not is_ours(os.getppid())
    process.kill()
    await process.wait()
    assert not is_ours(process.pid)


async def test_of_programs_that_have_ended_nothing_is_kept() -> None:
    for _ in range(3):
        await (await spawn(["true"])).wait()
    assert len(spawning._running) == 1


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_program_is_killed_when_whoever_started_it_is(loop: str) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, loop], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        program = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    with os.fdopen(program) as ended:
        assert select.select([ended], [], [], 30)[0]


@pytest.mark.kernel
async def test_a_signal_never_costs_the_status_of_a_program_that_has_just_ended() -> None:
    for _ in range(30):
        process = await spawn(["sh", "-c", "exit 7"])
        while process.returncode is None:
            send_signal(process, 0)
            await asyncio.sleep(0)
        assert process.returncode == 7
