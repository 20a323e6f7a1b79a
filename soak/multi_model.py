"""Loads, invokes and unloads hundreds of models on one server, in random order, by many clients at once.

    python -m soak.multi_model [--seconds 600] [--clients 16] [--models 400] [--seed 0]

Every answer is compared with what the model gives in this process, bit by bit. The memory is too small for all models,
so that loading is refused now and then. The server may never take more memory than it was given for models and
requests, must always answer ``/ping`` within its two seconds, and must end with the memory, threads and files that it
had.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from support.servers import Server

MIB = 2**20
PING_SECONDS = 2.0
REQUEST_MARGIN = 96 * MIB
"""What requests and the allocator may take beside the models."""

LEAK = 24 * MIB
"""Growth of the memory from one empty state to the next that no leak explains: the allocator's own."""


@dataclass
class Target:
    """A model of the campaign, one request to it and the answer that it must give."""

    name: str
    folder: Path
    request: bytes
    answer: Any


@dataclass
class Report:
    """What happened; threads write to it under its lock."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_ping: float = 0.0
    largest_memory: int = 0
    most_loaded: int = 0
    empty_memory: tuple[int, int] = (0, 0)  # with no model loaded, before and after
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, status: int) -> None:
        """Note one request and its status."""
        with self.lock:
            self.outcomes[f"{what} {status}"] += 1

    def __str__(self) -> str:
        total = sum(self.outcomes.values())
        return (
            f"{total} requests, no wrong answer: {', '.join(f'{k}: {n}' for k, n in sorted(self.outcomes.items()))}; "
            f"slowest ping {self.slowest_ping * 1000:.0f} ms, at most {self.most_loaded} models loaded, "
            f"largest memory {self.largest_memory / MIB:.0f} MiB, without a model {self.empty_memory[0] / MIB:.0f} "
            f"MiB before and {self.empty_memory[1] / MIB:.0f} after"
        )


class Connection:
    """One client's connection, kept alive; opened again when the server closes it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of the answer; header names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            return self._ask(method, path, body, named)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # The server closed it while it was idle; nothing of the request was worked on.
            self._connection.close()
            return self._ask(method, path, body, named)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Close it."""
        self._connection.close()


class Campaign:
    """Many models in a folder, and a server that can hold about half of them.

    Args:
        folder: for the models and the server's log.
        models: how many.
        seed: of the models and of what the clients do.
    """

    def __init__(self, folder: Path, *, models: int, seed: int) -> None:
        self._base = folder
        self._seed = seed
        rng = np.random.default_rng(seed)
        self.targets = [_make_target(folder / "models", number, rng) for number in range(models)]
        sizes = [path.stat().st_size for path in (folder / "models").rglob("model_algo-1")]
        self.memory_mib = max(8, sum(sizes) // 2 // MIB)  # a loaded model takes about as much as its file
        self.report = Report()

    def run(self, seconds: float, *, clients: int) -> Report:
        """Let the clients loose; then look at what is left.

        Raises:
            AssertionError: an answer, a status or a number is not what it must be.
        """
        environ = {"SAGEMAKER_MULTI_MODEL": "true", "OPENFM_MODEL_MEMORY_IN_MB": str(self.memory_mib)}
        with Server.running(self._base, **environ) as server:
            worker = _Process(_only_child(server.process.pid))
            empty = worker.memory()
            self._play(server.port, worker, empty, clients, seconds=max(1.0, seconds / 8))
            self._unload_all(server.port)
            before = worker.memory(), worker.threads(), worker.files()
            self._play(server.port, worker, empty, clients, seconds=seconds)
            self._unload_all(server.port)
            after = worker.memory(), worker.threads(), worker.files()
            self.report.empty_memory = before[0], after[0]
            assert after[0] - before[0] < LEAK, f"memory grew from {before[0] / MIB:.0f} to {after[0] / MIB:.0f} MiB"
            assert after[1] <= max(before[1], clients + 8), f"threads grew from {before[1]} to {after[1]}"
            assert after[2] <= before[2] + 4, f"open files grew from {before[2]} to {after[2]}"
            code, _ = server.stop()
            assert code == 0, server.log.read_text()[-2000:]
        return self.report

    def _play(self, port: int, worker: _Process, empty: int, clients: int, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        failures: list[BaseException] = []

        def guarded(play: Any, *arguments: Any) -> None:
            connection = Connection(port)
            try:
                while time.monotonic() < deadline and not failures:
                    play(connection, *arguments)
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        players = [(self._act, random.Random(f"{self._seed}-{number}-{seconds}")) for number in range(clients)]
        threads = [threading.Thread(target=guarded, args=player) for player in players]
        threads.append(threading.Thread(target=guarded, args=(self._watch, worker, empty)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _act(self, connection: Connection, moves: random.Random) -> None:
        target = moves.choice(self.targets)
        move = moves.random()
        if move < 0.2:
            body = json.dumps({"model_name": target.name, "url": str(target.folder)}).encode()
            self._expect("load", (200, 409, 507), connection.ask("POST", "/models", body))
        elif move < 0.32:
            self._expect("unload", (200, 404), connection.ask("DELETE", f"/models/{quote(target.name)}"))
        elif move < 0.36:
            self._list(connection)
        elif move < 0.46:
            # Its name among the files is its folder's, so that these are models of their own.
            answer = connection.ask(
                "POST",
                "/endpoints/soak/invocations",
                target.request,
                X_Amzn_SageMaker_Target_Model=target.folder.parent.name,
            )
            # Only those loaded by this route make room for each other.
            self._check_answer("target", (200, 424), answer, target)
        else:
            path = f"/models/{quote(target.name)}/invoke"
            self._check_answer("invoke", (200, 404), connection.ask("POST", path, target.request), target)

    def _check_answer(self, what: str, statuses: tuple[int, ...], answer: tuple[int, bytes], target: Target) -> None:
        body = self._expect(what, statuses, answer)
        if answer[0] == 200:
            assert json.loads(body) == target.answer, f"{target.name} answered {body!r}, not {target.answer}"
        elif answer[0] == 424:
            assert json.loads(body)["OriginalStatusCode"] == 507, body

    def _list(self, connection: Connection) -> None:
        names = _names(connection)
        assert len(names) == len(set(names))
        self.report.count("list", 200)
        with self.report.lock:
            self.report.most_loaded = max(self.report.most_loaded, len(names))

    def _watch(self, connection: Connection, worker: _Process, empty: int) -> None:
        start = time.monotonic()
        status, _ = connection.ask("GET", "/ping")
        taken = time.monotonic() - start
        assert status == 200
        assert taken < PING_SECONDS, f"/ping took {taken:.1f} s"
        memory = worker.memory()
        with self.report.lock:
            self.report.slowest_ping = max(self.report.slowest_ping, taken)
            self.report.largest_memory = max(self.report.largest_memory, memory)
        allowed = empty + self.memory_mib * MIB + REQUEST_MARGIN
        assert memory < allowed, f"{memory / MIB:.0f} MiB of memory, where {allowed / MIB:.0f} are allowed"
        time.sleep(0.05)

    def _expect(self, what: str, statuses: tuple[int, ...], answer: tuple[int, bytes]) -> bytes:
        status, body = answer
        self.report.count(what, status)
        assert status in statuses, f"{what}: {status} {body!r}"
        return body

    def _unload_all(self, port: int) -> None:
        connection = Connection(port)
        for name in _names(connection):
            assert connection.ask("DELETE", f"/models/{quote(name)}")[0] == 200
        assert _names(connection) == []
        connection.close()


class _Process:
    """What the kernel says of a process."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc") / str(pid)

    def memory(self) -> int:
        """Resident bytes."""
        return 1024 * self._status("VmRSS")

    def threads(self) -> int:
        return self._status("Threads")

    def files(self) -> int:
        return len(list((self._folder / "fd").iterdir()))

    def _status(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _make_target(folder: Path, number: int, rng: np.random.Generator) -> Target:
    """A model of random size, mostly small, laid out as SageMaker lays it out."""
    features = int(rng.choice([3, 50, 1000, 20_000], p=[0.2, 0.4, 0.3, 0.1]))
    factors = int(rng.integers(1, 17))
    machine = FactorizationMachine(
        float(rng.normal()),
        rng.normal(size=features).astype(np.float32),
        rng.normal(0, 0.1, size=(features, factors)).astype(np.float32),
        PredictorType.REGRESSOR if number % 2 else PredictorType.BINARY_CLASSIFIER,
    )
    path = folder / f"{number:04}" / "model"
    path.mkdir(parents=True)
    save_model(Model(machine), path / "model_algo-1")

    keys = [sorted({int(key) for key in rng.integers(0, features, 5)}) for _ in range(int(rng.integers(1, 20)))]
    rows = SparseRows(
        np.cumsum([0, *map(len, keys)], dtype=np.int64),
        np.array([key for row in keys for key in row], dtype=np.int32),
        np.ones(sum(map(len, keys)), dtype=np.float32),
        features,
    )
    instances = [{"data": {"features": {"keys": row, "values": [1] * len(row)}}} for row in keys]
    predictions = []
    for score in machine.score(rows).tolist():
        predictions.append({"score": score})
        if machine.predictor_type is PredictorType.BINARY_CLASSIFIER:
            predictions[-1]["predicted_label"] = float(score >= 0.5)
    return Target(
        f"model {number}/é", path, json.dumps({"instances": instances}).encode(), {"predictions": predictions}
    )


def _names(connection: Connection) -> list[str]:
    return list(_pages(connection))


def _pages(connection: Connection) -> Iterator[str]:
    query = "?limit=37"
    while True:
        status, body = connection.ask("GET", f"/models{query}")
        assert status == 200, body
        answer = json.loads(body)
        yield from (model["modelName"] for model in answer["models"])
        if "nextPageToken" not in answer:
            return
        query = f"?limit=37&next_page_token={quote(answer['nextPageToken'])}"


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--models", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), models=arguments.models, seed=arguments.seed)
        print(f"{campaign.run(arguments.seconds, clients=arguments.clients)}; seed {arguments.seed}")


if __name__ == "__main__":
    main()
