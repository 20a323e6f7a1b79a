"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin

from openfm.errors import DataError
from openfm.estimators.base import FactorizationMachineEstimator, checked_weights
from openfm.fm.model import PredictorType
from openfm.learning import Examples

__all__ = ["FactorizationMachineRegressor"]


class FactorizationMachineRegressor(RegressorMixin, FactorizationMachineEstimator):
    """A Factorization Machine that predicts a number. It learns by squared error.

    Parameters that are None have the preset's value.

    Args:
        preset: ``"openfm"``: defaults that learn; ``"sagemaker"``: those of Amazon's container.
        num_factors: k, factors of each feature.
        epochs: passes over the rows, at most.
        mini_batch_size: rows of a step of Adam.
        bias_lr, linear_lr, factors_lr: Adam's step sizes.
        bias_wd, linear_wd, factors_wd: weight decays (L2).
        clip_gradient: bound of each element of the gradient.
        shuffle: whether each epoch takes the rows in a new random order.
        early_stopping: whether a part of the rows is held out, and the epoch that is best on it counts; ``"auto"``:
            with at least 100 rows.
        validation_fraction: of the rows, held out for that.
        patience: how many epochs in a row may be no better.
        tolerance: the share of the lowest loss so far by which a better one is lower.
        refit: whether all rows are trained on afterwards, for as many epochs.
        warm_start: whether ``fit`` goes on from the parameters of the last one.
        n_jobs: how many threads train and score: None is one, -1 one for each processor. It changes no result.
        random_state: seed of initial values, order and held-out rows.
        verbose: 1 prints a line for each epoch.

    Attributes:
        model_: the trained :class:`openfm.Model`, which explains, ranks and saves.
        bias_, linear_, factors_: its parameters.
        n_features_in_, feature_names_in_: what was fitted on.
        n_iter_: epochs that led to the model.
        history_: an :class:`~openfm.learning.EpochReport` for each epoch.
    """

    _predictor_type: ClassVar[PredictorType] = PredictorType.REGRESSOR

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows.

        Args:
            X: shape (n, D): a SciPy sparse matrix or array, a dense array, or a DataFrame of numbers.
            y: shape (n,): the numbers to learn, as float32.
            sample_weight: shape (n,), >= 0: how much each row counts beside the others. None: all alike.

        Raises:
            ValueError: the data are not of that kind.
            TrainingDivergedError: the parameters do not stay finite.
        """
        self._train(self._examples(X, y, sample_weight, reset=True))
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows once, from where the last call ended. The first rows decide how features and labels are scaled.

        Raises:
            ValueError: as :meth:`fit`.
            TrainingDivergedError: the parameters do not stay finite.
        """
        is_first = not hasattr(self, "model_")
        examples = self._examples(X, y, sample_weight, reset=is_first)
        self._train_more(examples, None if is_first else self.model_.machine)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float32]:
        """The predicted number of each row: float32, shape (n,)."""
        rows = self._rows(X)
        return self.model_.machine.score(rows, threads=self._job_threads())

    def _examples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Examples:
        rows, y = self._validated(X, y, reset=reset, y_numeric=True)
        with np.errstate(over="ignore"):
            labels = np.asarray(y).astype(np.float32)
        if not np.isfinite(labels).all():
            raise DataError("y holds a number that is too large for float32. Scale y.")
        weights = checked_weights(sample_weight, len(labels))
        return Examples(rows, labels, None if weights is None else weights.astype(np.float32))
