"""``openfm serve`` with a model that is named: as people start it, in a process group as a terminal has it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from openfm.artifact import Model
from openfm.fm.model import FactorizationMachine, PredictorType
from support.documents import needs_curl
from support.servers import environment


@pytest.fixture(scope="module")
def model() -> Model:
    machine = FactorizationMachine(0.5, [0, 1, 2, 0], np.zeros((4, 2)), PredictorType.REGRESSOR)
    return Model(machine)


@contextlib.contextmanager
def started(folder: Path, *arguments: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "openfm", "serve", *arguments],
        cwd=folder,
        env=environment(folder / "nowhere", **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def announced(process: subprocess.Popen[str]) -> str:
    """What is printed when the server listens: up to the empty line after the example."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(4)]
    assert all(lines), process.communicate()
    return "".join(lines)


def wait_until_answered(port: int) -> None:
    """A worker that is still being started might miss a signal."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200


@needs_curl
@pytest.mark.parametrize("name", ["model.tar.gz", "model_algo-1", "mine", "."])
def test_the_example_that_is_printed_is_answered(tmp_path: Path, model: Model, name: str) -> None:
    model.save(tmp_path / ("model_algo-1" if name == "." else name))
    with started(tmp_path, name, "--port", "0") as process:
        printed = announced(process)
        assert re.match(
            rf"Serving {re.escape(name)} \(regressor, 4 features\) at http://127\.0\.0\.1:\d+; Ctrl-C", printed
        )
        command = shlex.split(printed[printed.index("curl") :].replace("\\\n", ""))
        answer = subprocess.run([*command, "--silent"], capture_output=True, text=True, timeout=120, check=True)
        assert json.loads(answer.stdout) == {"predictions": [{"score": 3.5}]}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(tmp_path: Path, model: Model, number: signal.Signals) -> None:
    model.save(tmp_path / "model.tar.gz")
    with started(tmp_path, "model.tar.gz", "--port", "0", NUM_WORKERS="1") as process:
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", announced(process))[0])
        wait_until_answered(port)
        os.killpg(process.pid, number)  # as a terminal does: the workers get it too
        rest, log = process.communicate(timeout=120)
        assert (process.returncode, rest, log) == (0, "", "")


def test_the_address_may_be_chosen_without_a_model_too(tmp_path: Path, model: Model) -> None:
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    with started(tmp_path, "--host", "127.0.0.2", "--port", "0", SAGEMAKER_BASE_DIR=str(tmp_path)) as process:
        assert process.stderr is not None
        assert re.search(r"on 127\.0\.0\.2 port [1-9]", process.stderr.readline())


def test_with_neither_a_model_nor_a_tree_both_forms_are_shown(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        printed, log = process.communicate(timeout=120)
        assert (process.returncode, printed) == (2, "")
        assert "openfm serve model.tar.gz" in log
        assert "SAGEMAKER_BASE_DIR" in log
        assert len(log.splitlines()) == 1


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [("missing.tar.gz", "Path 'missing.tar.gz' does not exist."), ("data.csv", "cannot load data.csv: ")],
)
def test_what_is_no_model(tmp_path: Path, argument: str, sentence: str) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    with started(tmp_path, argument) as process:
        _, log = process.communicate(timeout=120)
        assert process.returncode == 2
        assert sentence in log
