"""Training: mini-batches in, parameters and metric sums out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from openfm.errors import DataError, HyperparameterError, TrainingDivergedError
from openfm.fm.initializers import Initializer, RandomStreams
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.fm.settings import GroupSettings, TrainingSettings
from openfm.native import _core
from openfm.native._core import BatchBlock

__all__ = ["PARTS", "BatchBlock", "ByGroup", "Part", "Trainer", "TrainerState", "initial_machine", "trainer_bytes"]

ByGroup = tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""A value for the bias, the linear weights and the factors."""

Part = Literal["parameters", "means", "variances"]
"""What a trainer has of w0, w and V: their values, or Adam's first or second moments of them."""

PARTS: Final[tuple[Part, ...]] = ("parameters", "means", "variances")

_PIECE_VALUES: Final = 2**16  # of V, copied at a time: they stay in a core's cache

_MOST_NON_ZEROS: Final = 2**31 - 1  # of a mini-batch

# What the bits of the native trainer's answer stand for, and the hyperparameters that govern it.
_NOT_FINITE: Final = (
    (1, "the bias (bias_lr, bias_wd)"),
    (2, "the linear weights (linear_lr, linear_wd)"),
    (4, "the factors (factors_lr, factors_wd)"),
    (8, "the training metric"),
)


@dataclass(frozen=True, slots=True)
class TrainerState:
    """All that a trainer goes on from.

    Attributes:
        step: Adam's t, the number of batches done.
        parameters: w0, w (D,) and V (D, k); arrays are float32.
        means, variances: Adam's first and second moments of them, in the same shapes.
    """

    step: int
    parameters: ByGroup
    means: ByGroup
    variances: ByGroup


class Trainer:
    """Trains a Factorization Machine with mini-batch Adam, as Amazon's container does.

    The result depends on the settings and on the batches only: not on the number of threads, and not on the
    processor's instruction set.

    Args:
        settings: what to train.
        initial: the parameters to start from; None draws them (:func:`initial_machine`).
        threads: how many threads work; they start with the first batch.
        instruction_set: one of ``openfm.native._core.instruction_sets()``; empty: the best of this processor.
        dense: whether batches are kept with all their cells, zeros too; None: where that is faster.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        *,
        initial: FactorizationMachine | None = None,
        threads: int = 1,
        instruction_set: str = "",
        dense: bool | None = None,
    ) -> None:
        self._settings = settings
        rescale = settings.rescale_grad
        self._native = _core.Trainer(
            settings.feature_dim,
            settings.num_factors,
            settings.predictor_type is PredictorType.BINARY_CLASSIFIER,
            settings.mini_batch_size,
            _rates(settings.bias, settings.use_bias),
            _rates(settings.linear, settings.use_linear),
            _rates(settings.factors, True),
            1.0 / settings.mini_batch_size if rescale is None else rescale,
            settings.epsilon,
            math.inf if settings.clip_gradient is None else settings.clip_gradient,
            threads,
            instruction_set,
        )
        self._indexer = _core.BatchIndexer(
            settings.feature_dim, settings.mini_batch_size, not settings.lazy_update, dense
        )
        machine = initial
        if machine is None:
            machine = initial_machine(settings, threads=threads, factors=self._native.packed_factors())
        self._native.set_parameters(machine.bias, machine.linear, machine.factors)

    def batches(
        self,
        rows: SparseRows,
        labels: npt.NDArray[np.float32],
        weights: npt.NDArray[np.float32] | None = None,
    ) -> BatchBlock:
        """Cut labelled rows into mini-batches and index them for :meth:`train`.

        Args:
            rows: any number of rows. If that is no multiple of ``mini_batch_size``, the last batch is padded with
                empty rows of label 0.
            labels: float32, shape (rows,).
            weights: float32, shape (rows,): what each row's gradient is multiplied by, besides the settings'
                ``positive_weight``. The batch's divisor and the metrics count each row once all the same. None: 1 for
                every row.

        Raises:
            DataError: a mini-batch has more non-zeros than the index can count.
        """
        ends = rows.indptr[:: self._settings.mini_batch_size]
        if rows.nnz > _MOST_NON_ZEROS and np.diff(ends, append=rows.nnz).max() > _MOST_NON_ZEROS:
            raise DataError(
                f"A mini-batch of {self._settings.mini_batch_size} records holds more than {_MOST_NON_ZEROS} non-zero "
                "values. Set a smaller mini_batch_size."
            )
        if self._settings.positive_weight is not None:
            of_labels = np.where(labels == 1, np.float32(self._settings.positive_weight), np.float32(1))
            weights = of_labels if weights is None else of_labels * weights
        return self._indexer.index(rows.indptr, rows.indices, rows.values, labels, weights)

    def train(
        self, block: BatchBlock, begin: int = 0, end: int | None = None, *, epoch: int = 0, first_batch: int = 0
    ) -> npt.NDArray[np.float64]:
        """Train on batches of a block, in order.

        Args:
            block: what :meth:`batches` gave.
            begin, end: which of its batches; ``end`` is exclusive, None: to the last.
            epoch, first_batch: where batch ``begin`` stands, for the error's text.

        Returns:
            float64, shape (batches, 5): each batch's sums for :meth:`RunningMetrics.add_sums`, of predictions made
            before the batch's update.

        Raises:
            TrainingDivergedError: a parameter or a metric is no longer finite after a batch.
        """
        sums, not_finite = self._native.train(block, begin, block.batches if end is None else end)
        if not_finite:
            self._raise_diverged(not_finite, epoch, first_batch + len(sums) - 1)
        return sums

    def gradients(
        self, block: BatchBlock, batch: int, places: npt.NDArray[np.int32], out: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float64]:
        """The first half of a step that several hosts make together; nothing is updated.

        Args:
            block: what :meth:`batches` gave.
            batch: which of its batches.
            places: int32: the row of ``out`` for each of ``block.features(batch)``.
            out: float32, shape (rows, k + 1): a feature's row is overwritten with the sums of its gradients, of V and
                then of w. Rows of no feature of the batch stay as they are.

        Returns:
            float64, shape (7,): the batch's other sums, without padding.
        """
        return self._native.gradients(block, batch, places, out)

    def padding_sums(self, count: int) -> npt.NDArray[np.float64]:
        """What ``count`` records of padding (empty, of label 0) add to the sums of :meth:`gradients`."""
        return self._native.padding_sums(count)

    def apply(
        self,
        features: npt.NDArray[np.int32],
        gradients: npt.NDArray[np.float32],
        totals: npt.NDArray[np.float64],
        *,
        epoch: int = 0,
        batch: int = 0,
    ) -> npt.NDArray[np.float64]:
        """The second half of a step: update from what all hosts' :meth:`gradients` add up to.

        Args:
            features: int32, shape (n,), ascending: what is updated.
            gradients: float32, shape (n, k + 1): their rows.
            totals: float64, shape (7,): the other sums.
            epoch, batch: where the step stands, for the error's text.

        Returns:
            float64, shape (5,): the step's sums for :meth:`RunningMetrics.add_sums`.

        Raises:
            TrainingDivergedError: a parameter or a metric is no longer finite.
        """
        sums, not_finite = self._native.apply(features, gradients, totals)
        if not_finite:
            self._raise_diverged(not_finite, epoch, batch)
        return sums

    def machine(self) -> FactorizationMachine:
        """The machine as trained so far (a copy)."""
        return FactorizationMachine(*self.parameters(), self._settings.predictor_type)

    def finish(self) -> FactorizationMachine:
        """The machine as trained, in the trainer's memory: the trainer cannot be used any more."""
        return FactorizationMachine(*self._native.release(), self._settings.predictor_type)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (D, k) of V."""
        return self._settings.feature_dim, self._settings.num_factors

    @property
    def step(self) -> int:
        """How many batches are done."""
        return self._native.step

    @property
    def active_threads(self) -> int:
        """How many threads trained the last batch: fewer if it was small, or while they wait for processors."""
        return self._native.members

    def parameters(self) -> ByGroup:
        """The parameters as trained so far (copies)."""
        return self._copies("parameters")

    def bias(self, part: Part) -> float:
        """A part of w0."""
        return self._native.bias(part)

    def linear(self, part: Part) -> npt.NDArray[np.float32]:
        """A part of w: float32, shape (D,) (a copy)."""
        return self._native.linear(part)

    def factor_pieces(self, part: Part) -> Iterator[npt.NDArray[np.float32]]:
        """A part of V, some rows at a time: float32, shape (rows, k), in memory that the next rows overwrite."""
        d, k = self.shape
        piece = np.empty((max(1, _PIECE_VALUES // k), k), dtype=np.float32)
        for first in range(0, d, len(piece)):
            rows = piece[: d - first]
            self._native.copy_factors(part, first, rows)
            yield rows

    def state(self) -> TrainerState:
        """Everything that training goes on from (copies)."""
        return TrainerState(self.step, *map(self._copies, PARTS))

    def _copies(self, part: Part) -> ByGroup:
        factors = np.empty(self.shape, dtype=np.float32)
        self._native.copy_factors(part, 0, factors)
        return self._native.bias(part), self._native.linear(part), factors

    def restore(self, state: TrainerState) -> None:
        """Go on from a state, as the trainer that gave it would.

        Raises:
            ValueError: the arrays do not have this trainer's shapes.
        """
        self._native.set_parameters(*state.parameters)
        self._native.set_optimizer(state.step, state.means, state.variances)

    def _raise_diverged(self, not_finite: int, epoch: int, batch: int) -> None:
        names = [name for bit, name in _NOT_FINITE if not_finite & bit]
        raise TrainingDivergedError(
            f"Training diverged: after batch {batch} of epoch {epoch} there are values that are not finite in "
            f"{', '.join(names)}. Lower the learning rate, set clip_gradient, or scale the features and labels to "
            "about 1."
        )


def trainer_bytes(feature_dim: int, num_factors: int) -> int:
    """The bytes of memory that a :class:`Trainer` takes.

    For each feature that is a record of V and two moments (k is rounded up to a multiple of 8) and 32 bytes for w and
    what is scalar like it, in whole cache lines of 64 bytes; and a counter of 4 bytes, which indexing needs.
    """
    record = 3 * 4 * _rounded_up(num_factors, 8) + 32
    return feature_dim * (_rounded_up(record, 64) + 4)


def initial_machine(
    settings: TrainingSettings, *, threads: int = 1, factors: npt.NDArray[np.float32] | None = None
) -> FactorizationMachine:
    """Draw initial parameters from MXNet's random streams in the order of Amazon's current container.

    That is V (D, k), w0, w (sorted by MXNet's names v, w0_weight, w1_weight) for the sparse network, and w, then V as
    a (k, D) matrix for the dense one. What ``use_bias`` and ``use_linear`` leave out is 0 and draws nothing.

    Args:
        settings: of the machine.
        threads: how many threads draw; the values do not depend on it.
        factors: memory for V where it is drawn as it stands: float32, shape (D, k), C-contiguous.

    Raises:
        HyperparameterError: a value drawn is too large for float32.
    """
    streams = RandomStreams(settings.seed, threads=threads)
    d, k = settings.feature_dim, settings.num_factors
    nothing = Initializer("constant", 0.0)
    of_bias = settings.bias.initializer if settings.use_bias else nothing
    of_linear = settings.linear.initializer if settings.use_linear else nothing
    if settings.factors_transposed:
        linear = streams.draw(of_linear, (d,))
        factors = streams.draw(settings.factors.initializer, (k, d)).T
        bias = streams.draw(of_bias, (1,))
    else:
        factors = streams.draw(settings.factors.initializer, (d, k), out=factors)
        bias = streams.draw(of_bias, (1,))
        linear = streams.draw(of_linear, (d,))
    for name, values in (("bias", bias), ("linear", linear), ("factors", factors)):
        if not np.isfinite([values.min(), values.max()]).all():
            raise HyperparameterError(
                f"The initial values of {name} are not all finite. Set a smaller {name}_init_sigma, {name}_init_scale "
                f"or {name}_init_value."
            )
    return FactorizationMachine(float(bias[0]), linear, factors, settings.predictor_type)


def _rounded_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _rates(group: GroupSettings, enabled: bool) -> tuple[float, float, bool]:
    return group.learning_rate, group.weight_decay, enabled
