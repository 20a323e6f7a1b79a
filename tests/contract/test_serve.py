"""The real server: gunicorn on a free port, a model from disk, requests over a socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from openfm.artifact import Model, save_model
from openfm.data.recordio import MAGIC
from openfm.fm.model import FactorizationMachine, PredictorType
from support.ports import free_port
from support.servers import COMMAND, Server, environment

GOLDEN = Path(__file__).parents[1] / "golden"
GUNICORN_CONF = Path(__file__).parents[2] / "container" / "gunicorn.conf.py"
JSON = "application/json"
LINES = "application/jsonlines"
RECORDS = "application/x-recordio-protobuf"

FEATURES = 40
FACTORS = 6


def make_machine(predictor_type: PredictorType) -> FactorizationMachine:
    random = np.random.default_rng(7)
    return FactorizationMachine(
        0.3,
        random.normal(0, 0.3, FEATURES).astype(np.float32),
        random.normal(0, 0.2, (FEATURES, FACTORS)).astype(np.float32),
        predictor_type,
    )


def make_base(folder: Path, predictor_type: PredictorType, name: str = "model_algo-1") -> Path:
    (folder / "model").mkdir(parents=True)
    save_model(Model(make_machine(predictor_type)), folder / "model" / name)
    return folder


@pytest.fixture(scope="module", params=list(PredictorType), ids=str)
def predictor_type(request: pytest.FixtureRequest) -> PredictorType:
    return PredictorType(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, predictor_type: PredictorType) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("opt-ml")
    running = Server(make_base(folder, predictor_type), folder / "log", NUM_WORKERS="2")
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.process.kill()
        running.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts further servers, and sees to their end."""
    servers: list[Server] = []

    def start_server(base: Path, **environ: str) -> Server:
        servers.append(Server(base, tmp_path / f"log{len(servers)}", **environ))
        return servers[-1]

    yield start_server
    for running in servers:
        running.process.kill()
        running.process.wait()


# -- every request form with every answer form ----------------------------------------------------


def make_matrix() -> npt.NDArray[np.float32]:
    random = np.random.default_rng(11)
    matrix = random.normal(0, 2, (25, FEATURES)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.6] = 0
    matrix[3] = 0
    return matrix


def dense(row: npt.NDArray[np.float32]) -> dict[str, Any]:
    return {"data": {"features": {"values": row.tolist()}}}


def sparse(row: npt.NDArray[np.float32]) -> dict[str, Any]:
    keys = np.flatnonzero(row)
    features = {"keys": keys.tolist(), "shape": [len(row)], "values": row[keys].tolist()}
    return {"data": {"features": features}}


def listed(row: npt.NDArray[np.float32]) -> dict[str, Any]:
    return {"features": row.tolist()}


def mixed_instances(matrix: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
    forms = [listed, dense, sparse]
    return [forms[number % 3](row) for number, row in enumerate(matrix)]


def framed(matrix: npt.NDArray[np.float32]) -> bytes:
    """Records written by Google's protobuf, framed by hand; dense and sparse by turns."""
    return b"".join(frame(record(row, number % 2 == 0)) for number, row in enumerate(matrix))


def record(row: npt.NDArray[np.float32], as_dense: bool) -> bytes:
    from openfm.data.record_schema import Record

    message = Record()
    tensor = message.features["values"].float32_tensor
    keys = np.arange(len(row)) if as_dense else np.flatnonzero(row)
    tensor.values.extend(row[keys].tolist())
    if not as_dense:
        tensor.keys.extend(keys.tolist())
        tensor.shape.append(len(row))
    payload: bytes = message.SerializeToString()
    return payload


def frame(payload: bytes) -> bytes:
    header = np.array([MAGIC, len(payload)], dtype="<u4").tobytes()
    return header + payload + bytes(-len(payload) % 4)


def request_forms() -> dict[str, tuple[str | None, Callable[[npt.NDArray[np.float32]], bytes]]]:
    def as_json(form: Callable[[npt.NDArray[np.float32]], dict[str, Any]]) -> Any:
        return lambda matrix: json.dumps({"instances": [form(row) for row in matrix]}).encode()

    def lines(matrix: npt.NDArray[np.float32]) -> bytes:
        return b"".join(json.dumps(one).encode() + b"\n" for one in mixed_instances(matrix))

    return {
        "json-list": (JSON, as_json(listed)),
        "json-dense": (JSON, as_json(dense)),
        "json-sparse": (JSON, as_json(sparse)),
        "json-mixed": (
            JSON,
            lambda matrix: json.dumps({"instances": mixed_instances(matrix)}).encode(),
        ),
        "json-without-content-type": (None, as_json(listed)),
        "jsonlines-mixed": (LINES, lines),
        "recordio-framed": (RECORDS, framed),
        "recordio-octet-stream": ("application/octet-stream", framed),
        "recordio-bare-dense": (RECORDS, lambda matrix: record(matrix[0], True)),
        "recordio-bare-sparse": (RECORDS, lambda matrix: record(matrix[0], False)),
    }


def read_answer(content_type: str, body: bytes) -> list[dict[str, float]]:
    if content_type == JSON:
        predictions: list[dict[str, float]] = json.loads(body)["predictions"]
        return predictions
    if content_type == LINES:
        assert body.endswith(b"}\n")
        return [json.loads(line) for line in body.splitlines()]
    assert content_type == RECORDS
    return [read_record(payload) for payload in unframe(body)]


def unframe(body: bytes) -> Iterator[bytes]:
    while body:
        magic, length = np.frombuffer(body[:8], dtype="<u4").tolist()
        assert magic == MAGIC
        yield body[8 : 8 + length]
        body = body[8 + length + -length % 4 :]


def read_record(payload: bytes) -> dict[str, float]:
    from openfm.data.record_schema import Record

    message = Record.FromString(payload)
    assert not message.features
    answer = {}
    for name in ("score", "predicted_label"):
        if name in message.label:
            (answer[name],) = message.label[name].float32_tensor.values
    assert len(answer) == len(message.label)
    return answer


def check_answer(
    answer: list[dict[str, float]], matrix: npt.NDArray[np.float32], predictor_type: PredictorType
) -> None:
    """Against the sum over all pairs, in double precision."""
    machine = make_machine(predictor_type)
    w, v = machine.linear.astype(np.float64), machine.factors.astype(np.float64)
    assert len(answer) == len(matrix)
    for prediction, row in zip(answer, matrix.astype(np.float64), strict=True):
        products = np.triu((v @ v.T) * np.outer(row, row), k=1)
        terms = np.concatenate([[machine.bias], w * row, products.ravel()])
        tolerance = 2e-6 * max(1.0, np.abs(terms).sum())
        score = prediction["score"]
        assert score == float(np.float32(score))
        if predictor_type is PredictorType.REGRESSOR:
            assert list(prediction) == ["score"]
            assert abs(score - terms.sum()) <= tolerance
        else:
            # The sigmoid is nowhere steeper than 1/4; its own rounding is that of a float32.
            assert list(prediction) == ["score", "predicted_label"]
            assert abs(score - 1 / (1 + np.exp(-terms.sum()))) <= tolerance / 4 + 2e-7
            assert prediction["predicted_label"] == float(score >= 0.5)


@pytest.mark.parametrize("accept", [JSON, LINES, RECORDS])
@pytest.mark.parametrize("form", list(request_forms()))
def test_every_form_scores_like_numpy(server: Server, predictor_type: PredictorType, form: str, accept: str) -> None:
    content_type, write = request_forms()[form]
    matrix = make_matrix()[:1] if "bare" in form else make_matrix()
    headers = {"Accept": accept}
    if content_type is not None:
        headers["Content_Type"] = content_type

    status, answer_type, body = server.request("POST", "/invocations", write(matrix), **headers)

    assert (status, answer_type) == (200, accept)
    check_answer(read_answer(answer_type, body), matrix, predictor_type)


def test_a_chunked_body_without_accept_gets_json(server: Server, predictor_type: PredictorType) -> None:
    matrix = np.tile(make_matrix(), (40, 1))
    body = framed(matrix)
    pieces = iter([body[start : start + 777] for start in range(0, len(body), 777)])

    # http.client sends an iterator in chunks and no Accept header.
    status, answer_type, answer = server.request("POST", "/invocations", pieces, Content_type=RECORDS)

    assert (status, answer_type) == (200, JSON)
    check_answer(read_answer(answer_type, answer), matrix, predictor_type)


def test_one_connection_serves_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    body = json.dumps({"instances": [listed(make_matrix()[0])]})
    for _ in range(20):
        connection.request("POST", "/invocations", body)
        with connection.getresponse() as response:
            assert response.status == 200
            assert len(json.loads(response.read())["predictions"]) == 1
    connection.close()


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    sorted((GOLDEN / "invalid" / "requests").glob("*.expected.json")),
    ids=lambda path: path.name.split(".")[0],
)
def test_bad_requests_are_refused_and_the_server_lives(server: Server, path: Path) -> None:
    expected = json.loads(path.read_bytes())
    headers = {"Content_Type": expected["content_type"]}
    if "accept" in expected:
        headers["Accept"] = expected["accept"]
    body = (path.parent / expected["request"]).read_bytes()

    status, content_type, sentence = server.request("POST", "/invocations", body, **headers)

    assert status == expected["status"]
    assert content_type.startswith("text/plain")
    assert 0 < len(sentence) < 300
    assert server.request("GET", "/ping") == (200, "text/plain; charset=utf-8", b"")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_gets_413(server: Server, chunked: bool) -> None:
    body = b" " * (6 * 2**20 + 1)
    status, _, sentence = server.request("POST", "/invocations", iter([body]) if chunked else body)

    assert status == 413
    assert b"larger than 6291456 bytes" in sentence
    assert b"MAX_CONTENT_LENGTH" in sentence
    assert server.request("GET", "/ping")[0] == 200


def test_the_largest_body_is_read(server: Server) -> None:
    instances = json.dumps({"instances": [listed(make_matrix()[0])]}).encode()
    body = instances + b" " * (6 * 2**20 - len(instances))

    assert server.request("POST", "/invocations", body)[0] == 200
    assert server.request("POST", "/invocations", iter([body]))[0] == 200


def test_broken_chunks_get_400(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nwhat?\r\n"
        )
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert server.request("GET", "/ping")[0] == 200


def test_empty_body_gets_204(server: Server) -> None:
    status, _, body = server.request("POST", "/invocations", b"")

    assert (status, body) == (204, b"")


def test_slow_clients_do_not_starve_ping(server: Server) -> None:
    head = b"POST /invocations HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{"
    connections = [socket.create_connection(("127.0.0.1", server.port), timeout=120) for _ in range(6)]
    try:
        for connection in connections:
            connection.sendall(head)
        time.sleep(0.2)
        for _ in range(5):
            assert server.request("GET", "/ping")[0] == 200
    finally:
        for connection in connections:
            connection.close()


def test_many_clients_at_once(server: Server, predictor_type: PredictorType) -> None:
    matrix = make_matrix()
    body = json.dumps({"instances": mixed_instances(matrix)})
    answers: list[tuple[int, str, bytes]] = []

    def client() -> None:
        answers.extend(server.request("POST", "/invocations", body) for _ in range(10))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 80
    assert len(set(answers)) == 1
    check_answer(read_answer(JSON, answers[0][2]), matrix, predictor_type)


# -- start and stop -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_time(start: Callable[..., Server], tmp_path: Path, number: signal.Signals) -> None:
    base = make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR)
    running = start(base, OPENFM_GUNICORN_CONF=str(GUNICORN_CONF))
    running.wait_until_healthy()
    idle = http.client.HTTPConnection("127.0.0.1", running.port, timeout=120)
    idle.request("GET", "/ping")
    idle.getresponse().read()

    code, seconds = running.stop(number)

    idle.close()
    assert code == 0, running.log.read_text()
    assert seconds < 20


def test_a_killed_worker_is_replaced(start: Callable[..., Server], tmp_path: Path) -> None:
    running = start(make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR), NUM_WORKERS="1")
    running.wait_until_healthy()
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    (worker,) = children.read_text().split()

    os.kill(int(worker), signal.SIGKILL)

    running.wait_until_healthy()
    assert children.read_text().split() != [worker]


def test_a_busy_port_gets_one_sentence(server: Server, tmp_path: Path) -> None:
    base = make_base(tmp_path, PredictorType.REGRESSOR)
    result = run_to_end(base, SAGEMAKER_BIND_TO_PORT=str(server.port))

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert (
        f"ClientError: Port {server.port} on 127.0.0.1 is in use; stop the program that listens "
        "there, or set SAGEMAKER_BIND_TO_PORT (openfm serve --port) to a free port."
    ) in result.stderr


def test_no_model_gets_one_sentence(tmp_path: Path) -> None:
    result = run_to_end(tmp_path / "nothing-mounted")

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "ClientError: " in result.stderr
    assert str(tmp_path / "nothing-mounted" / "model") in result.stderr
    assert "Mount a folder that holds model_algo-1 or model.tar.gz there" in result.stderr


def test_a_broken_model_gets_one_sentence(tmp_path: Path) -> None:
    base = make_base(tmp_path, PredictorType.REGRESSOR)
    model = base / "model" / "model_algo-1"
    model.write_bytes(model.read_bytes()[:-100])
    result = run_to_end(base)

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "ClientError: " in result.stderr
    assert str(model) in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "many"),
        ("OPENFM_BIND", "192.0.2.1"),
        ("OPENFM_BIND", "no.such.host.invalid"),
    ],
)
def test_a_bad_variable_gets_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    result = run_to_end(make_base(tmp_path, PredictorType.REGRESSOR), **{name: value})

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert name in result.stderr
    assert value in result.stderr


def test_a_broken_gunicorn_conf_is_named(tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("threads = 1 / 0\n")
    base = make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR)
    result = run_to_end(base, OPENFM_GUNICORN_CONF=str(conf))

    assert result.returncode == 2
    assert f"The gunicorn settings in {conf} (OPENFM_GUNICORN_CONF) cannot be read" in result.stderr


def test_no_access_log_by_default(server: Server) -> None:
    server.request("GET", "/ping")

    assert "GET /ping HTTP/1.1" not in server.log.read_text()


def test_a_model_archive_on_a_read_only_mount(start: Callable[..., Server], tmp_path: Path) -> None:
    base = make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR, name="model.tar.gz")
    (base / "model").chmod(0o555)
    running = start(base)
    try:
        running.wait_until_healthy()
        assert [path.name for path in (base / "model").iterdir()] == ["model.tar.gz"]
    finally:
        (base / "model").chmod(0o755)


def test_it_listens_where_it_is_told(start: Callable[..., Server], tmp_path: Path) -> None:
    base = make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR)
    for bind, wanted in [("", "0100007F"), ("0.0.0.0", "00000000")]:
        running = start(base, OPENFM_BIND=bind)
        running.wait_until_healthy()
        listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        assert f"{wanted}:{running.port:04X}" in listening
        running.stop()


def test_batch_transform(start: Callable[..., Server], tmp_path: Path) -> None:
    base = make_base(tmp_path / "opt-ml", PredictorType.REGRESSOR)
    running = start(base, SAGEMAKER_BATCH="True", SAGEMAKER_MAX_CONCURRENT_TRANSFORMS="1")
    running.wait_until_healthy()
    matrix = make_matrix()
    body = framed(np.tile(matrix, (2000, 1)))
    assert len(body) > 6 * 2**20

    status, answer_type, answer = running.request("POST", "/invocations", body, Content_Type=RECORDS)

    assert (status, answer_type) == (200, LINES)
    assert answer.count(b"\n") == 50_000
    check_answer(read_answer(LINES, answer)[:25], matrix, PredictorType.REGRESSOR)


def run_to_end(base: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a server that is expected not to start."""
    environ.setdefault("SAGEMAKER_BIND_TO_PORT", str(free_port()))
    return subprocess.run(COMMAND, env=environment(base, **environ), capture_output=True, text=True, timeout=180)
