"""Isolation: a network of its own for each test process, so that no test is dialled by what another one started.

A port that a test has given up may go to any other process, and whoever still dials it then meets a stranger.
"""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
import sys

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1


def leave_the_network() -> bool:
    """Move this thread, and all that it starts, to a new network with nothing but a loopback.

    False where that cannot be done: it takes root on Linux, outside of a container.
    """
    if sys.platform != "linux":
        return False
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        name, flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", name, flags | IFF_UP))
    return True
