"""Namespaces: two network namespaces and a wire between them that can silently drop packets."""

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
        """The words in front of a command that run it in `namespace`."""
        return ["ip", "netns", "exec", namespace]

    def drop(self) -> None:
        """Silently drop every packet, in both directions."""
        self._filter("-I")

    def accept(self) -> None:
        """Let packets pass again."""
        self._filter("-D")

    def _filter(self, how: str) -> None:
        for chain in ("INPUT", "OUTPUT"):
            _run(*self.inside(self.worker), "iptables", "-w", how, chain, "-j", "DROP")


@contextlib.contextmanager
def wire() -> Iterator[Wire]:
    """A `Wire`, removed when the block ends. Skips the test where there cannot be one."""
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
