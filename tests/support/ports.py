"""Ports: those that nobody listens on."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody else while this process lives.

    A socket stays bound to it but does not listen: dials are refused and the kernel reserves the port, while a server
    that sets SO_REUSEADDR, as those of asyncio and uvloop do, can still take it.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    sock.detach()
    return port
