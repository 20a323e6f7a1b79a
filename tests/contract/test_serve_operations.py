"""How the server stops, queues, counts and logs: real servers, killed, flooded and scraped."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from openfm.artifact import Model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.ports import free_port
from support.servers import Server, environment

SERVE = Path(__file__).parents[2] / "container" / "serve"
BODY = b'{"instances": [{"features": [1, 0, 2]}, {"features": [0, 1, 0]}]}'
JSON = {"Content_Type": "application/json"}

# What "at once" is on a machine that does much else meanwhile: less than any of the times that a server might wait for.
PATIENCE = 20.0


@pytest.fixture
def base(tmp_path: Path) -> Path:
    machine = FactorizationMachine(0.5, [1.0, 2.0, 3.0], [[1.0], [0.0], [1.0]], PredictorType.REGRESSOR)
    (tmp_path / "model").mkdir()
    save_model(Model(machine), tmp_path / "model" / "model_algo-1")
    return tmp_path


@pytest.fixture
def start(base: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers, and sees to their end."""
    with ExitStack() as stack:
        yield lambda **environ: stack.enter_context(Server.running(base, **{"NUM_WORKERS": "1", **environ}))


class SlowRequest:
    """An invocation that the server has in hand, and of which the last byte is missing.

    Its body is larger than what the system takes in for a server that does not read: once all of it is sent, the server
    has let it in.
    """

    def __init__(self, server: Server) -> None:
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=120)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        body = BODY[:-1] + b" " * (4 * 2**20)
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body) + 1}\r\n\r\n"
        self._connection.sendall(head.encode() + body)

    def finish(self) -> tuple[int, bytes]:
        """Send the last byte; the answer's status and body."""
        with self._connection, http.client.HTTPResponse(self._connection) as response:
            self._connection.sendall(BODY[-1:])
            response.begin()
            return response.status, response.read()

    def close(self) -> None:
        self._connection.close()


def metric(server: Server, name: str, **labels: str) -> float:
    """The value of a metric; 0 if there is none."""
    status, content_type, body = server.request("GET", "/metrics")
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    series = re.escape(name + (f"{{{inner}}}" if inner else ""))
    found = re.search(rf"^{series} (.*)$", body.decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited for 120 s in vain"
        time.sleep(0.02)


# -- stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_with_nothing_in_flight_it_stops_at_once(start: Callable[..., Server], number: signal.Signals) -> None:
    server = start(NUM_WORKERS="2")
    kept_alive = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    kept_alive.request("GET", "/ping")
    kept_alive.getresponse().read()
    with socket.create_connection(("127.0.0.1", server.port)):  # which never says a word
        time.sleep(0.1)
        code, seconds = server.stop(number)

    kept_alive.close()
    assert code == 0, server.log.read_text()
    assert seconds < PATIENCE


def test_what_is_in_flight_is_finished_and_all_else_refused(start: Callable[..., Server]) -> None:
    server = start(NUM_WORKERS="2")
    kept_alive = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    kept_alive.request("GET", "/ping")
    kept_alive.getresponse().read()
    slow = SlowRequest(server)
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 2)  # it, and the question

    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.request("GET", "/ping")[0] == 503)
    server.process.send_signal(signal.SIGTERM)  # changes nothing
    time.sleep(0.5)

    kept_alive.request("POST", "/invocations", BODY)
    refusal = kept_alive.getresponse()
    assert (refusal.status, refusal.headers["Retry-After"]) == (503, "1")
    assert b"stopping" in refusal.read()
    assert server.request("POST", "/invocations", BODY, **JSON)[0] == 503
    assert server.process.poll() is None
    status, answer = slow.finish()
    assert status == 200
    assert len(json.loads(answer)["predictions"]) == 2
    began = time.monotonic()
    assert server.process.wait(timeout=60) == 0
    assert time.monotonic() - began < PATIENCE
    kept_alive.close()


def test_it_waits_no_longer_than_it_is_told(start: Callable[..., Server]) -> None:
    server = start(OPENFM_GRACEFUL_TIMEOUT="1")
    slow = SlowRequest(server)
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 2)

    code, seconds = server.stop()

    slow.close()
    assert code == 0, server.log.read_text()
    assert 1 <= seconds < 1 + PATIENCE
    assert "1 requests are cut off after 1 s" in server.log.read_text()


def test_ctrl_c_ends_the_waiting(start: Callable[..., Server]) -> None:
    server = start()
    slow = SlowRequest(server)
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 2)
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: server.request("GET", "/ping")[0] == 503)

    code, seconds = server.stop(signal.SIGINT)

    slow.close()
    assert (code, seconds < PATIENCE) == (0, True)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1, 0.2, 0.4, 0.8, 1.2])
def test_sigterm_while_it_starts_ends_it_at_once(base: Path, delay: float) -> None:
    # The program of the image, started as its first line says, by this interpreter.
    shebang = SERVE.read_text().splitlines()[0]
    assert shebang == "#!/usr/bin/env -S --block-signal=TERM /opt/openfm/bin/python3"
    process = subprocess.Popen(
        ["env", "--block-signal=TERM", sys.executable, SERVE],
        env=environment(base, SAGEMAKER_BIND_TO_PORT=str(free_port())),
        stderr=subprocess.DEVNULL,
    )
    # Until env is there the signal ends the process by itself; as process 1 of a container it would be dropped.
    command = Path(f"/proc/{process.pid}/cmdline")
    wait_for(lambda: command.read_bytes().startswith(sys.executable.encode()))
    time.sleep(delay)

    process.send_signal(signal.SIGTERM)
    began = time.monotonic()

    assert process.wait(timeout=60) == 0
    assert time.monotonic() - began < PATIENCE


# -- queueing -------------------------------------------------------------------------------------


def test_above_the_queue_it_answers_503(start: Callable[..., Server]) -> None:
    server = start(OPENFM_QUEUE_SIZE="1")  # two compute, one waits
    slow = [SlowRequest(server) for _ in range(3)]
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 4)

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 503
    assert response.headers["Retry-After"] == "1"
    assert b"3 requests in hand" in response.read()
    connection.close()
    assert metric(server, "openfm_requests_refused_total", reason="busy") == 1
    assert server.request("GET", "/ping")[0] == 200

    assert [one.finish()[0] for one in slow] == [200] * 3
    assert server.request("POST", "/invocations", BODY, **JSON)[0] == 200


def test_a_refused_client_that_sends_much_sees_its_answer(start: Callable[..., Server]) -> None:
    server = start(OPENFM_QUEUE_SIZE="0")
    slow = [SlowRequest(server) for _ in range(2)]
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 3)

    assert server.request("POST", "/invocations", bytes(6 * 2**20), **JSON)[0] == 503
    for one in slow:
        one.close()


def test_long_requests_leave_threads_to_ping(start: Callable[..., Server]) -> None:
    server = start(OPENFM_QUEUE_SIZE="10")
    slow = [SlowRequest(server) for _ in range(20)]
    wait_for(lambda: metric(server, "openfm_requests_refused_total", reason="busy") == 8)

    for _ in range(10):
        assert server.request("GET", "/ping")[0] == 200
    for one in slow:
        one.close()


def test_big_requests_leave_the_processor_to_ping(start: Callable[..., Server]) -> None:
    server = start()
    instance = b'{"features": [1.25, 0, 2]}'
    body = b'{"instances": [' + b", ".join([instance] * 200_000) + b"]}"
    assert 5e6 < len(body) < 6 * 2**20
    answers: list[int] = []

    def client() -> None:
        answers.extend(server.request("POST", "/invocations", body, timeout=300, **JSON)[0] for _ in range(2))

    clients = [threading.Thread(target=client) for _ in range(6)]
    for one in clients:
        one.start()
    pings = 0
    while any(one.is_alive() for one in clients):
        assert server.request("GET", "/ping")[0] == 200
        pings += 1

    assert answers == [200] * 12
    assert pings > 12  # had each waited for a big request, there were no more of them


# -- metrics --------------------------------------------------------------------------------------


def test_metrics_add_up_over_workers_living_and_dead(start: Callable[..., Server]) -> None:
    server = start(NUM_WORKERS="3")
    good = {"route": "/invocations", "status": "200"}
    for _ in range(30):
        assert server.request("POST", "/invocations", BODY, **JSON)[0] == 200
    for body in (b"x", b"{}"):
        assert server.request("POST", "/invocations", body, **JSON)[0] == 400
    # A request is counted once its answer is sent, and a worker that is killed before that counts it no more.
    wait_for(lambda: metric(server, "openfm_request_duration_seconds_count", route="/invocations") == 32)
    slow = SlowRequest(server)
    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 2)  # it, and the question

    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    for worker in children.read_text().split():
        os.kill(int(worker), signal.SIGKILL)
    server.wait_until_healthy()
    slow.close()

    wait_for(lambda: metric(server, "openfm_requests_in_flight") == 1)
    assert metric(server, "openfm_requests_total", **good) == 30
    assert metric(server, "openfm_requests_total", route="/invocations", status="400") == 2
    assert metric(server, "openfm_rows_scored_total") == 60
    assert metric(server, "openfm_request_duration_seconds_count", route="/invocations") == 32
    server.request("POST", "/invocations", BODY, **JSON)
    wait_for(lambda: metric(server, "openfm_requests_total", **good) == 31)


def test_metrics_say_which_model_is_served(start: Callable[..., Server], base: Path) -> None:
    import hashlib
    import importlib.metadata

    server = start()
    digest = hashlib.sha256((base / "model" / "model_algo-1").read_bytes()).hexdigest()

    body = server.request("GET", "/metrics")[2].decode()

    (line,) = [line for line in body.splitlines() if line.startswith("openfm_model_info{")]
    assert f'sha256="{digest}"' in line
    assert f'version="{importlib.metadata.version("openfm")}"' in line
    assert 'predictor_type="regressor"' in line


def test_a_server_leaves_no_file_behind(start: Callable[..., Server], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    server = start(TMPDIR=str(scratch))
    server.request("GET", "/metrics")

    assert list(scratch.iterdir()) == []


# -- logs -----------------------------------------------------------------------------------------


def lines(server: Server) -> list[dict[str, object]]:
    server.stop()
    return [json.loads(line) for line in server.log.read_text().splitlines()]


def test_json_logs(start: Callable[..., Server]) -> None:
    server = start(OPENFM_LOG_FORMAT="json", OPENFM_ACCESS_LOG="true")
    identity = {"X_Amzn_SageMaker_Inference_Id": 'order 7\t"x"'}
    server.request("POST", "/invocations", BODY, **JSON, **identity)
    server.request("POST", "/invocations", b"{", **JSON, **identity)

    entries = lines(server)

    assert all({"time", "level", "process", "message"} <= entry.keys() for entry in entries)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(entry["time"])) for entry in entries)
    assert not [entry for entry in entries if "/ping" in json.dumps(entry)]
    warning, *more = [entry for entry in entries if entry["level"] == "WARNING"]
    assert more == []
    assert warning["inference_id"] == 'order 7\t"x"'
    assert "not valid JSON" in str(warning["message"])
    # A line is written after its answer, by the thread that answered: their order is nobody's promise.
    answered = [entry for entry in entries if "status" in entry]
    assert sorted((entry["method"], entry["path"], entry["status"], entry["rows"]) for entry in answered) == [
        ("POST", "/invocations", 200, 2),
        ("POST", "/invocations", 400, 0),
    ]
    assert all(float(str(entry["duration_ms"])) > 0 for entry in answered)


def test_a_failed_start_is_one_json_line(tmp_path: Path) -> None:
    server = Server(tmp_path, tmp_path / "log", OPENFM_LOG_FORMAT="json")

    assert server.process.wait(timeout=60) == 2
    (entry,) = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert entry["level"] == "ERROR"
    assert entry["message"].startswith("ClientError: There is no model to serve")


def test_text_logs_name_the_inference(start: Callable[..., Server]) -> None:
    server = start()
    server.request("POST", "/invocations", b"{", **JSON, X_Amzn_SageMaker_Inference_Id="order 7")
    server.request("POST", "/invocations", BODY, **JSON)
    server.stop()

    log = server.log.read_text()
    (line,) = [line for line in log.splitlines() if "/invocations" in line]
    assert "[WARNING] POST '/invocations': 400" in line
    assert line.endswith("(Inference-Id 'order 7')")
    assert "/ping" not in log


def test_gunicorn_s_own_access_log_leaves_ping_out(start: Callable[..., Server], tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text('accesslog = "-"\n')
    server = start(OPENFM_GUNICORN_CONF=str(conf), OPENFM_LOG_FORMAT="json")
    server.request("POST", "/invocations", BODY, **JSON)

    logged = [str(entry["message"]) for entry in lines(server) if "HTTP/1.1" in str(entry["message"])]
    assert len(logged) == 1
    assert '"POST /invocations HTTP/1.1" 200' in logged[0]


def test_a_hook_that_is_taken_is_named(base: Path, tmp_path: Path) -> None:
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("def post_fork(server, worker): ...\n")
    server = Server(base, tmp_path / "log", OPENFM_GUNICORN_CONF=str(conf))

    assert server.process.wait(timeout=60) == 2
    assert "post_fork, which openfm sets itself" in server.log.read_text()


# -- where SageMaker runs it ----------------------------------------------------------------------


def test_in_an_inference_pipeline(start: Callable[..., Server]) -> None:
    # Its port comes by SAGEMAKER_BIND_TO_PORT, as always here. The container before answers with its own spelling of
    # the type, and the platform asks for anything.
    server = start(
        SAGEMAKER_SAFE_PORT_RANGE="15000-15999", SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/x-recordio-protobuf"
    )
    status, answer_type, answer = server.request(
        "POST", "/invocations", BODY, Content_Type="application/JSON; charset=utf-8", Accept="*/*"
    )

    assert (status, answer_type) == (200, "application/x-recordio-protobuf")
    assert answer.count(b"score") == 2


def test_a_request_may_take_longer_than_a_stuck_worker(start: Callable[..., Server]) -> None:
    server = start(SAGEMAKER_MODEL_SERVER_TIMEOUT="1")
    slow = SlowRequest(server)
    time.sleep(3)

    assert slow.finish()[0] == 200
