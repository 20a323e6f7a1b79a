"""The mini-batches of the epochs: the same whatever is kept and whatever is read again."""

from __future__ import annotations

import gzip
import io
import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import openfm
from openfm.contract.hyperparameters import DenseNetwork
from openfm.data.channel import find_channel
from openfm.data.reader import ChannelReader
from openfm.errors import DataError, HyperparameterError
from openfm.fm.initializers import Initializer
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings
from openfm.fm.trainer import Trainer
from openfm.training.data import TrainingData
from support.pipes import PipeFeeder

DIM, ROWS, EPOCHS = 30, 500, 3
ALL = 10**9


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


@pytest.fixture(scope="module")
def objects() -> list[bytes]:
    """Three files of records, of which 1 row in 10 is empty."""
    rng = np.random.default_rng(3)
    X = (rng.random((ROWS, DIM)) < 0.2) * rng.normal(size=(ROWS, DIM))
    X[::10] = 0
    y = rng.integers(0, 2, ROWS)
    written = []
    for begin, end in ((0, 123), (123, 124), (124, ROWS)):
        file = io.BytesIO()
        openfm.write_records(file, X[begin:end].astype(np.float32), y[begin:end].astype(np.float32), dense=False)
        written.append(file.getvalue())
    return written


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


def put(folder: Path, objects: list[bytes], *, packed: bool = False) -> Path:
    (folder / "train").mkdir(parents=True)
    for number, content in enumerate(objects):
        (folder / "train" / f"part-{number}").write_bytes(gzip.compress(content) if packed else content)
    return folder


def reader_of(folder: Path, *, block_bytes: int = 1500, threads: int = 2, pipes=()) -> ChannelReader:
    channel = find_channel(folder, ["train"], pipes=pipes)
    assert channel is not None
    return ChannelReader(channel, feature_dim=DIM, block_bytes=block_bytes, threads=threads)


def data_of(reader: ChannelReader, settings: TrainingSettings, cache_bytes: int, threads: int = 2):
    trainer = Trainer(settings)
    data = TrainingData(
        reader, settings=settings, trainer=trainer, network=DenseNetwork.DOCUMENTED, on_dense=lambda: None,
        cache_bytes=cache_bytes, threads=threads,
    )  # fmt: skip
    return trainer, data


def train(trainer: Trainer, data: TrainingData) -> list[bytes]:
    """The factors after each epoch."""
    after = []
    for epoch in range(EPOCHS):
        with closing(data.epoch(epoch)) as blocks:
            for block in blocks:
                trainer.train(block)
        assert data.records == ROWS
        after.append(trainer.parameters()[2].tobytes())
    return after


def kept_at_all(folder: Path, batch_size: int, reader: ChannelReader | None = None) -> int:
    """The bytes that all batches of an epoch take."""
    _, data = data_of(reader or reader_of(folder), settings(batch_size), 0)
    return sum(block.nbytes for block in data.epoch(0))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch_size", [1, 32, 100, 250, 1000])
def test_the_budget_changes_nothing(tmp_path, objects, batch_size, packed):
    folder = put(tmp_path, objects, packed=packed)
    expected = train(*data_of(reader_of(folder), settings(batch_size), ALL))
    total = kept_at_all(folder, batch_size)
    for budget in (0, 1, total // 10, total // 2, total - 1, total):
        for threads in (1, 2):
            reader = reader_of(folder, threads=threads)
            assert train(*data_of(reader, settings(batch_size), budget, threads)) == expected


@pytest.mark.parametrize("packed", [False, True])
def test_the_budget_changes_nothing_of_another_format(tmp_path, packed):
    rng = np.random.default_rng(3)
    lines = [
        f"{label} {' '.join(f'{key}:{rng.normal():.3f}' for key in np.flatnonzero(rng.random(DIM) < 0.2))}\n"
        for label in rng.integers(0, 2, ROWS)
    ]
    folder = put(tmp_path, ["".join(lines[:200]).encode(), "".join(lines[200:]).encode()], packed=packed)
    channel = find_channel(folder, ["train"])

    def reader() -> ChannelReader:
        return ChannelReader(channel, feature_dim=DIM, format="libsvm", index_base=0, threads=2)

    expected = train(*data_of(reader(), settings(), ALL))
    for budget in (0, kept_at_all(folder, 32, reader()) // 2):
        assert train(*data_of(reader(), settings(), budget)) == expected


@pytest.mark.parametrize("block_bytes", [100, 1500, 2**20])
def test_only_what_is_not_kept_is_read_again(tmp_path, objects, block_bytes, monkeypatch):
    folder = put(tmp_path, objects)
    total = kept_at_all(folder, 32)
    for budget in (0, total // 2, total):
        reader = reader_of(folder, block_bytes=block_bytes)
        read = []
        read_pass = reader.read_pass

        def counting(*arguments, read=read, read_pass=read_pass, **options):
            for block in read_pass(*arguments, **options):
                read.append(len(block))
                yield block

        monkeypatch.setattr(reader, "read_pass", counting)
        trainer, data = data_of(reader, settings(), budget)
        train(trainer, data)
        again = sum(read) - ROWS
        if budget == total:
            assert again == 0
        elif budget == 0:
            assert again == ROWS * (EPOCHS - 1)
        elif block_bytes < 2**20:
            assert 0.2 * ROWS * (EPOCHS - 1) < again < 0.8 * ROWS * (EPOCHS - 1)


@pytest.mark.parametrize("batch_size", [32, 100, 250])  # 500 rows: the last batch is short, or it is not
def test_what_is_kept_whole_is_read_once(tmp_path, objects, batch_size, monkeypatch):
    reader = reader_of(put(tmp_path, objects))
    passes = []
    read_pass = reader.read_pass
    monkeypatch.setattr(reader, "read_pass", lambda *args, **options: passes.append(1) or read_pass(*args, **options))
    train(*data_of(reader, settings(batch_size), 2**30))
    assert len(passes) == 1


def test_an_epoch_that_ends_early_is_begun_anew(tmp_path, objects):
    folder = put(tmp_path, objects)
    total = kept_at_all(folder, 32)
    for budget in (0, total // 3, total):
        for taken in (1, 3, 5):
            trainer, data = data_of(reader_of(folder), settings(), budget)
            with closing(data.epoch(0)) as blocks:
                for _ in range(taken):
                    next(blocks)
            assert train(trainer, data) == train(*data_of(reader_of(folder), settings(), ALL))


def test_fifos_are_read_in_each_epoch(tmp_path, objects):
    expected = train(*data_of(reader_of(put(tmp_path / "files", objects)), settings(), ALL))
    for number, (budget, threads) in enumerate([(0, 2), (ALL, 2), (ALL, 1)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with PipeFeeder(folder / "train", objects, passes=EPOCHS):
            reader = reader_of(folder, pipes=["train"], threads=threads)
            assert train(*data_of(reader, settings(), budget, threads)) == expected


def test_leaving_a_silent_fifo_does_not_wait_for_it(tmp_path, objects):
    os.mkfifo(tmp_path / "train_0")
    writer = os.open(tmp_path / "train_0", os.O_RDWR)  # never closes while it is read
    try:
        assert os.write(writer, objects[0]) == len(objects[0])
        _, data = data_of(reader_of(tmp_path, pipes=["train"]), settings(), ALL)
        with closing(data.epoch(0)) as blocks:
            assert next(blocks).batches
    finally:
        os.close(writer)


def test_shuffled_rows_must_fit(tmp_path, objects):
    folder = put(tmp_path, objects)
    shuffled = settings(shuffle=True)
    expected = train(*data_of(reader_of(folder), shuffled, ALL))
    assert expected != train(*data_of(reader_of(folder), settings(), ALL))
    assert train(*data_of(reader_of(folder, threads=1), shuffled, 200_000, threads=1)) == expected
    trainer, data = data_of(reader_of(folder), shuffled, 2000)
    with pytest.raises(HyperparameterError, match=r"take more than the 2000 bytes .* larger OPENFM_CACHE_BYTES"):
        train(trainer, data)


@pytest.mark.parametrize("budget", [0, 3000])
def test_files_that_change_while_the_job_runs_are_told(tmp_path, objects, budget):
    folder = put(tmp_path, objects)
    trainer, data = data_of(reader_of(folder), settings(), budget)
    with closing(data.epoch(0)) as blocks:
        for block in blocks:
            trainer.train(block)
    (folder / "train" / "part-2").write_bytes(objects[2] + objects[1])
    with pytest.raises(DataError, match="held 500 records in the first epoch and holds 501 now"):
        list(data.epoch(1))


def test_what_is_forgotten_is_read_again(tmp_path, objects):
    trainer, data = data_of(reader_of(put(tmp_path, objects)), settings(), ALL)
    first = train(trainer, data)
    data.forget()
    assert sum(len(block) for block in data.epoch(0)) == ROWS
    assert first
