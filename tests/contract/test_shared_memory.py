"""Workers share the memory of one model, whoever of them scores."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.servers import Server

MIB = 2**20
FEATURES, FACTORS = 800_000, 64
SIZE = 4 * FEATURES * (1 + FACTORS)


@pytest.fixture(params=["model_algo-1", "model.tar.gz"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    linear, factors = np.ones(FEATURES, np.float32), np.zeros((FEATURES, FACTORS), np.float32)
    (tmp_path / "model").mkdir()
    save_model(
        Model(FactorizationMachine(0.5, linear, factors, PredictorType.REGRESSOR)), tmp_path / "model" / request.param
    )
    return tmp_path


def test_a_worker_adds_little_to_the_model(base: Path) -> None:
    with Server.running(base, NUM_WORKERS="3") as server:
        for start in range(0, 120_000, 1000):
            keys = list(range(start, FEATURES, 120_000))
            body = json.dumps({"instances": [{"data": {"features": {"keys": keys, "values": [1] * len(keys)}}}]})
            status, _, answer = server.request("POST", "/invocations", body, Content_Type="application/json")
            assert (status, json.loads(answer)) == (200, {"predictions": [{"score": 0.5 + len(keys)}]})
        workers = worker_processes(server)
        private = [private_memory(pid) for pid in workers]
        shared = [resident_memory(pid) - own for pid, own in zip(workers, private, strict=True)]

    assert SIZE > 190 * MIB
    assert max(private) < SIZE // 4, f"a worker has {max(private) / MIB:.0f} MiB of its own"
    assert max(shared) < SIZE * 3 // 2, f"{max(shared) / MIB:.0f} MiB are shared: the model is there more than once"


def worker_processes(server: Server) -> list[int]:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for _ in range(3000):
        workers = [int(pid) for pid in children.read_text().split()]
        if len(workers) == 3:
            return workers
        time.sleep(0.01)
    raise AssertionError(f"the workers are {workers}")


def private_memory(pid: int) -> int:
    """The bytes of memory that no other process has."""
    rollup = sizes(Path(f"/proc/{pid}/smaps_rollup"))
    return rollup["Private_Clean"] + rollup["Private_Dirty"]


def resident_memory(pid: int) -> int:
    return sizes(Path(f"/proc/{pid}/smaps_rollup"))["Rss"]


def sizes(path: Path) -> dict[str, int]:
    """What a file of /proc says in kB, in bytes."""
    lines = [line.split() for line in path.read_text().splitlines()[1:]]
    return {name.rstrip(":"): 1024 * int(size) for name, size, _ in lines}
