"""Channels in formats other than recordIO-protobuf: the same model, and errors that say where."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import openfm
from support.jobs import logged_metrics, make_job, run_job

HYPERPARAMETERS = {
    "feature_dim": 12,
    "num_factors": 3,
    "predictor_type": "binary_classifier",
    "epochs": 2,
    "mini_batch_size": 50,
}
_RNG = np.random.default_rng(5)
X = csr_matrix(_RNG.random((230, 12), dtype=np.float32) * (_RNG.random((230, 12)) < 0.3))
Y = (np.arange(230) % 3 == 0).astype(np.float32)

FORMATS = {
    "text/csv": ("csv", {"header": False}),
    "text/csv; label_size=1": ("csv", {"header": False}),
    "text/libsvm; index-base=0": ("libsvm", {"index_base": 0}),
    "text/libsvm; index-base=1": ("libsvm", {"index_base": 1}),
    "application/x-parquet": ("parquet", {}),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same job in recordIO-protobuf."""
    base = make_job(tmp_path_factory.mktemp("records"), HYPERPARAMETERS, (X, Y), (X[:40], Y[:40]))
    run = run_job(base)
    assert run.returncode == 0, run.stderr
    (base / "log").write_text(run.stdout)
    return base


def job(base: Path, content_type: str, **config: str) -> Path:
    """A job whose channels state the content type and hold nothing yet."""
    folder = base / "input" / "config"
    folder.mkdir(parents=True)
    (folder / "hyperparameters.json").write_text(json.dumps({k: str(v) for k, v in HYPERPARAMETERS.items()}))
    channel = {"ContentType": content_type, **config}
    (folder / "inputdataconfig.json").write_text(json.dumps({"train": channel, "test": channel}))
    (base / "input" / "data").mkdir()
    return base


def put(base: Path, channel: str, name: str, X, y, content_type: str) -> None:
    folder = base / "input" / "data" / channel
    folder.mkdir(exist_ok=True)
    format, options = FORMATS[content_type]
    openfm.write_data(folder / name, X, y, format=format, **options)


def failure(base: Path) -> str:
    run = run_job(base)
    assert run.returncode == 2
    return (base / "output" / "failure").read_text()


@pytest.mark.parametrize("content_type", FORMATS)
def test_the_model_is_the_same(tmp_path: Path, reference: Path, content_type: str) -> None:
    base = job(tmp_path, content_type)
    put(base, "train", "part-0", X[:100], Y[:100], content_type)
    put(base, "train", "part-1", X[100:], Y[100:], content_type)
    put(base, "test", "part-0", X[:40], Y[:40], content_type)

    run = run_job(base)

    assert run.returncode == 0, run.stderr
    assert (base / "model" / "model_algo-1").read_bytes() == (reference / "model" / "model_algo-1").read_bytes()
    assert logged_metrics(run.stdout) == logged_metrics((reference / "log").read_text())


@pytest.mark.parametrize(
    ("content_type", "format", "options"),
    [
        ("text/csv; weight=1", "csv", {"header": False}),
        ("text/csv;label_size=1;weight=1", "csv", {"header": False}),
        ("application/x-parquet; weight=Shown", "parquet", {"weight": "Shown"}),
        ('Application/X-Parquet; Weight="Times shown"', "parquet", {"weight": "Times shown"}),
    ],
)
def test_a_column_of_weights(tmp_path: Path, content_type: str, format: str, options: dict) -> None:
    weights = np.where(np.arange(230) % 4 == 0, np.float32(2.5), np.float32(0.5))
    base = job(tmp_path / "columns", content_type)
    records = job(tmp_path / "records", "application/x-recordio-protobuf")
    for channel in ("train", "test"):
        (base / "input" / "data" / channel).mkdir()
        (records / "input" / "data" / channel).mkdir()
        openfm.write_data(base / "input/data" / channel / "part", X, Y, format=format, weights=weights, **options)
        openfm.write_records(records / "input/data" / channel / "part", X, Y, weights=weights)

    runs = [run_job(base), run_job(records)]

    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert (base / "model/model_algo-1").read_bytes() == (records / "model/model_algo-1").read_bytes()
    assert logged_metrics(runs[0].stdout) == logged_metrics(runs[1].stdout)


def test_text_comes_through_fifos(tmp_path: Path, reference: Path) -> None:
    base = job(tmp_path, "text/csv", TrainingInputMode="Pipe")
    put(base, "train", "whole", X, Y, "text/csv")
    text = (base / "input/data/train/whole").read_bytes()
    (base / "input/data/train/whole").unlink()
    (base / "input/data/train").rmdir()
    fifos = [base / "input" / "data" / f"train_{number}" for number in range(2)]
    for fifo in fifos:
        os.mkfifo(fifo)
    writers = [threading.Thread(target=fifo.write_bytes, args=(text,)) for fifo in fifos]
    (base / "input/config/inputdataconfig.json").write_text(
        json.dumps({"train": {"ContentType": "text/csv", "TrainingInputMode": "Pipe"}})
    )
    for writer in writers:
        writer.start()

    run = run_job(base)

    for writer in writers:
        writer.join()
    assert run.returncode == 0, run.stderr
    assert (base / "model" / "model_algo-1").read_bytes() == (reference / "model" / "model_algo-1").read_bytes()


@pytest.mark.parametrize(
    ("content_type", "text", "message"),
    [
        (
            "text/csv",
            "1" + ",0" * 12 + "\n1,x" + ",0" * 11,
            "Line 2, column 2 of '{}' holds 'x', which is not a number. Correct it, or turn the column into numbers.",
        ),
        ("text/csv", "label,f0\n1,2\n", "Line 1 of '{}' has 2 columns, where 13 are needed."),
        ("text/csv", "y" + ",f" * 12, "If this line names the columns, remove it"),
        ("text/libsvm; index-base=1", "1 1:1\n1 13:1\n", "Line 2 of '{}' has the index 13, but there are 12 features"),
        ("text/libsvm; index-base=1", "1 0:1\n", "Line 1 of '{}' has the index 0, but the first feature is said to be"),
        ("application/x-parquet", "PAR1 no parquet PAR1", "'{}' cannot be read as Parquet"),
        ("text/libsvm", "1 0:1\n", "Channel 'train' states text/libsvm without an index base"),
        (
            "text/csv; weight=1",
            "1,-2" + ",0" * 12,
            "Line 1, column 2 of '{}' holds '-2', where a weight of at least 0 is needed",
        ),
        ("text/csv; weight=0", "1\n", "Channel 'train' states text/csv with weight=0, but weight is the number of"),
        (f"text/csv; weight={'9' * 5000}", "1\n", "but weight is the number of"),
        ("text/csv; weight=w", "1\n", "Channel 'train' states text/csv with weight=w, but weight is the number of"),
        ("text/csv; weight=14", "1\n", "'{}' has 14 columns by its feature_dim, numbered from 0: none is number 14"),
        ("text/libsvm; index-base=0; weight=1", "1\n", "has the parameter 'weight=1', which is not known"),
    ],
)
def test_faults_name_channel_file_line_and_column(tmp_path: Path, content_type: str, text: str, message: str) -> None:
    base = job(tmp_path, content_type)
    path = base / "input" / "data" / "train"
    path.write_text(text)

    reason = failure(base)

    assert reason.startswith("ClientError: ")
    assert "channel 'train'" in reason.lower()
    assert message.format(path) in reason


@pytest.mark.parametrize("at", [0.3, 0.6])
def test_damaged_parquet_is_told_with_its_place(tmp_path: Path, at: float) -> None:
    base = job(tmp_path, "application/x-parquet")
    rng = np.random.default_rng(0)
    put(base, "train", "part-0", rng.random((50_000, 12)), rng.integers(0, 2, 50_000), "application/x-parquet")
    path = base / "input/data/train/part-0"
    data = bytearray(path.read_bytes())
    begin = int(len(data) * at)
    data[begin : begin + 100_000] = bytes(100_000)
    path.write_bytes(data)

    reason = failure(base)

    assert reason.startswith(f"ClientError: Unable to read data channel 'train'. '{path}' cannot be read as Parquet")
    assert reason.rstrip().endswith("Write the file again.")


def test_labels_are_checked_as_ever(tmp_path: Path) -> None:
    base = job(tmp_path, "text/csv")
    put(base, "train", "part-0", X, Y * 2, "text/csv")

    assert "Record 0 of channel 'train' has the label 2.0" in failure(base)


def test_parquet_does_not_come_through_fifos(tmp_path: Path) -> None:
    base = job(tmp_path, "application/x-parquet", TrainingInputMode="Pipe")

    assert "Channel 'train' is in Pipe mode, but parquet cannot be read from a FIFO" in failure(base)
