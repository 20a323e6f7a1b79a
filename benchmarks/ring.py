"""One host of a ring on loopback, as a program: how long a collective takes.

    python -m benchmarks.ring RANK HOSTS PORT REPEATS

The first host prints JSON: the seconds of each repetition, by the bytes of the array.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from openfm.contract.config import ResourceConfig
from openfm.contract.environment import Environment
from openfm.training.hosts.group import HostGroup
from openfm.training.hosts.leaving import leave
from openfm.training.hosts.rendezvous import connect

__all__ = ["SIZES"]

SIZES = (256, 16_384, 262_144, 1_048_576, 4_194_304)
"""Bytes of the arrays."""


def measure(hosts: HostGroup, size: int, repeats: int) -> list[float]:
    array = np.zeros(size // 4, np.float32)
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        hosts.sum(array)
        seconds.append(time.perf_counter() - begin)
    return seconds


def main() -> None:
    rank, count, port, repeats = map(int, sys.argv[1:])
    names = tuple(f"127.0.0.{number + 1}" for number in range(count))
    hosts = connect(
        ResourceConfig(current_host=names[rank], hosts=names),
        Environment(strict=False, num_threads=1, hosts_port=port, hosts_wait=120.0),
        stopping=lambda: False,
        log=lambda _: None,
        leave=lambda _: leave(3),
    )
    measured = {size: measure(hosts, size, repeats)[1:] for size in SIZES}
    hosts.finish()
    if rank == 0:
        print(json.dumps(measured))
    leave(0)


if __name__ == "__main__":
    main()
