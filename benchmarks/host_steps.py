"""What a step of several hosts costs one of them, measured on it alone."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.data import Problem
from benchmarks.frame import Options
from benchmarks.own import OwnTraining
from benchmarks.prediction import Step
from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.matrices import as_rows
from openfm.fm.trainer import Trainer
from openfm.training.hosts.unions import Unions

__all__ = ["step_of"]

_GROUPS = 4
"""Steps that are measured in turn, as a job's steps have other records each."""


def step_of(problem: Problem, batch: int, hosts: int, options: Options) -> Step:
    """Measure the computing of a step, and count what it sends.

    Args:
        problem: what is trained.
        batch: records of each host.
        hosts: how many.
        options: how often to measure.
    """
    X, y = problem.train.X, problem.train.y
    size = batch * hosts
    groups = [np.arange(first, first + size) % len(y) for first in range(0, _GROUPS * size, size)]
    unions = [np.unique(X[rows].indices).astype(np.int32) for rows in groups]
    bitmap, ids = -(-problem.feature_dim // 8), 4 * hosts * len(np.unique(X[groups[0][:batch]].indices))
    if hosts == 1:
        seconds = _own_step(problem, batch, options)
    else:
        seconds = _shared_step(problem, batch, [rows[:batch] for rows in groups], unions, options)
    return Step(seconds, round(4 * (problem.k + 1) * statistics.mean(map(len, unions))), min(bitmap, ids))


def _own_step(problem: Problem, batch: int, options: Options) -> float:
    """Of a host alone."""
    X, y = problem.train.X, problem.train.y
    rows = min(len(y), 20 * batch)
    training = OwnTraining(X[:rows], y[:rows], problem.k, {"mini_batch_size": batch})
    training.epoch()
    taken = []
    for _ in range(options.rounds):
        begin = time.perf_counter()
        training.epoch()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) / -(-rows // batch)


def _shared_step(
    problem: Problem, batch: int, own: Sequence[np.ndarray], unions: Sequence[np.ndarray], options: Options
) -> float:
    """One host's part of steps with several: agreeing on the features, the gradients of its batch, the update of all.

    Args:
        problem: what is trained.
        batch: records of each host.
        own: of each step, which rows are this host's.
        unions: of each step, the features of all hosts.
        options: how often to measure.
    """
    X, y = problem.train.X, problem.train.y
    given = {
        "feature_dim": problem.feature_dim,
        "num_factors": problem.k,
        "predictor_type": "binary_classifier",
        "mini_batch_size": batch,
    }
    trainer = Trainer(Hyperparameters.parse(given).training_settings(), threads=1)
    blocks = [trainer.batches(as_rows(X[rows], problem.feature_dim), y[rows]) for rows in own]
    agreement = Unions(_Alone(), problem.feature_dim)
    places = np.empty(problem.feature_dim, np.int32)
    taken = []
    for _ in range(2 * options.rounds + 1):
        for block, features in zip(blocks, unions, strict=True):
            begin = time.perf_counter()
            agreement.agree([features], np.array([[len(features)]]))
            places[features] = np.arange(len(features), dtype=np.int32)
            gradients = np.zeros((len(features), problem.k + 1), np.float32)
            sums = trainer.gradients(block, 0, places[block.features(0)], gradients)
            trainer.apply(features, gradients, sums)
            taken.append(time.perf_counter() - begin)
    return statistics.median(taken[len(blocks) :])


class _Alone:
    """A collective without other hosts."""

    rank, size, step = 0, 1, 0

    def sum(self, array: np.ndarray) -> None:
        """What there is, is the sum."""

    maximum = bitwise_or = sum

    def finish(self) -> None:
        """Nobody is waited for."""
