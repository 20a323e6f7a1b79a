"""Where the other hosts are: names to addresses.

Names may not be known yet when a job starts: containers come up one after the other. The network interface that
``resourceconfig.json`` names is not asked: in SageMaker's Local Mode it may not exist, and the route to the other hosts
is always right.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

__all__ = ["address_towards", "resolve"]

_PAUSE_SECONDS = 0.5


def resolve(hosts: Sequence[str], waiting: Callable[[str], None]) -> list[str]:
    """The address of each host, as digits.

    Args:
        hosts: names.
        waiting: called before each pause with the reason to wait, such as a name that is not known yet; it raises to
            give up.
    """
    return [_resolve(host, waiting) for host in hosts]


def _resolve(host: str, waiting: Callable[[str], None]) -> str:
    while True:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            waiting(f"the name '{host}' cannot be resolved ({error.strerror})")
            time.sleep(_PAUSE_SECONDS)
            continue
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)  # that first, for all hosts alike
        return str(found[0][4][0])


def address_towards(peer: str) -> str:
    """This host's own address on the way to another: what others can reach it at. Nothing is sent.

    Args:
        peer: an address, as digits.

    Raises:
        OSError: there is no way.
    """
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((peer, 9))
        return str(probe.getsockname()[0])
