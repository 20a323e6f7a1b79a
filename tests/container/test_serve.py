"""``docker run IMAGE serve``: every form of request through a real port."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import openfm
from support.docker import IMAGE, Container, docker, mount, run_image, start_image

pytestmark = pytest.mark.docker

JSON = "application/json"
JSON_LINES = "application/jsonlines"
RECORDIO = "application/x-recordio-protobuf"

IN_TIME = 20.0
"""Seconds, with what docker itself takes; a lost signal takes all of the 30 that it gives."""


@pytest.fixture(scope="module")
def server(trained_job: Path) -> Iterator[Container]:
    with start_image("serve", options=[mount(trained_job, mode="ro")]) as container:
        container.wait_until_ready()
        yield container


@pytest.fixture(scope="module")
def rows() -> csr_matrix:
    """Viewer 0 and the first, second, second last and last film."""
    keys = [[0, 60], [0, 61], [0, 98], [0, 99]]
    return csr_matrix((np.ones(8), np.ravel(keys), np.arange(0, 10, 2)), shape=(4, 100))


@pytest.fixture(scope="module")
def expected(trained_job: Path, rows: csr_matrix) -> np.ndarray:
    return openfm.load_model(trained_job / "model").predict(rows)


def post(server: Container, body: bytes, content_type: str, accept: str = JSON) -> list[float]:
    answer = server.request("/invocations", body, content_type, accept)
    assert answer.status == 200, answer.body
    assert answer.content_type == accept
    if accept == JSON_LINES:
        return [json.loads(line)["score"] for line in answer.body.splitlines()]
    return [prediction["score"] for prediction in answer.json()["predictions"]]


def as_json(rows: csr_matrix) -> bytes:
    instances = [{"features": row} for row in rows.toarray().tolist()]
    return json.dumps({"instances": instances}).encode()


def as_records(rows: csr_matrix) -> bytes:
    buffer = BytesIO()
    openfm.write_records(buffer, rows)
    return buffer.getvalue()


def test_ping(server: Container) -> None:
    assert server.request("/ping").status == 200


def test_quickstart_request(server: Container, request_body: bytes, expected: np.ndarray) -> None:
    assert post(server, request_body, JSON) == pytest.approx(expected, rel=1e-6)


def test_json_lists(server: Container, rows: csr_matrix, expected: np.ndarray) -> None:
    assert post(server, as_json(rows), JSON) == pytest.approx(expected, rel=1e-6)


def test_dense_and_sparse_instances_in_one_request(
    server: Container, rows: csr_matrix, request_body: bytes, expected: np.ndarray
) -> None:
    dense = {"data": {"features": {"values": rows.toarray()[0].tolist()}}}
    instances = [dense, *json.loads(request_body)["instances"][1:]]
    body = json.dumps({"instances": instances}).encode()
    assert post(server, body, JSON) == pytest.approx(expected, rel=1e-6)


def test_chunked_body_without_accept(server: Container, request_body: bytes, expected: np.ndarray) -> None:
    chunks = iter([request_body[:100], request_body[100:]])
    answer = server.request("/invocations", chunks, JSON)
    scores = [prediction["score"] for prediction in answer.json()["predictions"]]
    assert scores == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("accept", [JSON, JSON_LINES])
def test_json_lines(server: Container, request_body: bytes, expected: np.ndarray, accept: str) -> None:
    instances = json.loads(request_body)["instances"]
    body = "\n".join(json.dumps(instance) for instance in instances).encode()
    assert post(server, body, JSON_LINES, accept) == pytest.approx(expected, rel=1e-6)


def test_records(server: Container, rows: csr_matrix, expected: np.ndarray) -> None:
    assert post(server, as_records(rows), RECORDIO) == pytest.approx(expected, rel=1e-6)


def test_records_as_the_answer(server: Container, rows: csr_matrix) -> None:
    answer = server.request("/invocations", as_records(rows), RECORDIO, RECORDIO)
    assert (answer.status, answer.content_type) == (200, RECORDIO)
    assert answer.body.count(b"score") == 4


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        (b"", JSON, JSON, 204),
        (b"{", JSON, JSON, 400),
        (b'{"instances": [{"features": [1, 2]}]}', JSON, JSON, 400),
        (b"1,2", "text/plain", JSON, 415),
        (b'{"instances": []}', JSON, "image/png", 406),
    ],
)
def test_bad_requests_get_their_status_and_the_server_lives_on(
    server: Container, body: bytes, content_type: str, accept: str, status: int
) -> None:
    assert server.request("/invocations", body, content_type, accept).status == status
    assert server.request("/ping").status == 200


def test_sigterm_reaches_process_one(trained_job: Path) -> None:
    with start_image("serve", options=[mount(trained_job, mode="ro")]) as container:
        container.wait_until_ready()
        seconds, code = container.stop()
        assert (code, seconds < IN_TIME) == (0, True), container.logs()


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_sigterm_reaches_process_one_while_it_starts(trained_job: Path, delay: float) -> None:
    with start_image("serve", options=[mount(trained_job, mode="ro")]) as container:
        time.sleep(delay)
        seconds, code = container.stop()
        assert (code, seconds < IN_TIME) == (0, True), container.logs()


def test_with_nothing_but_tmp(trained_job: Path) -> None:
    options = [
        mount(trained_job, mode="ro"),
        "--read-only",
        "--tmpfs=/tmp",
        "--user=1000",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--ipc=none",  # no /dev/shm
        "--env=SAGEMAKER_MODEL_SERVER_WORKERS=2",
    ]
    script = """
import json, os, time, urllib.request
assert not os.access("/dev/shm", os.W_OK)
def ask(path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:8080{path}", body, {"Content-Type": "application/json"})
    return urllib.request.urlopen(request, timeout=60).read().decode()
instance = {"data": {"features": {"keys": [0, 60], "shape": [100], "values": [1, 1]}}}
for _ in range(20):
    assert len(json.loads(ask("/invocations", json.dumps({"instances": [instance]}).encode()))["predictions"]) == 1
deadline = time.monotonic() + 60
while "openfm_rows_scored_total 20.0" not in ask("/metrics"):  # a request is counted once its answer is sent
    assert time.monotonic() < deadline
"""
    run = docker("run", "--detach", "--network=none", *options, IMAGE, "serve")
    assert run.returncode == 0, run.stderr
    container = Container(run.stdout.strip(), 8080)
    try:
        container.wait_for_log("Booting worker")
        asked = docker("exec", container.id, "python3", "-c", script)
        assert asked.returncode == 0, asked.stderr + container.logs()
        seconds, code = container.stop()
        assert (code, seconds < IN_TIME) == (0, True), container.logs()
    finally:
        docker("rm", "--force", "--volumes", container.id)


def test_any_user_and_read_only_root(trained_job: Path, request_body: bytes, expected: np.ndarray) -> None:
    options = [mount(trained_job, mode="ro"), "--user=1234:1234", "--read-only", "--tmpfs=/tmp"]
    with start_image("serve", options=options) as container:
        container.wait_until_ready()
        assert post(container, request_body, JSON) == pytest.approx(expected, rel=1e-6)


def test_bind_to_port(trained_job: Path, request_body: bytes, expected: np.ndarray) -> None:
    options = [mount(trained_job, mode="ro"), "--env=SAGEMAKER_BIND_TO_PORT=9191"]
    with start_image("serve", options=options, port=9191) as container:
        container.wait_until_ready()
        assert post(container, request_body, JSON) == pytest.approx(expected, rel=1e-6)


def test_raw_archive_on_a_read_only_mount(
    trained_job: Path, tmp_path: Path, request_body: bytes, expected: np.ndarray
) -> None:
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(trained_job / "model" / "model_algo-1", "model_algo-1")
    with start_image("serve", options=[mount(tmp_path, "/opt/ml/model", "ro")]) as container:
        container.wait_until_ready()
        assert post(container, request_body, JSON) == pytest.approx(expected, rel=1e-6)


def test_nothing_mounted_says_what_to_mount() -> None:
    run = run_image("serve")
    assert run.returncode == 2
    assert "/opt/ml/model" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
