"""``openfm train`` in every input mode: the data decide what is learned, not the way they come."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack

import numpy as np
import pytest

import openfm
from support.jobs import logged_metrics, make_job, run_job
from support.pipes import PipeFeeder

HYPERPARAMETERS = {
    "feature_dim": 12,
    "num_factors": 3,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 50,
    "epochs": 3,
}
EPOCHS = HYPERPARAMETERS["epochs"]

WITH_OPENS = """
import os, re, sys

def note(path):
    if re.search(r"_[0-9]+$", str(path)):
        print("opened", path, file=sys.stderr)

def open_and_note(path, *arguments, _open=os.open, **options):
    file = _open(path, *arguments, **options)
    note(path)
    return file

os.open = open_and_note
sys.addaudithook(lambda event, arguments: event == "open" and arguments[1] is not None and note(arguments[0]))
from openfm.training.job import main
sys.exit(main(os.environ))
"""
"""``openfm train``, which tells of each opening of a FIFO, by ``os.open`` or otherwise."""


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = (rng.random((430, 12)) < 0.4).astype(np.float32)
    return X, X[:, 0]


@pytest.fixture(scope="module")
def file_mode(data, tmp_path_factory):
    """A job in File mode, done: its folder and its log."""
    base = make_job(tmp_path_factory.mktemp("file"), HYPERPARAMETERS, data, data, dense=False)
    done = run_job(base)
    assert done.returncode == 0
    return base, done.stdout


@pytest.fixture
def job(data, tmp_path):
    """The same job, not done, in a folder of its own."""
    return make_job(tmp_path / "job", HYPERPARAMETERS, data, data, dense=False)


def configure(base, **channels):
    (base / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(channels))


def take_away(base, channel) -> list[bytes]:
    """The channel's objects, which then are there no more."""
    folder = base / "input" / "data" / channel
    objects = [path.read_bytes() for path in sorted(folder.iterdir())]
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return objects


def fed(base, channel, **options) -> PipeFeeder:
    """Feeds the channel's objects through FIFOs instead."""
    return PipeFeeder(base / "input" / "data" / channel, take_away(base, channel), **options)


def model_of(base) -> bytes:
    return (base / "model" / "model_algo-1").read_bytes()


def test_pipe_mode_learns_the_same_and_opens_each_fifo_once(job, file_mode):
    configure(job, train={"TrainingInputMode": "Pipe"}, test={"TrainingInputMode": "Pipe"})
    with fed(job, "train", delay=0.02) as train, fed(job, "test", delay=0.02) as test:
        done = subprocess.run(
            [sys.executable, "-c", WITH_OPENS], env={"SAGEMAKER_BASE_DIR": str(job)}, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert model_of(job) == model_of(file_mode[0])
    assert logged_metrics(done.stdout) == logged_metrics(file_mode[1])
    opened = Counter(re.findall(r"opened .*/(\w+)", done.stderr))
    assert opened == {"train_0": 1, "train_1": 1, "train_2": 1, "test_0": 1}
    assert (len(train.read), len(test.read)) == (EPOCHS, 1)
    assert len({*train.read, *test.read}) == 1  # whole


@pytest.mark.parametrize("mode", [None, "File", "Pipe"])
def test_fifos_are_found_whatever_the_configuration_says(job, file_mode, mode):
    if mode:
        configure(job, train={"TrainingInputMode": mode, "RecordWrapperType": "None"})
    with ExitStack() as feeders:
        for channel in ("train", "test"):
            feeder = feeders.enter_context(fed(job, channel))
            while not feeder.path(0).exists():  # as on the platform, which makes the first ones before the start
                time.sleep(0.01)
        assert run_job(job).returncode == 0
    assert model_of(job) == model_of(file_mode[0])


def test_a_folder_is_read_though_the_configuration_says_pipe(job, file_mode):
    configure(job, train={"TrainingInputMode": "Pipe"}, test={"TrainingInputMode": "Pipe"})
    assert run_job(job).returncode == 0
    assert model_of(job) == model_of(file_mode[0])


def test_each_epoch_trains_on_its_own_fifo(data, tmp_path):
    """With no learning the metrics of an epoch tell what it read."""
    still = HYPERPARAMETERS | {"bias_lr": 0, "linear_lr": 0, "factors_lr": 0, "epochs": 2}
    X, y = data
    files = [make_job(tmp_path / str(number), still, (X, labels)) for number, labels in enumerate((y, 1 - y))]
    logs = [logged_metrics(run_job(base).stdout) for base in files]
    passes = [take_away(base, "train") for base in files]
    base = files[0]
    with PipeFeeder(base / "input" / "data" / "train", lambda number: passes[number], passes=2) as feeder:
        while not feeder.path(0).exists():
            time.sleep(0.01)
        both = logged_metrics(run_job(base).stdout)
    for epoch in range(2):
        own = {key: value for key, value in both.items() if key[1] == epoch}
        assert own
        assert own == {key: value for key, value in logs[epoch].items() if key[1] == epoch}
    assert logs[0] != logs[1]


def test_shuffle_takes_each_fifo_in_an_order_of_its_own(data, tmp_path):
    models = []
    for name in ("files", "pipes"):
        base = make_job(tmp_path / name, HYPERPARAMETERS | {"shuffle": "true"}, data)
        with ExitStack() as feeders:
            if name == "pipes":
                configure(base, train={"TrainingInputMode": "Pipe"})
                feeder = feeders.enter_context(fed(base, "train"))
            assert run_job(base).returncode == 0
        models.append(model_of(base))
    assert models[0] == models[1]
    assert len(feeder.read) == EPOCHS


class TestStop:
    """SIGTERM ends a job in time, whatever its FIFOs do."""

    def stop(self, base, line, until=lambda: time.sleep(0.2)) -> str:
        """Stops the job some time after a line of its log: what it logs from there on."""
        command = [sys.executable, "-m", "openfm", "train"]
        environ = {"SAGEMAKER_BASE_DIR": str(base), "PATH": os.environ["PATH"]}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
            assert any(line in logged for logged in process.stdout)
            until()
            process.send_signal(signal.SIGTERM)
            begin = time.monotonic()
            log = process.stdout.read()
            assert process.wait(timeout=60) == 0
            assert time.monotonic() - begin < 20
        assert not (base / "output" / "failure").exists()
        return log

    def test_while_the_first_fifo_is_not_there(self, job):
        configure(job, train={"TrainingInputMode": "Pipe"})
        take_away(job, "train")
        assert "Stopped on request" in self.stop(job, "initialize.time")
        assert openfm.load_model(job / "model").feature_dim == 12

    def test_while_the_next_fifo_is_not_there(self, data, job, tmp_path):
        configure(job, train={"TrainingInputMode": "Pipe"})
        with fed(job, "train", passes=1):
            self.stop(job, "epoch=0, train")
        one_epoch = make_job(tmp_path / "one", HYPERPARAMETERS | {"epochs": 1}, data, dense=False)
        assert run_job(one_epoch).returncode == 0
        models = [openfm.load_model(base / "model") for base in (job, one_epoch)]
        assert models[0].factors.tobytes() == models[1].factors.tobytes()

    def test_while_data_trickle(self, job):
        configure(job, train={"TrainingInputMode": "Pipe"})
        objects = take_away(job, "train")
        with PipeFeeder(job / "input" / "data" / "train", objects, chunk=10, pause=0.01) as feeder:
            self.stop(job, "initialize.time", until=lambda: feeder.has_reader.wait(60))
        assert 0 < feeder.read[0] < sum(map(len, objects))

    def test_while_the_test_data_do_not_come(self, job, file_mode):
        configure(job, test={"TrainingInputMode": "Pipe"})
        take_away(job, "test")
        assert "Stopped on request while channel 'test' was scored" in self.stop(job, "finalize.time")
        assert model_of(job) == model_of(file_mode[0])


class TestFailures:
    def fail(self, base, exit_code, **environ) -> str:
        done = run_job(base, **environ)
        failure = (base / "output" / "failure").read_text()
        assert done.returncode == exit_code
        assert done.stderr.startswith(failure.splitlines()[0])
        return failure

    def test_a_fifo_that_never_comes(self, job):
        configure(job, train={"TrainingInputMode": "Pipe"})
        with fed(job, "train", passes=1):
            failure = self.fail(job, 3, OPENFM_PIPE_TIMEOUT="5")
        fifo = job / "input" / "data" / "train_1"
        assert failure.startswith(
            f"PlatformError: Channel 'train' is read in Pipe mode, but the FIFO '{fifo}' did not appear within 5 sec"
        )
        assert not (job / "model" / "model_algo-1").exists()

    def test_a_writer_that_dies(self, job):
        configure(job, train={"TrainingInputMode": "Pipe"})
        objects = take_away(job, "train")
        with PipeFeeder(job / "input" / "data" / "train", [objects[0][:-3]], passes=1):
            failure = self.fail(job, 2)
        assert re.match(r"ClientError: .*Record 429 \(byte \d+\) of '.*/train_0' is cut off", failure)

    def test_an_empty_fifo(self, job):
        configure(job, train={"TrainingInputMode": "Pipe"})
        take_away(job, "train")
        with PipeFeeder(job / "input" / "data" / "train", [], passes=1):
            assert self.fail(job, 2).startswith("ClientError: Channel 'train' holds no records.")

    def test_an_empty_shard(self, job):
        configure(job, train={"TrainingInputMode": "File", "S3DistributionType": "ShardedByS3Key"})
        take_away(job, "train")
        (job / "input" / "data" / "train").mkdir()
        assert re.match(r"ClientError: Data channel 'train' \('.*'\) holds no data\.", self.fail(job, 2))

    def test_a_gzip_file_that_is_cut_off(self, job):
        path = next((job / "input" / "data" / "train").iterdir())
        path.write_bytes(gzip.compress(path.read_bytes())[:-9])
        assert f"The gzip file '{path}' is cut off" in self.fail(job, 2)


def test_gzip_files_learn_the_same(job, data, file_mode):
    X, y = data
    folder = job / "input" / "data" / "train"
    take_away(job, "train")
    folder.mkdir()
    for name, rows in (("a", slice(0, 100)), ("b.gz", slice(100, 101)), ("c", slice(101, 300)), ("d", slice(300, 430))):
        openfm.write_records(folder / name, X[rows], y[rows], dense=False)
        if name != "c":
            content = (folder / name).read_bytes()
            middle = len(content) // 2
            (folder / name).write_bytes(gzip.compress(content[:middle]) + gzip.compress(content[middle:]))
    assert run_job(job).returncode == 0
    assert model_of(job) == model_of(file_mode[0])


def test_fast_file_mode_needs_no_more_than_reading(job, file_mode):
    configure(job, train={"TrainingInputMode": "FastFile"}, test={"TrainingInputMode": "FastFile"})
    for folder in (job / "input" / "data" / "train", job / "input" / "data" / "test"):
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
    assert run_job(job).returncode == 0
    assert model_of(job) == model_of(file_mode[0])
