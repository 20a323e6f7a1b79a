"""Ports of this machine for servers that are told where to listen."""

from __future__ import annotations

import random
import socket
from pathlib import Path

__all__ = ["free_port"]

_FIRST = 10_000
_ENOUGH = 2_000


def free_port() -> int:
    """A port of the loopback that nobody listens on.

    The system would choose one from the range that it also takes the ports of clients' connections from, and some
    connection might get it before the server does. So it is one below that range, where there is room.
    """
    first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    choice = random.SystemRandom()
    while first_of_clients >= _FIRST + _ENOUGH:
        port = choice.randrange(_FIRST, first_of_clients)
        if _is_free(port):
            return port
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
