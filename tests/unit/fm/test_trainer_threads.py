"""Threads and instruction sets: the bytes of a model depend on neither."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from openfm.fm.matrices import as_rows
from openfm.fm.model import PredictorType
from openfm.fm.trainer import Trainer, initial_machine
from openfm.native._core import instruction_sets
from support.training import parameters, scattered, train

ISAS = instruction_sets()


@pytest.mark.parametrize("factors", range(1, 76, 7))
@pytest.mark.parametrize("predictor_type", PredictorType)
def test_bytes_do_not_depend_on_threads_or_instruction_set(make_settings, predictor_type, factors):
    # Batches large enough that several threads take part.
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (2900, 37)).astype(np.float32) * (rng.random((2900, 37)) < 0.7)
    data = X, (rng.random(2900) < 0.5).astype(np.float32)
    settings = make_settings(num_factors=factors, predictor_type=predictor_type, mini_batch_size=1500)
    machine, history = train(settings, data, epochs=2)
    for threads in (2, 3):
        other, other_history = train(settings, data, epochs=2, threads=threads)
        assert parameters(other) == parameters(machine)
        assert other_history == history
    for name in ISAS:
        other, other_history = train(settings, data, epochs=2, instruction_set=name)
        assert parameters(other) == parameters(machine)
        assert other_history == history


@pytest.mark.parametrize("density", [0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("factors", [1, 7, 8, 10, 16, 24, 64, 65, 100])
def test_dense_batches_give_the_bytes_of_sparse_ones(make_settings, density, factors):
    rng = np.random.default_rng(0)
    rows, features = 503, 300  # enough for three threads
    data = scattered(rng, rows, features, density), (rng.random(rows) < 0.5).astype(np.float32)
    settings = make_settings(
        feature_dim=features,
        num_factors=factors,
        mini_batch_size=150,
        predictor_type=PredictorType.BINARY_CLASSIFIER,
    )
    expected, expected_history = train(settings, data, epochs=2, dense=False)
    options = [{"threads": 2}, {"threads": 3}, *({"instruction_set": name} for name in ISAS)]
    for option in options:
        machine, history = train(settings, data, epochs=2, dense=True, **option)
        assert parameters(machine) == parameters(expected)
        assert history == expected_history


def test_more_threads_than_the_system_gives(make_settings, data):
    # Run apart: the limit on address space is the process's.
    code = (
        "import resource, numpy as np\n"
        "from openfm.fm.initializers import Initializer, RandomStreams\n"
        "from openfm.fm.model import FactorizationMachine\n"
        "from openfm.fm.matrices import as_rows\n"
        "machine = FactorizationMachine(0, np.ones(3), np.ones((3, 2)), 'regressor')\n"
        "machine.prepare()\n"
        "rows = as_rows(np.ones((5000, 3)), 3)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))\n"
        "RandomStreams(threads=1024).draw(Initializer('normal', 1.0), (100000,))\n"
        "print(machine.score(rows, threads=1024).sum())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 5000 * (3 + 3 * 2)


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_that_are_none_are_refused(make_settings, data, threads):
    machine = initial_machine(make_settings())
    with pytest.raises(ValueError, match="threads must be at least 1"):
        machine.score(as_rows(data[0], 37), threads=threads)
    with pytest.raises(ValueError, match="must be at least 1"):
        Trainer(make_settings(), threads=threads)


def test_an_unknown_instruction_set_is_refused(make_settings):
    with pytest.raises(ValueError, match="no instruction set 'mmx'"):
        Trainer(make_settings(), instruction_set="mmx")
