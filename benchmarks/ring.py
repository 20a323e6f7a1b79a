"""One host of a ring, as a program: how long a collective takes.

    python -m benchmarks.ring REPEATS

Which host it is stands in the ``resourceconfig.json`` of the folder ``SAGEMAKER_BASE_DIR``, as for a training job. The
first host writes the seconds of each repetition, by the bytes of the array, to ``model/ring.json`` in that folder.

It imports nothing of the benchmarks: in a container it is run as a file.
"""

from __future__ import annotations

import json
import os
import sys
import time

import numpy as np

from openfm.contract.config import ResourceConfig
from openfm.contract.environment import Environment
from openfm.contract.paths import ContractPaths
from openfm.training.hosts.group import HostGroup
from openfm.training.hosts.leaving import leave
from openfm.training.hosts.rendezvous import connect

__all__ = ["SIZES"]

SIZES = (256, 16_384, 262_144, 1_048_576, 4_194_304)
"""Bytes of the arrays."""


def measure(hosts: HostGroup, size: int, repeats: int) -> list[float]:
    array = np.zeros(size // 4, np.float32)
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        hosts.sum(array)
        seconds.append(time.perf_counter() - begin)
    return seconds[1:]


def main() -> None:
    paths = ContractPaths.from_environ(os.environ)
    resources = ResourceConfig.read(paths.resource_config)
    hosts = connect(
        resources,
        Environment.read(os.environ),
        stopping=lambda: False,
        log=lambda _: None,
        leave=lambda _: leave(3),
    )
    measured = {size: measure(hosts, size, int(sys.argv[1])) for size in SIZES}
    if resources.rank == 0:
        paths.model.mkdir(parents=True, exist_ok=True)
        (paths.model / "ring.json").write_text(json.dumps(measured))
    hosts.finish()
    leave(0)


if __name__ == "__main__":
    main()
