"""Weights of records in a job: each multiplies its record's gradient, wherever the record comes from."""

from __future__ import annotations

import gzip
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import openfm
from openfm.contract.hyperparameters import DenseNetwork
from openfm.data.channel import find_channel
from openfm.data.reader import ChannelReader
from openfm.fm.initializers import Initializer
from openfm.fm.matrices import as_rows
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings
from openfm.fm.trainer import Trainer
from openfm.native import _core
from openfm.training.data import TrainingData
from support.jobs import logged_metrics, make_job, run_job
from support.pipes import PipeFeeder

DIM, ROWS, EPOCHS = 20, 330, 3
ALL = 10**9
RNG = np.random.default_rng(11)
X = ((RNG.random((ROWS, DIM)) < 0.3) * RNG.normal(size=(ROWS, DIM))).astype(np.float32)
Y = RNG.integers(0, 2, ROWS).astype(np.float32)
WEIGHTS = RNG.choice(np.float32([0, 0.25, 1, 3]), ROWS)


def settings(batch_size: int = 32, **changes) -> TrainingSettings:
    group = GroupSettings(learning_rate=0.05, weight_decay=0.001, initializer=Initializer("normal", 0.1))
    return TrainingSettings(
        predictor_type=PredictorType.BINARY_CLASSIFIER,
        feature_dim=DIM,
        num_factors=4,
        mini_batch_size=batch_size,
        epochs=EPOCHS,
        bias=group,
        linear=group,
        factors=group,
        **changes,
    )


def records(X, y, weights=None, *, dense: bool = False) -> bytes:
    file = io.BytesIO()
    openfm.write_records(file, X, y, dense=dense, weights=weights)
    return file.getvalue()


def put(folder: Path, *files: bytes) -> Path:
    (folder / "train").mkdir(parents=True)
    for number, content in enumerate(files):
        (folder / "train" / f"part-{number}").write_bytes(content)
    return folder


def train(folder: Path, settings: TrainingSettings, *, budget: int = ALL, pipes=(), **options) -> bytes:
    """The parameters after all epochs."""
    channel = find_channel(folder, ["train"], pipes=pipes)
    assert channel is not None
    threads = options.pop("threads", 2)
    trainer = Trainer(settings, threads=threads, instruction_set=options.pop("instruction_set", ""))
    reader = ChannelReader(channel, feature_dim=DIM, block_bytes=1500, threads=threads, **options)
    data = TrainingData(
        reader, settings=settings, trainer=trainer, network=DenseNetwork.DOCUMENTED, on_dense=lambda: None,
        cache_bytes=budget, threads=threads,
    )  # fmt: skip
    for epoch in range(EPOCHS):
        for block in data.epoch(epoch):
            trainer.train(block)
    return parameters_of(trainer)


def parameters_of(trainer: Trainer) -> bytes:
    bias, linear, factors = trainer.parameters()
    return np.float32(bias).tobytes() + linear.tobytes() + factors.tobytes()


def by_hand(X, y, weights, settings: TrainingSettings) -> bytes:
    """Trained on all rows given at once."""
    trainer = Trainer(settings)
    matrix = openfm.read_records(records(X, y), feature_dim=DIM)[0]
    block = trainer.batches(as_rows(matrix, DIM), y, weights)
    for _ in range(EPOCHS):
        trainer.train(block)
    return parameters_of(trainer)


@pytest.fixture(scope="module")
def expected() -> bytes:
    return by_hand(X, Y, WEIGHTS, settings())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("budget", [0, 9000, ALL])
@pytest.mark.parametrize("packed", [False, True])
def test_files_and_budgets_change_nothing(tmp_path, expected, budget, threads, packed):
    files = [records(X[a:b], Y[a:b], WEIGHTS[a:b]) for a, b in ((0, 100), (100, 101), (101, ROWS))]
    folder = put(tmp_path, *(gzip.compress(file) if packed else file for file in files))
    assert train(folder, settings(), budget=budget, threads=threads) == expected
    assert expected != by_hand(X, Y, None, settings())


@pytest.mark.parametrize("instruction_set", _core.instruction_sets())
def test_instruction_sets_change_nothing(tmp_path, expected, instruction_set):
    folder = put(tmp_path, records(X, Y, WEIGHTS))
    assert train(folder, settings(), instruction_set=instruction_set) == expected


def test_dense_records(tmp_path, expected):
    assert train(put(tmp_path, records(X, Y, WEIGHTS, dense=True)), settings()) == expected


def test_fifos(tmp_path, expected):
    with PipeFeeder(tmp_path / "train", [records(X, Y, WEIGHTS)], passes=EPOCHS):
        assert train(tmp_path, settings(), pipes=["train"]) == expected


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_other_formats(tmp_path, expected, format):
    (tmp_path / "train").mkdir()
    openfm.write_data(tmp_path / "train" / "a", X, Y, format=format, header=False, weights=WEIGHTS)
    weight = 1 if format == "csv" else "weight"
    assert train(tmp_path, settings(), format=format, weight=weight) == expected


def test_records_without_a_weight_have_one(tmp_path):
    """In one file, and in files beside it."""
    weights = np.where(np.arange(ROWS) < 200, np.float32(1), WEIGHTS)
    files = [records(X[a:b], Y[a:b], None if b <= 200 else weights[a:b]) for a, b in ((0, 50), (50, 200), (200, ROWS))]
    expected = by_hand(X, Y, weights, settings())
    assert train(put(tmp_path / "joined", b"".join(files)), settings()) == expected
    assert train(put(tmp_path / "apart", *files), settings()) == expected
    assert train(put(tmp_path / "small", *files), settings(), budget=5000) == expected


def test_shuffled_rows_keep_their_weights(tmp_path):
    shuffled = settings(shuffle=True)
    # The records' labels tell their weights.
    weights = np.where(Y == 1, np.float32(3), np.float32(1))
    weighted = train(put(tmp_path / "weights", records(X, Y, weights)), shuffled)
    assert weighted == train(put(tmp_path / "labels", records(X, Y)), replace(shuffled, positive_weight=3.0))


def test_a_weight_of_two_is_twice_the_gradient(tmp_path):
    whole = settings(batch_size=33)  # no batch is padded with rows, which have no weight
    twice = train(put(tmp_path / "twice", records(X, Y, np.full(ROWS, 2))), whole)
    assert twice == train(put(tmp_path / "once", records(X, Y)), replace(whole, rescale_grad=2 / 33))


def test_a_weight_of_two_is_a_record_twice(tmp_path):
    """But for the divisor, which counts each record once, and the order of the sum."""
    weights = np.where(np.arange(ROWS) % 2 == 0, np.float32(2), np.float32(1))
    counts = weights.astype(int)
    one_batch = settings(batch_size=ROWS)
    weighted = train(put(tmp_path / "weights", records(X, Y, weights)), one_batch)
    repeated = train(
        put(tmp_path / "repeated", records(np.repeat(X, counts, axis=0), np.repeat(Y, counts))),
        replace(one_batch, mini_batch_size=int(counts.sum()), rescale_grad=1 / ROWS),
    )
    np.testing.assert_allclose(np.frombuffer(weighted, "f4"), np.frombuffer(repeated, "f4"), rtol=1e-4, atol=1e-6)


def test_a_weight_of_zero_takes_a_records_gradient_away(tmp_path):
    """Its features occur, as those of any record do; what it says of them does not matter."""
    without = WEIGHTS == 0
    others = np.where(without[:, None], X * np.float32(-3), X)
    first = train(put(tmp_path / "a", records(X, Y, WEIGHTS)), settings())
    assert first == train(put(tmp_path / "b", records(others, np.where(without, 1 - Y, Y), WEIGHTS)), settings())
    assert first != train(put(tmp_path / "c", records(others, Y, np.ones(ROWS))), settings())


def test_metrics_count_each_record_once(tmp_path):
    hyperparameters = {
        "feature_dim": DIM, "num_factors": 3, "predictor_type": "binary_classifier", "epochs": 1,
        "mini_batch_size": ROWS,
    }  # fmt: skip
    logs = []
    for name, weights in (("weighted", WEIGHTS * 100), ("plain", None)):
        base = make_job(tmp_path / name, hyperparameters, (X, Y), (X, Y))
        for channel in ("train", "test"):
            path = base / "input" / "data" / channel / "part-0.pbr"
            path.write_bytes(records(X, Y, weights))
        run = run_job(base)
        assert run.returncode == 0, run.stderr
        logs.append(logged_metrics(run.stdout))
    weighted, plain = logs
    trained = [key for key in weighted if key[0] == "train"]
    # All of the first epoch's one batch is predicted before it is trained on.
    assert trained and all(weighted[key] == plain[key] for key in trained)
    # The models differ, and so do their scores on the channel test, in which records have weights too.
    model = openfm.load_model(tmp_path / "weighted" / "model" / "model_algo-1")
    scores = model.predict(X)
    loss = -np.mean(np.where(Y == 1, np.log(scores), np.log(1 - scores)))
    assert weighted["test", None, None, "binary_classification_cross_entropy"] == pytest.approx(loss, rel=1e-4)


def test_a_broken_weight_ends_the_job(tmp_path):
    base = make_job(
        tmp_path, {"feature_dim": DIM, "num_factors": 3, "predictor_type": "binary_classifier"}, (X, Y), dense=False
    )
    path = base / "input" / "data" / "train" / "part-0.pbr"
    data = records(X, Y, np.full(ROWS, 7))
    path.write_bytes(data.replace(np.float32(7).tobytes(), np.float32(-7).tobytes()))

    run = run_job(base)

    assert run.returncode == 2
    assert re.search(r"Record 0 \(byte 0\) of '.*part-0.pbr' has the weight -7 in label 'weight'", run.stderr)
