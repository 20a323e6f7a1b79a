"""Several containers that train one job, or measure their ring, on networks of a given speed."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.data import Problem
from benchmarks.jobs import records

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.docker import IMAGE, docker
from support.docker_hosts import Hosts, host_names, start_hosts, write_resource_config

__all__ = [
    "Measured",
    "epoch_speeds",
    "host_job",
    "measured_ring",
    "measured_together",
    "why_no_containers",
    "write_ring",
]

ENVIRON = {"OPENFM_NUM_THREADS": "1"}
_THROUGHPUT = re.compile(r"train throughput=(\S+) records/second")
_LONGEST_SECONDS = 600.0  # a job takes less
_RING = Path(__file__).with_name("ring.py")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a job of several hosts did.

    Attributes:
        speed: records of all hosts a second, the median of the epochs after the first.
        step_bytes: what the busiest host sent in a step, headers included.
    """

    speed: float
    step_bytes: float


def why_no_containers() -> str | None:
    """Why there can be no measurement with containers; None: there can."""
    if os.getuid() != 0 or shutil.which("tc") is None or shutil.which("nsenter") is None:
        return "limiting the network takes root, tc (iproute2) and nsenter"
    if shutil.which("docker") is None or docker("image", "inspect", IMAGE).returncode:
        return f"there is no Docker engine with the image '{IMAGE}'"
    return None


def measured_together(problem: Problem, hosts: int, batch: int, *, gigabits: float, epochs: int) -> Measured:
    """Train on containers of one thread each, all of which have all records.

    Args:
        problem: what is trained.
        hosts: how many containers.
        batch: records that a step takes from each.
        gigabits: a second, that each may send.
        epochs: two or more.

    Raises:
        RuntimeError: a host failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = [host_job(Path(folder) / name, problem, batch, epochs) for name in host_names(hosts)]
        with start_hosts(jobs, ENVIRON) as running, _limited(running, gigabits) as processes:
            sent = _sent_until_the_end(running, processes)
            log = running.log(0)
    steps = epochs * -(-problem.train.rows // (batch * hosts))
    return Measured(statistics.median(epoch_speeds(log, epochs)[1:]), max(sent) / steps)


def measured_ring(hosts: int, *, gigabits: float, repeats: int) -> dict[int, float]:
    """How long a collective of containers takes: the median of its seconds, by the bytes of the array.

    Raises:
        RuntimeError: a host failed.
    """
    command = ("python3", f"/{_RING.name}", str(repeats))
    with tempfile.TemporaryDirectory() as folder:
        names = host_names(hosts)
        jobs = [Path(folder) / name for name in names]
        for job, name in zip(jobs, names, strict=True):
            write_ring(job, name, names)
        options = (f"--volume={_RING}:/{_RING.name}:ro",)
        with (
            start_hosts(jobs, ENVIRON, command=command, options=options) as running,
            _limited(running, gigabits) as ring,
        ):
            _sent_until_the_end(running, ring)
            if any(running.wait()):
                raise RuntimeError(f"a ring of containers could not be measured\n{running.logs()}")
        found = json.loads((jobs[0] / "model" / "ring.json").read_text())
    return {int(size): statistics.median(taken) for size, taken in found.items()}


def write_ring(base: Path, current: str, hosts: Sequence[str]) -> None:
    """The contract tree of a host that only measures the ring."""
    (base / "input" / "config").mkdir(parents=True)
    write_resource_config(base, current, hosts)


def host_job(base: Path, problem: Problem, batch: int, epochs: int) -> Path:
    """The contract tree of one of several hosts, all of which have all records."""
    (base / "input" / "config").mkdir(parents=True)
    (base / "input" / "data" / "train").mkdir(parents=True)
    shutil.copy(records(problem), base / "input" / "data" / "train" / "part-0")
    hyperparameters = {
        "feature_dim": problem.feature_dim,
        "num_factors": problem.k,
        "predictor_type": "binary_classifier",
        "mini_batch_size": batch,
        "epochs": epochs,
    }
    content = {name: str(value) for name, value in hyperparameters.items()}
    (base / "input" / "config" / "hyperparameters.json").write_text(json.dumps(content))
    return base


def epoch_speeds(log: str, epochs: int) -> list[float]:
    """Records a second of each epoch, as the first host's log has them.

    Raises:
        RuntimeError: the job did not train so many.
    """
    speeds = [float(speed) for speed in _THROUGHPUT.findall(log)]
    if len(speeds) != epochs:
        raise RuntimeError(f"the hosts did not train {epochs} epochs: {log[-2000:]}")
    return speeds


@contextmanager
def _limited(running: Hosts, gigabits: float) -> Iterator[list[int]]:
    """Let each container send no faster; gives their processes."""
    processes = [int(docker("inspect", "--format", "{{.State.Pid}}", name).stdout) for name in running.containers]
    rate = f"{gigabits * 1000:g}mbit"
    queue = ["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "256kb", "latency", "100ms"]
    for process in processes:
        subprocess.run(["nsenter", f"--net=/proc/{process}/ns/net", *queue], check=True, capture_output=True)
    yield processes


def _sent_until_the_end(hosts: Hosts, processes: Sequence[int]) -> list[int]:
    """Wait for the end; the bytes that each process's network has sent."""
    sent = [0] * len(processes)
    deadline = time.monotonic() + _LONGEST_SECONDS
    while any(Path(f"/proc/{process}").exists() for process in processes):  # what asks Docker takes a processor
        if time.monotonic() > deadline:
            raise RuntimeError(f"the hosts have not ended\n{hosts.logs()}")
        for number, process in enumerate(processes):
            sent[number] = _sent(process) or sent[number]
        time.sleep(0.02)
    return sent


def _sent(process: int) -> int:
    """Bytes that left by the process's network; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{process}/net/dev").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split(":")[1].split()[8]) for line in lines if line.strip().startswith("eth0:")), 0)
