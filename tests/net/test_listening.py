"""Listening: one port on every address that a host stands for, and what happens to those that the machine lacks."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace
from typing import Any

import pytest
from tests.simulation.virtual import virtual_loop

from randstream.net.listening import ATTEMPTS, listen, reachable
from randstream.settings import Address


class Machine:
    """Makes servers. `troubles` are errors of some addresses, one for each attempt."""

    def __init__(self, **troubles: list[int | None]) -> None:
        self.troubles = {host.replace("_", ":"): numbers for host, numbers in troubles.items()}
        self.made: list[tuple[str, int]] = []
        self.closed = 0

    async def make_server(self, host: str, port: int) -> Any:
        if troubles := self.troubles.get(host):
            number = troubles.pop(0)
            raise OSError(number, "trouble") if number is not None else OSError("could not bind on any address")
        self.made.append((host, port))
        name = (host, port or 40000 + len(self.made))
        socket = SimpleNamespace(getsockname=lambda: name)
        return SimpleNamespace(sockets=[socket], close=self._close)

    def _close(self) -> None:
        self.closed += 1


async def test_an_empty_host_is_every_address_of_both_families_on_one_port() -> None:
    machine = Machine()
    await listen(machine.make_server, Address("", 9000))
    await listen(machine.make_server, Address("", 0))
    assert machine.made == [("0.0.0.0", 9000), ("::", 9000), ("0.0.0.0", 0), ("::", 40003)]


async def test_a_name_is_every_address_that_it_has_on_one_port() -> None:
    machine = Machine()
    virtual_loop().network.names["here"] = ["::1", "127.0.0.1"]
    await listen(machine.make_server, Address("here", 0))
    assert machine.made == [("::1", 0), ("127.0.0.1", 40001)]


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, None])
async def test_a_family_that_the_machine_lacks_is_left_out(number: int | None) -> None:
    machine = Machine(__=[number])
    assert len(await listen(machine.make_server, Address("", 9000))) == 1
    assert machine.made == [("0.0.0.0", 9000)]


async def test_an_address_that_the_machine_lacks_is_an_error_if_there_is_no_other() -> None:
    virtual_loop().network.names["elsewhere"] = ["elsewhere"]
    with pytest.raises(OSError, match="trouble"):
        await listen(Machine(elsewhere=[errno.EADDRNOTAVAIL]).make_server, Address("elsewhere", 9000))


async def test_a_port_that_is_taken_for_one_family_is_an_error_and_leaves_nothing_open() -> None:
    machine = Machine(__=[errno.EADDRINUSE])
    with pytest.raises(OSError, match="trouble"):
        await listen(machine.make_server, Address("", 9000))
    assert machine.closed == len(machine.made) == 1


async def test_a_free_port_that_is_taken_for_one_family_is_exchanged_for_another() -> None:
    machine = Machine(__=[errno.EADDRINUSE] * 2)
    servers = await listen(machine.make_server, Address("", 0))
    assert [server.sockets[0].getsockname()[1] for server in servers] == [40003, 40003]
    machine = Machine(__=[errno.EADDRINUSE] * ATTEMPTS)
    with pytest.raises(OSError, match="trouble"):
        await listen(machine.make_server, Address("", 0))
    assert machine.closed == len(machine.made)


@pytest.mark.kernel
@pytest.mark.parametrize("host", ["", "localhost"])
async def test_both_families_are_served_on_one_port(host: str) -> None:
    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        writer.close()

    def make_server(host: str, port: int) -> Any:
        return asyncio.start_server(accept, host, port)

    servers = await listen(make_server, Address(host, 0))
    names = [server.sockets[0].getsockname()[:2] for server in servers]
    assert len({port for _, port in names}) == 1
    for name in names:
        reader, writer = await asyncio.open_connection(*_loopback(*name))
        assert await reader.read() == b"here"
        writer.close()
    for server in servers:
        server.close()


def _loopback(host: str, port: int) -> tuple[str, int]:
    address = reachable(host, port)
    return address.host, address.port


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1:80"), ("::", "[::1]:80"), ("fe80::1", "[fe80::1]:80"), ("10.0.0.1", "10.0.0.1:80")],
)
def test_what_is_shown_can_be_dialled(host: str, shown: str) -> None:
    assert str(reachable(host, 80)) == shown
