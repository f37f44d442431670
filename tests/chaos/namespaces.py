"""Namespaces: two network namespaces and a wire between them, on which packets can be dropped without a word."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

WORKER_ADDRESS: Final = "10.213.0.1"
PRODUCER_ADDRESS: Final = "10.213.0.2"


@dataclass(frozen=True, slots=True)
class Wire:
    """Two namespaces that see only each other."""

    worker: str
    producer: str

    def inside(self, namespace: str) -> list[str]:
        """What to put in front of a command that is to run there."""
        return ["ip", "netns", "exec", namespace]

    def drop(self) -> None:
        """From now on no packet passes, either way. Neither end is told."""
        self._filter("-I")

    def accept(self) -> None:
        """Packets pass again."""
        self._filter("-D")

    def _filter(self, how: str) -> None:
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.inside(self.worker), "iptables", "-w", how, chain, "-j", "DROP")


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """A `Wire`, taken down after the block. Skips the test where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    made = Wire(f"chaos-w-{os.getpid()}", f"chaos-p-{os.getpid()}")
    try:
        try:
            _set_up(made)
        except FileNotFoundError as error:
            pytest.skip(f"there is no {error.filename} here (Debian: apt-get install iproute2 iptables)")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"{' '.join(error.cmd)}: {error.stderr.strip()}")
        yield made
    finally:
        for namespace in (made.worker, made.producer):
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


def _set_up(made: Wire) -> None:
    ends = ((made.worker, WORKER_ADDRESS), (made.producer, PRODUCER_ADDRESS))
    for namespace, _ in ends:
        _run("ip", "netns", "add", namespace)
    _run(
        "ip",
        "link",
        "add",
        "wire",
        "netns",
        made.worker,
        "type",
        "veth",
        "peer",
        "name",
        "wire",
        "netns",
        made.producer,
    )
    for namespace, address in ends:
        _run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "wire")
        _run("ip", "-n", namespace, "link", "set", "wire", "up")
    _run("ip", "netns", "exec", made.worker, "iptables", "-w", "-L")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
