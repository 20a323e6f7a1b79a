"""Asks a server from many clients at once, rightly and wrongly, and checks every answer.

    python -m soak.load [--minutes 10] [--clients 64] [--seed 0]

All goes over the loopback. At the end the server's own counts must be the clients', its memory must not have grown, and
SIGTERM under full load must end it in order.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import random
import re
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

import openfm
from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.servers import Server

FEATURES = 200
JSON, LINES, RECORDS = "application/json", "application/jsonlines", "application/x-recordio-protobuf"
GUNICORN_CONF = Path(__file__).parents[1] / "container" / "gunicorn.conf.py"

# SageMaker's own limit for an answer to /ping.
PING_SECONDS = 2.0

# Threads that meet large bodies for the first time leave the allocator with more than before, up to so much.
ALLOCATOR_MEGABYTES = 100


@dataclass(frozen=True)
class Request:
    """A request and what its answer must be.

    Attributes:
        status: of the answer.
        scores: those in the answer, if it is a good request.
        pieces: whether the body goes out in chunks.
    """

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    scores: np.ndarray | None = None
    pieces: bool = False


@dataclass
class Tally:
    """What the clients counted."""

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    rows: int = 0
    seconds: list[float] = field(default_factory=list)
    longest_ping: float = 0.0


def make_model() -> Model:
    rng = np.random.default_rng(0)
    linear = rng.normal(0, 0.3, FEATURES).astype(np.float32)
    factors = rng.normal(0, 0.2, (FEATURES, 8)).astype(np.float32)
    return Model(FactorizationMachine(0.1, linear, factors, PredictorType.BINARY_CLASSIFIER))


def make_requests(model: Model, rng: random.Random) -> list[Request]:
    """Some of each kind: every pair of types, from 1 row to 2000, and one of each mistake."""
    requests = [Request("GET", "/ping"), Request("GET", "/metrics")]
    for content_type, accept in itertools.product((JSON, LINES, RECORDS), repeat=2):
        for rows in (1, 3, rng.randint(4, 100), rng.randint(101, 2000)):
            matrix = csr_matrix(
                np.where(np.random.default_rng(rng.randrange(2**32)).random((rows, FEATURES)) < 0.05, 1.5, 0)
            )
            headers = {"Content-Type": content_type, "Accept": accept}
            body, scores = encode(matrix, content_type), model.predict(matrix)
            requests.append(Request("POST", "/invocations", body, headers, 200, scores, pieces=rng.random() < 0.25))
    good = b'{"instances": [{"features": [' + b", ".join([b"0"] * FEATURES) + b"]}]}"
    as_json = {"Content-Type": JSON}
    return [
        *requests,
        Request("POST", "/invocations", b"", as_json, 204),
        Request("POST", "/invocations", good[:-5], as_json, 400),
        Request("POST", "/invocations", b'{"instances": [{"features": [1, 2]}]}', as_json, 400),
        Request(
            "POST", "/invocations", encode(csr_matrix((2, FEATURES)), RECORDS)[:-4], {"Content-Type": RECORDS}, 400
        ),
        Request("POST", "/invocations", good, {"Content-Type": JSON, "Accept": "image/png"}, 406),
        Request("POST", "/invocations", bytes(6 * 2**20 + 1), as_json, 413),
        Request("POST", "/invocations", b"1,2", {"Content-Type": "text/csv"}, 415),
        Request("POST", "/nowhere", good, as_json, 404),
        Request("GET", "/invocations", status=405),
    ]


def encode(matrix: csr_matrix, content_type: str) -> bytes:
    if content_type == RECORDS:
        buffer = BytesIO()
        openfm.write_records(buffer, matrix.astype(np.float32))
        return buffer.getvalue()
    instances = []
    for row in matrix:
        features = {"keys": row.indices.tolist(), "shape": [FEATURES], "values": row.data.tolist()}
        instances.append({"data": {"features": features}})
    if content_type == JSON:
        return json.dumps({"instances": instances}).encode()
    return "\n".join(json.dumps(instance) for instance in instances).encode()


def decode(body: bytes, content_type: str) -> np.ndarray:
    """The scores of an answer."""
    if content_type == RECORDS:
        return np.array(list(read_score_records(body)), np.float32)
    answers = json.loads(body)["predictions"] if content_type == JSON else map(json.loads, body.splitlines())
    return np.array([answer["score"] for answer in answers], np.float32)


def read_score_records(body: bytes) -> Iterator[float]:
    from openfm.data.record_schema import Record

    while body:
        (length,) = np.frombuffer(body[4:8], "<u4").tolist()
        yield Record.FromString(body[8 : 8 + length]).label["score"].float32_tensor.values[0]
        body = body[8 + length + -length % 4 :]


class Client:
    """One client with one connection, which it keeps for a while.

    Args:
        port: of the server.
        requests: those it chooses from.
        rng: how it chooses.
    """

    def __init__(self, port: int, requests: list[Request], rng: random.Random) -> None:
        self.tally = Tally()
        self._port = port
        self._requests = requests
        self._rng = rng
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def run(self, stop: threading.Event) -> None:
        """Ask until told to stop.

        Raises:
            AssertionError: an answer is wrong.
            OSError: there is none.
        """
        try:
            while not stop.is_set():
                if self._rng.random() < 0.01:
                    self._go_away()
                if self._rng.random() < 0.05:
                    self._connection.close()
                self.ask(self._rng.choice(self._requests))
        finally:
            self._connection.close()

    def ask(self, request: Request) -> None:
        began = time.monotonic()
        body = iter([request.body[:1000], request.body[1000:]]) if request.pieces else request.body or None
        self._connection.request(request.method, request.path, body, request.headers, encode_chunked=request.pieces)
        with self._connection.getresponse() as response:
            answer = response.read()
        seconds = time.monotonic() - began
        assert response.status == request.status, f"{request.path}: {response.status} {answer[:200]!r}"
        if request.scores is not None:
            accept = request.headers["Accept"]
            assert response.headers["Content-Type"] == accept
            np.testing.assert_array_equal(decode(answer, accept), request.scores)
            self.tally.rows += len(request.scores)
        if request.path == "/ping":
            assert seconds < PING_SECONDS, f"/ping took {seconds:.2f} s"
            self.tally.longest_ping = max(self.tally.longest_ping, seconds)
        self.tally.requests[request.path, request.status] += 1
        self.tally.seconds.append(seconds)

    def _go_away(self) -> None:
        """Break off in the middle of a request."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")


class Load:
    """A server, and clients that keep it busy.

    Args:
        folder: for its files.
        clients: how many there are.
        seed: of what they ask.
    """

    def __init__(self, folder: Path, clients: int, seed: int) -> None:
        rng = random.Random(seed)
        model = make_model()
        (folder / "model").mkdir()
        save_model(model, folder / "model" / "model_algo-1")
        self._folder = folder
        self._requests = make_requests(model, rng)
        self._clients = clients
        self._rng = rng

    def run(self, seconds: float) -> str:
        """Keep the server busy for so long; returns what there is to say about it.

        Raises:
            AssertionError: something was wrong.
        """
        with Server.running(self._folder, NUM_WORKERS="2", OPENFM_GUNICORN_CONF=str(GUNICORN_CONF)) as server:
            tally, memory = self._ask(server, seconds)
            self._compare_counts(server, tally)
            assert memory[-1] < 1.25 * memory[0] + ALLOCATOR_MEGABYTES, f"the server's memory grew: {memory} MB"
            stopped = self._stop_under_load(server)
        latencies = np.quantile(tally.seconds, [0.5, 0.99])
        total = sum(tally.requests.values())
        return (
            f"{total} requests with {tally.rows} rows from {self._clients} clients in {seconds:.0f} s, each answered "
            f"as it should be: {total / seconds:.0f} a second, median {1000 * latencies[0]:.0f} ms, 99 % within "
            f"{1000 * latencies[1]:.0f} ms, /ping within {1000 * tally.longest_ping:.0f} ms; memory "
            f"{memory[0]:.0f} MB at first and {memory[-1]:.0f} MB at last; stopped under load in {stopped:.2f} s"
        )

    def _ask(self, server: Server, seconds: float) -> tuple[Tally, list[float]]:
        """What the clients counted, and the server's memory in MB, once warm and at the end."""
        stop = threading.Event()
        clients = [Client(server.port, self._requests, random.Random(self._rng.random())) for _ in range(self._clients)]
        failures: list[BaseException] = []

        def run(client: Client) -> None:
            try:
                client.run(stop)
            except BaseException as failure:
                failures.append(failure)
                stop.set()

        threads = [threading.Thread(target=run, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        stop.wait(seconds / 3)
        memory = [resident_megabytes(server)]
        stop.wait(seconds * 2 / 3)
        memory.append(resident_megabytes(server))
        stop.set()
        for thread in threads:
            thread.join()
        if failures:
            raise AssertionError(
                f"{len(failures)} clients failed; the server's log ends: {server.log.read_text()[-2000:]}"
            ) from failures[0]
        return add_up(client.tally for client in clients), memory

    def _compare_counts(self, server: Server, tally: Tally) -> None:
        metrics = ""
        while value(metrics, "openfm_requests_in_flight") != 1:  # that for the metrics
            metrics = server.request("GET", "/metrics")[2].decode()
        for (path, status), count in tally.requests.items():
            route = path if path != "/nowhere" else "other"
            counted = value(metrics, f'openfm_requests_total{{route="{route}",status="{status}"}}') or 0
            # The server counts more of two kinds: what clients left in the middle, and /ping while it started.
            more = (path, status) in {("/invocations", 400), ("/ping", 200)}
            assert counted == count or (more and counted > count), (
                f"{path} {status}: the clients counted {count}, the server {counted}"
            )
        assert value(metrics, "openfm_rows_scored_total") == tally.rows
        assert value(metrics, 'openfm_requests_refused_total{reason="busy"}') == 0
        assert not re.search(r'status="5\d\d"} [1-9]', metrics)
        assert "Traceback" not in server.log.read_text()

    def _stop_under_load(self, server: Server) -> float:
        """Seconds from SIGTERM to the end; nobody's answer may break off."""
        request = next(request for request in self._requests if request.scores is not None)
        torn: list[BaseException] = []

        def ask() -> None:
            while True:
                try:
                    status, _, answer = server.request(
                        "POST",
                        request.path,
                        request.body,
                        **{name.replace("-", "_"): value for name, value in request.headers.items()},
                    )
                    assert status == 503 or (status == 200 and len(answer) > 0)
                except ConnectionError:  # refused at the door, or reset before anything was answered
                    return
                except BaseException as failure:
                    torn.append(failure)
                    return

        threads = [threading.Thread(target=ask) for _ in range(self._clients)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        code, seconds = server.stop(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert code == 0
        assert not torn, torn[0]
        return seconds


def value(metrics: str, series: str) -> float | None:
    """Of a series in Prometheus' text."""
    found = re.search(rf"^{re.escape(series)} (.*)$", metrics, re.MULTILINE)
    return float(found[1]) if found else None


def add_up(tallies: Iterator[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total.requests += tally.requests
        total.rows += tally.rows
        total.seconds += tally.seconds
        total.longest_ping = max(total.longest_ping, tally.longest_ping)
    return total


def resident_megabytes(server: Server) -> float:
    """Of the server's processes together."""
    parent = server.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in (parent, *children)]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("VmRSS")) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(Load(Path(folder), arguments.clients, arguments.seed).run(60 * arguments.minutes))


if __name__ == "__main__":
    main()
