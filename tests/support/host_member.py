"""One host of a group, as a program: ``python host_member.py RANK SCENARIO PORT HOSTS WAIT``.

It connects with the others, does what the scenario says, and prints what came of it. HOSTS are names with commas
between them, such as 127.0.0.1,127.0.0.2; WAIT is in seconds.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from pathlib import Path

import numpy as np

from openfm.contract.config import ResourceConfig
from openfm.contract.environment import Environment
from openfm.contract.paths import ContractPaths
from openfm.errors import OpenFMError
from openfm.training.hosts import group, heartbeat, tracker
from openfm.training.hosts.group import HostGroup
from openfm.training.hosts.leaving import leave, leave_failed
from openfm.training.hosts.rendezvous import connect
from openfm.training.stop import JoiningStoppedError

# So that tests need not wait for half a minute, where they wait for that. Elsewhere nobody is lost on a machine that
# stops for some seconds.
heartbeat.INTERVAL_SECONDS = 0.2
heartbeat.SILENCE_SECONDS = {"ever": 8.0, "slow": 10.0}.get(sys.argv[2], 30.0)
group.GRACE_SECONDS = 2.0
if sys.argv[2] == "no port":
    tracker._PATIENCE_SECONDS = 5.0


def reduce_everything(hosts: HostGroup) -> None:
    """Every operation, with arrays of many lengths; prints a checksum."""
    rng = np.random.default_rng(hosts.rank)
    checksum = 0
    for hosts.step in range(40):
        floats = rng.standard_normal(hosts.step * 37).astype(np.float32)
        hosts.sum(floats)
        counts = rng.integers(0, 100, hosts.step, np.int64)
        hosts.maximum(counts)
        bits = rng.integers(0, 255, hosts.step * 3, np.uint8)
        hosts.bitwise_or(bits)
        for array in (floats, counts, bits):
            checksum = zlib.crc32(array, checksum)
    print(f"checksum {checksum}", flush=True)


def step_for_ever(hosts: HostGroup) -> None:
    """Collectives until something happens."""
    values = np.zeros(1000, np.float32)
    while True:
        values[:] = 1
        hosts.sum(values)
        assert values[0] == hosts.size
        hosts.step += 1
        if hosts.step == 20:
            print("20 steps", flush=True)


def run(hosts: HostGroup, scenario: str) -> None:
    if scenario == "reduce":
        reduce_everything(hosts)
    elif scenario == "ever":
        step_for_ever(hosts)
    elif scenario == "busy":  # with anything but other hosts
        print("20 steps", flush=True)
        time.sleep(300)
    elif scenario == "slow" and hosts.rank == 1:
        time.sleep(1.5 * heartbeat.SILENCE_SECONDS)
    elif scenario == "fail" and hosts.rank == 1:
        leave(2)
    hosts.finish()


def main() -> None:
    rank, scenario, port, names, wait = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], float(sys.argv[5])
    paths = ContractPaths(Path(os.environ["SAGEMAKER_BASE_DIR"]))
    stopping = paths.base / "stop"
    try:
        hosts = connect(
            ResourceConfig(current_host=names.split(",")[rank], hosts=tuple(names.split(","))),
            Environment(strict=False, num_threads=1, hosts_port=port, hosts_wait=wait),
            stopping=stopping.exists,
            log=lambda line: print(line, flush=True),
            leave=lambda error: leave_failed(paths, error),
        )
        run(hosts, scenario)
    except JoiningStoppedError:
        print("stopped", flush=True)
    except OpenFMError as error:
        leave_failed(paths, error)
    leave(0)


if __name__ == "__main__":
    main()
