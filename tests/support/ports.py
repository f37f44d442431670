"""Ports: those on which nothing listens."""

from __future__ import annotations

import socket

from tests.simulation.virtual import running_virtual_loop


def free_port() -> int:
    """A port on which nothing listens, and which the system gives to no other program while this process lives.

    A socket stays bound to it but does not listen: dials are refused and the kernel reserves the port, while a server
    that sets SO_REUSEADDR, as those of asyncio and uvloop do, can still take it.
    """
    loop = running_virtual_loop()
    if loop is not None:
        return loop.host.free_port()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    sock.detach()
    return port
