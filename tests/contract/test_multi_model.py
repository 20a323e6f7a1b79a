"""A multi-model endpoint under the real server."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from soak import multi_model
from soak.multi_model import Campaign

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.servers import Server

INSTANCES = b'{"instances": [{"features": [0, 0]}]}'


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opt-ml")
    model = folder / "models" / "x" / "model"
    model.mkdir(parents=True)
    machine = FactorizationMachine(4, [0, 0], [[0], [0]], PredictorType.REGRESSOR)
    save_model(Model(machine), model / "model_algo-1")
    return folder


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Server]:
    environ = {"SAGEMAKER_MODEL_SERVER_WORKERS": "3", "OPENFM_QUEUE_SIZE": "2"}
    with Server.running(base, SAGEMAKER_MULTI_MODEL="true", **environ) as running:
        yield running


def load(server: Server, base: Path, name: str) -> int:
    body = json.dumps({"model_name": name, "url": str(base / "models" / "x" / "model")})
    return server.request("POST", "/models", body)[0]


def test_one_process_whatever_the_workers(server: Server, base: Path) -> None:
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")

    assert len(children.read_text().split()) == 1
    assert load(server, base, "one") == 200
    for _ in range(20):
        assert server.request("POST", "/models/one/invoke", INSTANCES)[2] == b'{"predictions":[{"score":4.0}]}'
    assert server.request("DELETE", "/models/one")[0] == 200
    assert server.request("POST", "/models/one/invoke", INSTANCES)[0] == 404


def test_slow_clients_leave_threads_for_ping_and_lists(server: Server, base: Path) -> None:
    load(server, base, "slow")
    head = b"POST /models/slow/invoke HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port))).sendall(head)
        deadline = time.monotonic() + 120
        while server.request("POST", "/models/slow/invoke", INSTANCES)[0] != 503:
            assert time.monotonic() < deadline, "five clients in hand were not enough"
        for path in ("/ping", "/models", "/models/slow"):
            assert server.request("GET", path)[0] == 200
    deadline = time.monotonic() + 120
    while server.request("POST", "/models/slow/invoke", INSTANCES)[0] != 200:
        assert time.monotonic() < deadline, "the clients that went away still take the server's threads"


def test_a_model_server_without_a_folder_of_models(tmp_path: Path) -> None:
    with Server.running(tmp_path, SAGEMAKER_MULTI_MODEL="true") as server:
        assert server.request("GET", "/models")[2] == b'{"models":[]}\n'


def test_memory_that_runs_out_before_the_budget_does(tmp_path: Path) -> None:
    small, large = tmp_path / "models" / "small", tmp_path / "models" / "large"
    for path, features in ((small, 2), (large, 500_000)):
        path.mkdir(parents=True)
        machine = FactorizationMachine(4, np.zeros(features), np.zeros((features, 16)), PredictorType.REGRESSOR)
        save_model(Model(machine), path / "model_algo-1")

    def load(name: str, path: Path) -> int:
        return server.request("POST", "/models", json.dumps({"model_name": name, "url": str(path)}))[0]

    with Server.running(tmp_path, SAGEMAKER_MULTI_MODEL="true", OPENFM_MODEL_MEMORY_IN_MB="100000") as server:
        (worker,) = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
        used = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(int(worker), resource.RLIMIT_AS, (used + 2**29, resource.RLIM_INFINITY))

        loaded = 0
        while (status := load(f"large-{loaded}", large)) == 200:
            loaded += 1
            assert loaded < 20
        assert status == 507
        assert loaded > 0
        assert load("small", small) == 200
        assert server.request("POST", "/models/small/invoke", INSTANCES)[0] == 200
        assert server.request("GET", "/ping")[0] == 200
        assert server.request("DELETE", "/models/large-0")[0] == 200
        assert load("another", large) == 200


def test_many_models_and_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # How fast it answers is the campaign's business: this machine may have other work.
    monkeypatch.setattr(multi_model, "PING_SECONDS", 30.0)
    report = Campaign(tmp_path, models=200, seed=1).run(6, clients=8)

    assert report.outcomes["invoke 200"] > 20
    assert report.most_loaded > 20
