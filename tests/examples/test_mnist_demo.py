from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import mnist_demo
from datasets import Split
from mnist_demo import AMAZON, DemoError, DockerImage, InstalledCommand, evaluate
from support.documents import needs_curl, run_bash, serving
from support.ports import free_port


@pytest.fixture
def small_demo(mnist: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo on 2000 and 500 images, in a folder of its own, which is the current one."""
    X_train, y_train, X_test, y_test = mnist
    small = Split(X_train[:2000], y_train[:2000], X_test[:500], y_test[:500])
    monkeypatch.setattr(mnist_demo, "load_mnist", lambda: small)
    monkeypatch.setattr(mnist_demo, "DEMO", tmp_path / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_curl
def test_demo_runs_and_its_last_commands_score_a_digit(small_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist_demo.run(InstalledCommand())
    printed = capsys.readouterr().out
    counts = re.findall(r"^(?:true|false) (?:posi|nega)tives(.*)$", printed, re.MULTILINE)
    columns = np.array([line.split() for line in counts], int)
    assert columns[:, 0].tolist() == [951, 165, 29, 8855]
    assert columns[:, 1:].sum(axis=0).tolist() == [500, 500, 500]

    port = free_port()
    serve, curl = re.findall(r"^    (\S.*)$", printed, re.MULTILINE)
    with serving(serve, small_demo, port):
        answer = json.loads(run_bash(curl, small_demo, port))
    assert answer["predictions"][0].keys() == {"score", "predicted_label"}


def test_failing_job_shows_the_end_of_its_log(small_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mnist_demo.NOTEBOOK_HYPERPARAMETERS, "feature_dim", "783")
    with pytest.raises(DemoError, match=r"(?s)openfm train exited with 2.*ClientError:.*feature_dim"):
        mnist_demo.run(InstalledCommand())


def test_docker_commands_run_as_this_user_and_publish_on_loopback() -> None:
    runner = DockerImage("some/image")
    command = runner._command(Path("/tree"), "serve", "--publish=127.0.0.1:1234:8080")
    assert command[-2:] == ["some/image", "serve"]
    assert "--volume=/tree:/opt/ml" in command
    assert any(re.fullmatch(r"--user=\d+:\d+", word) for word in command)


def test_evaluate_counts() -> None:
    scores = np.array([0.9, 0.5, 0.4, 0.1, 0.2])
    labels = np.array([1, 0, 1, 0, 0], np.float32)
    outcome = evaluate(scores, labels, training_seconds=1.0, request_seconds=2.0)
    assert outcome.true_positives == outcome.false_positives == outcome.false_negatives == 1
    assert outcome.true_negatives == 2
    assert outcome.accuracy == 0.6
    assert outcome.precision == outcome.recall == outcome.f1 == 0.5
    expected = -np.mean(np.log([0.9, 0.5, 0.4, 0.9, 0.8]))
    assert outcome.log_loss == pytest.approx(expected, abs=1e-7)


def test_evaluate_stays_finite_when_a_score_is_certain_and_wrong() -> None:
    outcome = evaluate(np.array([0.0, 1.0]), np.array([1, 0], np.float32), 0.0, 0.0)
    assert outcome.log_loss == pytest.approx(-np.log(1e-8))
    assert outcome.precision == outcome.recall == outcome.f1 == 0.0


def test_notebook_figures() -> None:
    assert AMAZON.accuracy == pytest.approx(0.9806)
    assert AMAZON.f1 == pytest.approx(0.907, abs=5e-4)
