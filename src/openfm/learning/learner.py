"""One epoch after the other on one trainer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from openfm.errors import CustomerError, TrainingDivergedError
from openfm.fm.metrics import RunningMetrics, running_metrics
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import Trainer, initial_machine
from openfm.learning.examples import Examples, permutation
from openfm.learning.members import joined, member_settings, parted
from openfm.learning.scaling import Scaling
from openfm.learning.settings import LearningSettings

__all__ = ["Learner"]

_PIECE_NON_ZEROS = 2**20  # trained between two looks at the clock and at Ctrl-C, as far as mini-batches allow
_PADDING_EPSILON = 1e-8  # as in the logged cross entropy

OnRows = Callable[[int, float], None]
"""Told after each piece of an epoch: rows done, mean loss of them."""


class Learner:
    """A machine that learns, with the optimiser's memory of what it saw.

    Args:
        examples: the first to be learned: they decide scaling, batch size and where the bias starts.
        settings: how to learn, ``resolved``.
        initial: the machine to go on from, in the features' and labels' own units; None: one that knows nothing.
        threads: how many threads train; nothing else depends on it.

    Raises:
        CustomerError: ``initial`` is a machine of another shape or type.
        HyperparameterError: the settings leave something to the rows.
    """

    def __init__(
        self,
        examples: Examples,
        settings: LearningSettings,
        *,
        initial: FactorizationMachine | None = None,
        threads: int = 1,
    ) -> None:
        self._settings = settings
        self._threads = threads
        self._scaling = Scaling.of(examples, settings)
        self._batch_size = settings.batch_size(len(examples))
        width = examples.rows.feature_dim
        if initial is not None:
            _check_fits(initial, width, settings)
            initial = self._scaling.learner_machine(initial)
        told = settings.training_settings(width, self._batch_size, self._bias_start(examples))
        self._of_members = of_members = member_settings(told, settings.members)
        starts: Sequence[FactorizationMachine | None]
        if initial is not None:
            starts = parted(initial, of_members)
        else:
            starts = [self._drawn(of_member, examples.rows) for of_member in of_members]
        self._trainers = [
            Trainer(of_member, initial=start, threads=threads)
            for of_member, start in zip(of_members, starts, strict=True)
        ]

    def _drawn(self, of_member: TrainingSettings, rows: SparseRows) -> FactorizationMachine | None:
        """The machine that a member starts from; None: the one that its trainer draws."""
        if not self._settings.unseen_at_zero:
            return None
        drawn = initial_machine(of_member, threads=self._threads)
        is_seen = np.zeros(rows.feature_dim, dtype=bool)
        is_seen[rows.indices] = True
        factors = np.where(is_seen[:, np.newaxis], drawn.factors, np.float32(0))
        return FactorizationMachine(drawn.bias, drawn.linear, factors, drawn.predictor_type)

    @property
    def settings(self) -> LearningSettings:
        """How it learns."""
        return self._settings

    @property
    def scaling(self) -> Scaling:
        """How rows and labels are scaled."""
        return self._scaling

    def scaled_machine(self) -> FactorizationMachine:
        """The machine so far, of scaled rows and labels (a copy)."""
        return joined([trainer.machine() for trainer in self._trainers])

    def machine(self) -> FactorizationMachine:
        """The machine so far, of features and labels as they are (a copy).

        Raises:
            TrainingDivergedError: in their units a parameter is too large for float32.
        """
        return self.unscaled(self.scaled_machine())

    def unscaled(self, machine: FactorizationMachine) -> FactorizationMachine:
        """One of :meth:`scaled_machine` for features and labels as they are; raises as :meth:`machine`."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = self._scaling.machine(machine)
        if not (math.isfinite(found.bias) and np.isfinite(found.linear).all() and np.isfinite(found.factors).all()):
            raise TrainingDivergedError(
                "The parameters are too large or too small for float32 in the units of features and labels. Scale the "
                "features and labels to about 1."
            )
        return found

    def use_threads(self, threads: int) -> None:
        """Go on with so many threads, which changes no result."""
        if threads == self._threads:
            return
        trainers = [Trainer(of_member, threads=threads) for of_member in self._of_members]
        for trainer, present in zip(trainers, self._trainers, strict=True):
            trainer.restore(present.state())
        self._trainers, self._threads = trainers, threads

    def epoch(self, examples: Examples, number: int, on_rows: OnRows | None = None) -> RunningMetrics:
        """Learn the scaled examples once (``scaling.scaled``).

        Args:
            examples: to learn.
            number: of the epoch, which decides the order.
            on_rows: told of the progress.

        Returns:
            the metrics of the epoch, in the labels' own units.

        Raises:
            TrainingDivergedError: a parameter or a metric is no longer finite.
        """
        metrics = running_metrics(self._settings.predictor_type)
        n, size = len(examples), self._batch_size
        order = None
        if self._settings.shuffle and size < n:
            order = permutation([self._settings.seed, number], n)
        rows = size * max(1, _PIECE_NON_ZEROS * n // (max(1, examples.rows.nnz) * size))
        for begin in range(0, n, rows):
            end = min(begin + rows, n)
            piece = examples.slice(begin, end) if order is None else examples.take(order[begin:end])
            self._train(piece, metrics, number, begin // size)
            if on_rows is not None:
                on_rows(end, metrics.loss)
        return metrics

    def _train(self, piece: Examples, metrics: RunningMetrics, epoch: int, first: int) -> None:
        size = self._batch_size
        missing = -len(piece) % size
        if missing and not self._settings.count_padding:
            piece = piece.padded(missing)
        else:
            missing = 0
        block = self._trainers[0].batches(piece.rows, piece.labels, piece.weights)
        full = block.batches - (missing > 0)
        for trainer in self._trainers:
            if full:
                for sums in trainer.train(block, 0, full, epoch=epoch, first_batch=first):
                    metrics.add_sums(self._in_units(sums), size)
            if missing:
                of_padding = missing * self._empty_row(trainer.bias("parameters"))
                (sums,) = trainer.train(block, full, epoch=epoch, first_batch=first + full)
                metrics.add_sums(self._in_units(sums - of_padding), size - missing)

    def _empty_row(self, bias: float) -> npt.NDArray[np.float64]:
        """What an empty row of label 0 would add to a mini-batch's sums, where this is the bias."""
        if self._settings.predictor_type is PredictorType.REGRESSOR:
            return np.array([bias * bias, abs(bias), 0.0, 0.0, 0.0])
        score = 1.0 / (1.0 + math.exp(-bias)) if bias > -700 else 0.0
        return np.array([score < 0.5, -math.log(1.0 - score + _PADDING_EPSILON), 0.0, score >= 0.5, 0.0])

    def _in_units(self, sums: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sums of squared and absolute errors in the labels' own units; those of a classifier have none."""
        spread = self._scaling.spread
        return sums if spread == 1.0 else sums * [spread * spread, spread, 1.0, 1.0, 1.0]

    def _bias_start(self, examples: Examples) -> float | None:
        if not self._settings.start_at_mean:
            return None
        if self._settings.predictor_type is PredictorType.REGRESSOR:
            return 0.0  # what the labels are centred at
        rate = float(np.average(examples.labels.astype(np.float64), weights=examples.weights))
        least = 0.5 / len(examples)  # where all labels are alike, the bias stays finite
        rate = min(max(rate, least), 1.0 - least)
        return math.log(rate / (1.0 - rate))


def _check_fits(machine: FactorizationMachine, feature_dim: int, settings: LearningSettings) -> None:
    wanted = (feature_dim, settings.num_factors, settings.predictor_type)
    found = (machine.feature_dim, machine.num_factors, machine.predictor_type)
    if found != wanted:
        raise CustomerError(
            f"The machine to start from has feature_dim {found[0]}, num_factors {found[1]} and predictor_type "
            f"{found[2]}; the training asks for {wanted[0]}, {wanted[1]} and {wanted[2]}. Make them equal."
        )
