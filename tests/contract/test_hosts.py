"""Jobs of several hosts: what they train together is what one host trains on the data of all.

The hosts are threads of this process here; tests/unit/training/hosts and tests/container have the real engine.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import openfm
from openfm.contract.hyperparameters import Hyperparameters
from openfm.errors import AlgorithmError, ChannelError, CustomerError, DataError, PlatformError
from openfm.fm.matrices import as_rows
from openfm.fm.trainer import Trainer
from openfm.training.hosts import steps
from openfm.training.stop import StopRequest
from support.hosts import all_well, train_together
from support.jobs import logged_metrics, make_job, run_job
from support.pipes import PipeFeeder

ROWS, DIM, BATCH = 330, 40, 16
HYPERPARAMETERS = {
    "feature_dim": DIM,
    "num_factors": 5,
    "predictor_type": "binary_classifier",
    "mini_batch_size": BATCH,
    "epochs": 3,
    "factors_lr": 0.01,
    "linear_lr": 0.01,
    "bias_lr": 0.01,
}
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Data:
    """Sparse rows of which some are empty; the labels depend on two features."""
    rng = np.random.default_rng(0)
    X = ((rng.random((ROWS, DIM)) < 0.2) * rng.normal(1, 0.5, (ROWS, DIM))).astype(np.float32)
    X[::50] = 0
    return X, (X[:, 0] + X[:, 1] > 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def test_data(data) -> Data:
    return data[0][::-1][:100].copy(), data[1][::-1][:100].copy()


def make_hosts(folder: Path, count: int, data: Data, test=None, *, dense=False, **changes) -> list[Path]:
    """A tree for each host, each with all data."""
    return [make_job(folder / f"host-{i}", HYPERPARAMETERS | changes, data, test, dense=dense) for i in range(count)]


def make_shards(folder: Path, shards: list[Data | None], *, test=None, **changes) -> list[Path]:
    """A tree for each host, each with its shard; None: there is no channel ``train`` at all."""
    bases = []
    for i, shard in enumerate(shards):
        bases.append(make_job(folder / f"host-{i}", HYPERPARAMETERS | changes, shard, test, dense=False))
        configure(bases[-1], train={"S3DistributionType": "ShardedByS3Key"})
    return bases


def configure(base: Path, **channels) -> None:
    (base / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(channels))


def dealt(data: Data, hosts: int) -> list[Data]:
    """Shards that take the batches of the data in turn."""
    owner = np.arange(len(data[1])) // BATCH % hosts
    return [(data[0][owner == i], data[1][owner == i]) for i in range(hosts)]


def alone(folder: Path, data: Data, test=None, *, hosts=1, dense=False, **changes):
    """A job of one host with all data and the batches of so many hosts; its log."""
    changes = {"mini_batch_size": BATCH * hosts} | changes
    base = make_job(folder / "alone", HYPERPARAMETERS | changes, data, test, dense=dense)
    result = run_job(base, OPENFM_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr
    return base, result.stdout


def model_bytes(base: Path) -> bytes:
    return (base / "model" / "model_algo-1").read_bytes()


def params_bytes(base: Path) -> bytes:
    """Without the hyperparameters, which tell the size of the batches."""
    with zipfile.ZipFile(base / "model" / "model_algo-1") as archive:
        return archive.read("params")


def assert_same_model(base: Path, other: Path, *, rounding: float = 1e-5) -> None:
    ours, theirs = (openfm.load_model(path / "model" / "model_algo-1") for path in (base, other))
    assert ours.bias == pytest.approx(theirs.bias, abs=rounding)
    np.testing.assert_allclose(ours.linear, theirs.linear, atol=rounding)
    np.testing.assert_allclose(ours.factors, theirs.factors, atol=rounding)


def assert_same_metrics(log: str, other: str) -> None:
    ours, theirs = logged_metrics(log), logged_metrics(other)
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert ours[key] == pytest.approx(value, rel=1e-5), key


@pytest.mark.parametrize("hosts", [2, 3])
@pytest.mark.parametrize("predictor_type", ["binary_classifier", "regressor"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_hosts_that_have_all_data_train_what_one_does(tmp_path, capfd, data, test_data, hosts, predictor_type, shuffle):
    changes = {"predictor_type": predictor_type} | ({"shuffle": "true"} if shuffle else {})
    expected, log = alone(tmp_path, data, test_data, hosts=hosts, **changes)
    bases = make_hosts(tmp_path, hosts, data, test_data, **changes)
    all_well(train_together(bases))
    assert_same_model(bases[0], expected)
    assert_same_metrics(capfd.readouterr().out, log)
    assert not any((base / "model" / "model_algo-1").exists() for base in bases[1:])


@pytest.mark.parametrize("hosts", [2, 3])
def test_shards_train_what_one_host_does_on_their_interleaved_data(tmp_path, capfd, data, test_data, hosts):
    expected, log = alone(tmp_path, data, test_data, hosts=hosts)
    bases = make_shards(tmp_path, dealt(data, hosts), test=test_data)
    all_well(train_together(bases))
    assert_same_model(bases[0], expected)
    assert_same_metrics(capfd.readouterr().out, log)


@pytest.mark.parametrize("hosts", [2, 3])
@pytest.mark.parametrize("predictor_type", ["binary_classifier", "regressor"])
def test_movielens(tmp_path, movielens, hosts, predictor_type):
    labels = movielens.y_train if predictor_type == "regressor" else (movielens.y_train >= 4).astype(np.float32)
    given = {"feature_dim": 2625, "num_factors": 16, "epochs": 5, "predictor_type": predictor_type}  # and the defaults
    data = movielens.X_train, labels
    expected = make_job(tmp_path / "alone", given | {"mini_batch_size": 300 * hosts}, data)
    assert run_job(expected, OPENFM_NUM_THREADS="1").returncode == 0
    bases = [make_job(tmp_path / f"host-{i}", given | {"mini_batch_size": 300}, data) for i in range(hosts)]
    all_well(train_together(bases, OPENFM_NUM_THREADS="1"))
    assert_same_model(bases[0], expected)


@pytest.mark.parametrize("changes", [{}, {"dense_network": "amazon"}, {"clip_gradient": 0.01}], ids=str)
def test_dense_records(tmp_path, data, changes):
    dense = data[0] + np.float32(0.1), data[1]
    expected, _ = alone(tmp_path, dense, hosts=2, dense=True, **changes)
    bases = make_hosts(tmp_path, 2, dense, dense=True, **changes)
    all_well(train_together(bases))
    # Amazon's dense network learns fast: its parameters become as large as 20.
    assert_same_model(bases[0], expected, rounding=1e-3 if "dense_network" in changes else 1e-5)


def test_equal_jobs_give_equal_bytes_whatever_the_threads_and_the_cache(tmp_path, data, test_data):
    models = set()
    for name, environ in [("a", {}), ("b", {}), ("c", {"OPENFM_NUM_THREADS": "2", "OPENFM_CACHE_BYTES": "5000"})]:
        bases = make_hosts(tmp_path / name, 3, data, test_data)
        all_well(train_together(bases, **environ))
        models.add(model_bytes(bases[0]))
    assert len(models) == 1


@pytest.mark.parametrize("gone", [None, "folder", "file"])
def test_a_host_without_records_adds_nothing(tmp_path, data, gone):
    """With a bias that does not learn, the padding of the last step changes nothing either."""
    whole = data[0][: 20 * BATCH], data[1][: 20 * BATCH]
    changes = {"bias_lr": 0.0}
    expected, _ = alone(tmp_path, whole, rescale_grad=1 / (2 * BATCH), **changes)
    nothing = (np.empty((0, DIM), np.float32), np.empty(0, np.float32)) if gone == "file" else None
    bases = make_shards(tmp_path, [nothing, whole], **changes)
    if gone == "folder":
        (bases[0] / "input" / "data" / "train").mkdir(parents=True)
    all_well(train_together(bases))
    assert params_bytes(bases[0]) == params_bytes(expected)


def test_a_longer_shard_goes_on_alone(tmp_path, data):
    """10 steps of two hosts, then 10 of one, all divided by the records of two."""
    long, short = [(data[0][: n * BATCH], data[1][: n * BATCH]) for n in (20, 10)]
    changes = {"bias_lr": 0.0, "epochs": 1}  # so that the padding of the last step changes nothing
    bases = make_shards(tmp_path, [short, long], **changes)
    all_well(train_together(bases))
    given = {name: str(value) for name, value in (HYPERPARAMETERS | changes).items()}
    settings = replace(Hyperparameters.parse(given).training_settings(), rescale_grad=1 / (2 * BATCH))
    both, one = Trainer(replace(settings, mini_batch_size=2 * BATCH)), Trainer(settings)
    interleaved = [np.concatenate(column) for column in zip(*([short] * 2), strict=True)]
    order = np.argsort(np.tile(np.arange(10 * BATCH) // BATCH, 2), kind="stable")
    both.train(both.batches(as_rows(interleaved[0][order], DIM), interleaved[1][order]))
    one.restore(both.state())
    one.train(one.batches(as_rows(long[0][10 * BATCH :], DIM), long[1][10 * BATCH :]))
    model = openfm.load_model(bases[0] / "model" / "model_algo-1")
    np.testing.assert_allclose(model.linear, one.parameters()[1], atol=1e-5)
    np.testing.assert_allclose(model.factors, one.parameters()[2], atol=1e-5)


def test_no_records_anywhere(tmp_path, data):
    bases = make_shards(tmp_path, [None, None])
    for error in train_together(bases):
        assert isinstance(error, ChannelError)
        assert "The channel 'train' is missing" in str(error)
    empty = np.empty((0, DIM), np.float32), np.empty(0, np.float32)
    for error in train_together(make_shards(tmp_path / "empty", [empty, empty])):
        assert isinstance(error, ChannelError)
        assert "holds no data" in str(error)


def test_hosts_that_should_have_the_same_files_and_do_not(tmp_path, data):
    bases = make_hosts(tmp_path, 3, data)
    openfm.write_records(bases[2] / "input" / "data" / "train" / "part-1.pbr", data[0][:1], data[1][:1], dense=False)
    for error in train_together(bases):
        assert isinstance(error, ChannelError)
        assert "other files on host 'algo-3' than on 'algo-1'" in str(error)
        assert "ShardedByS3Key" in str(error)


def test_hosts_with_other_hyperparameters(tmp_path, data):
    bases = make_hosts(tmp_path, 2, data)
    shutil.copy(
        make_hosts(tmp_path / "o", 1, data, epochs=4)[0] / "input/config/hyperparameters.json",
        bases[1] / "input/config",
    )
    for error in train_together(bases):
        assert isinstance(error, CustomerError)
        assert "'algo-2' has other hyperparameters than 'algo-1'" in str(error)


def feed(base: Path, count: int) -> PipeFeeder:
    """The files of the channel ``train`` by FIFOs."""
    folder = base / "input" / "data" / "train"
    objects = [file.read_bytes() for file in sorted(folder.iterdir())]
    shutil.rmtree(folder)
    configure(base, train={"TrainingInputMode": "Pipe"})
    return PipeFeeder(folder, objects, passes=count)


def test_pipes(tmp_path, data):
    expected, _ = alone(tmp_path, data, hosts=2)
    bases = make_hosts(tmp_path, 2, data)
    with feed(bases[0], 3), feed(bases[1], 3):
        all_well(train_together(bases))
    assert_same_model(bases[0], expected)


def test_pipes_that_give_hosts_different_numbers_of_records(tmp_path, data):
    bases = make_hosts(tmp_path, 1, data) + make_hosts(tmp_path / "shorter", 1, (data[0][:-1], data[1][:-1]))
    with feed(bases[0], 3), feed(bases[1], 3):
        results = train_together(bases)
    for error in results:
        assert isinstance(error, DataError)
        assert "In epoch 0 host 'algo-2' read another number of records" in str(error)


def test_replicas_that_differ_stop_the_job(tmp_path, data, monkeypatch):
    checksums = iter(range(100))
    original = steps.parameters_checksum
    monkeypatch.setattr(
        steps, "parameters_checksum", lambda trainer: original(trainer) if next(checksums) < 4 else next(checksums)
    )
    for error in train_together(make_hosts(tmp_path, 2, data)):
        assert isinstance(error, AlgorithmError)
        assert "After epoch 2 the parameters on host 'algo-2' differ from those on 'algo-1'" in str(error)


class StopsAt(StopRequest):
    """Asked to stop when it has been looked at so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    @property
    def requested(self) -> bool:
        self._looks -= 1
        return self._looks < 0

    @requested.setter
    def requested(self, value: bool) -> None:
        if value:
            self._looks = 0


@pytest.mark.parametrize("looks", [0, 1, 6, 13, 20])
@pytest.mark.parametrize("stopped", [0, 1, 2])
def test_a_job_that_is_stopped_goes_on_as_if_it_had_not_been(tmp_path, capfd, data, test_data, stopped, looks):
    undisturbed = make_hosts(tmp_path / "undisturbed", 3, data, test_data)
    all_well(train_together(undisturbed))
    bases = make_hosts(tmp_path, 3, data, test_data)
    (bases[0] / "checkpoints").mkdir()
    capfd.readouterr()
    stops = [StopsAt(looks) if i == stopped else StopRequest() for i in range(3)]
    all_well(train_together(bases, stops))
    assert "Stopped on request" in capfd.readouterr().out
    openfm.load_model(bases[0] / "model" / "model_algo-1")
    has_trained = any((bases[0] / "checkpoints").iterdir())
    assert has_trained == (looks > 1)
    all_well(train_together(bases))
    assert model_bytes(bases[0]) == model_bytes(undisturbed[0])
    assert ("Resuming from a checkpoint" in capfd.readouterr().out) == has_trained


def test_checkpoints_within_an_epoch(tmp_path, data):
    undisturbed = make_hosts(tmp_path / "undisturbed", 2, data)
    all_well(train_together(undisturbed))
    bases = make_hosts(tmp_path, 2, data)
    for base in bases:
        (base / "checkpoints").mkdir()
    all_well(train_together(bases, OPENFM_CHECKPOINT_SECONDS="0.000001"))
    assert list((bases[1] / "checkpoints").iterdir()) == []
    kept = sorted((bases[0] / "checkpoints").iterdir())
    assert len(kept) == 5
    for last in kept[3:]:
        last.unlink()
    all_well(train_together(bases))
    assert model_bytes(bases[0]) == model_bytes(undisturbed[0])


def test_early_stopping_watches_all_hosts_records(tmp_path, capfd, data, test_data):
    changes = {"early_stopping_patience": 1, "epochs": 60, "factors_lr": 0.1}
    validation = 1 - test_data[1]  # gets worse
    folders = [tmp_path / "alone", *(tmp_path / f"host-{i}" for i in range(2))]
    for folder in folders:
        (folder / "input/data/validation").mkdir(parents=True)
        openfm.write_records(folder / "input/data/validation/part-0.pbr", test_data[0], validation, dense=False)
        (folder / "input/data/train").mkdir()
    shutil.rmtree(tmp_path / "host-1/input/data/validation")

    def job(base, **more):
        config = base / "input/config"
        config.mkdir()
        content = {k: str(v) for k, v in (HYPERPARAMETERS | changes | more).items()}
        (config / "hyperparameters.json").write_text(json.dumps(content))
        openfm.write_records(base / "input/data/train/part-0.pbr", *data, dense=False)
        configure(base, validation={"S3DistributionType": "ShardedByS3Key"})
        return base

    result = run_job(job(folders[0], mini_batch_size=2 * BATCH))
    assert "Stopped early" in result.stdout, result.stderr
    bases = [job(folder) for folder in folders[1:]]
    all_well(train_together(bases))
    log = capfd.readouterr().out
    assert log.count("Stopped early") == 2
    assert_same_metrics(log, result.stdout)
    assert_same_model(bases[0], folders[0])


def test_training_goes_on_from_a_model_that_any_host_has(tmp_path, data):
    given, _ = alone(tmp_path / "given", data)
    expected = make_job(tmp_path / "expected", HYPERPARAMETERS | {"mini_batch_size": 2 * BATCH}, data, dense=False)
    bases = make_hosts(tmp_path, 2, data)
    for base in (expected, bases[1]):
        (base / "input/data/model").mkdir()
        shutil.copy(given / "model/model_algo-1", base / "input/data/model")
    assert run_job(expected).returncode == 0
    all_well(train_together(bases))
    assert_same_model(bases[0], expected)


def test_a_host_that_fails_ends_the_others(tmp_path, data):
    bases = make_hosts(tmp_path, 3, data)
    # As many bytes, but a label that is neither 0 nor 1, after some steps.
    wrong = np.where(np.arange(ROWS) == ROWS - 1, np.float32(7), data[1])
    openfm.write_records(bases[1] / "input/data/train/part-0.pbr", data[0], wrong, dense=False)
    results = train_together(bases)
    assert isinstance(results[1], DataError)
    for other in (results[0], results[2]):
        assert isinstance(other, PlatformError)


@pytest.mark.parametrize("dim", [3_000, 300_000])
def test_little_more_travels_than_the_gradients_of_what_occurs(tmp_path, dim):
    """With features as rare as those of clicks, and with frequent ones."""
    rows, fields, factors, batch = 2000, 39, 16, 200
    rng = np.random.default_rng(0)
    width = dim // fields
    keys = (rng.random((rows, fields)) ** 4 * width).astype(np.int64) + np.arange(fields) * width
    X = csr_matrix((np.ones(keys.size, np.float32), keys.reshape(-1), np.arange(rows + 1) * fields), shape=(rows, dim))
    y = rng.integers(0, 2, rows).astype(np.float32)
    changes = {"feature_dim": dim, "num_factors": factors, "mini_batch_size": batch, "epochs": 1}
    bases = [make_job(tmp_path / f"host-{i}", HYPERPARAMETERS | changes, (X, y)) for i in range(2)]
    occurring = sum(len(np.unique(keys[begin : begin + 2 * batch])) for begin in range(0, rows, 2 * batch))
    least = occurring * 4 * (factors + 1)
    assert least < all_well(train_together(bases))[0] < 1.2 * least


def test_other_hosts_say_less(tmp_path, capfd, data, test_data):
    all_well(train_together(make_hosts(tmp_path, 2, data, test_data)))
    log = capfd.readouterr().out
    assert "host=algo-1" in log
    assert "host=algo-2" not in log
    assert log.count('"totaltime"') == 1
    assert log.count("Saved model") == 1
