"""The classifier."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.base import ClassifierMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from openfm.artifact import Model
from openfm.errors import DataError
from openfm.estimators.artifact import EstimatorFacts
from openfm.estimators.base import FactorizationMachineEstimator, checked_weights
from openfm.fm.model import PredictorType
from openfm.learning import Examples
from openfm.learning.settings import Preset

__all__ = ["FactorizationMachineClassifier"]


class FactorizationMachineClassifier(ClassifierMixin, FactorizationMachineEstimator):
    """A Factorization Machine that tells two classes apart.

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
        class_weight: ``"balanced"``, or a weight for each class; None: 1.
        warm_start: whether ``fit`` goes on from the parameters of the last one.
        n_jobs: how many threads train and score: None is one, -1 one for each processor. It changes no result.
        random_state: seed of initial values, order and held-out rows.
        verbose: 1 prints a line for each epoch.

    Attributes:
        classes_: the two classes; ``decision_function`` is positive where the second one is predicted.
        model_: the trained :class:`openfm.Model`, which explains, ranks and saves.
        bias_, linear_, factors_: its parameters.
        n_features_in_, feature_names_in_: what was fitted on.
        n_iter_: epochs that led to the model.
        history_: an :class:`~openfm.learning.EpochReport` for each epoch.
    """

    _predictor_type: ClassVar[PredictorType] = PredictorType.BINARY_CLASSIFIER

    classes_: npt.NDArray[Any]

    def __init__(
        self,
        *,
        preset: Preset = "openfm",
        num_factors: int | None = None,
        epochs: int | None = None,
        mini_batch_size: int | None = None,
        bias_lr: float | None = None,
        linear_lr: float | None = None,
        factors_lr: float | None = None,
        bias_wd: float | None = None,
        linear_wd: float | None = None,
        factors_wd: float | None = None,
        clip_gradient: float | None = None,
        shuffle: bool | None = None,
        early_stopping: bool | str = "auto",
        validation_fraction: float | None = None,
        patience: int | None = None,
        tolerance: float | None = None,
        refit: bool | None = None,
        class_weight: Any = None,
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            preset=preset,
            num_factors=num_factors,
            epochs=epochs,
            mini_batch_size=mini_batch_size,
            bias_lr=bias_lr,
            linear_lr=linear_lr,
            factors_lr=factors_lr,
            bias_wd=bias_wd,
            linear_wd=linear_wd,
            factors_wd=factors_wd,
            clip_gradient=clip_gradient,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            tolerance=tolerance,
            refit=refit,
            warm_start=warm_start,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows.

        Args:
            X: shape (n, D): a SciPy sparse matrix or array, a dense array, or a DataFrame of numbers.
            y: shape (n,): two different labels, of any kind that scikit-learn takes.
            sample_weight: shape (n,), >= 0: how much each row counts beside the others. None: all alike.

        Raises:
            ValueError: the data are not of that kind, or there are other than two classes.
            TrainingDivergedError: the parameters do not stay finite.
        """
        rows, y = self._validated(X, y, reset=True, y_numeric=False)
        classes = _two_classes(y, y)
        if self.warm_start and hasattr(self, "model_") and not np.array_equal(self.classes_, classes):
            raise DataError(
                f"The classes are {classes.tolist()}, those of the model to go on from {self.classes_.tolist()}. Set "
                "warm_start to False for a new one."
            )
        self.classes_ = classes
        self._train(Examples(rows, _labels(y, classes), self._weights(sample_weight, y)))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train on rows once, from where the last call ended. The first rows decide how features are scaled.

        Args:
            X, y, sample_weight: as for :meth:`fit`; not every call needs rows of both classes.
            classes: the two classes, needed by the first call where its ``y`` does not have both.

        Raises:
            ValueError: as :meth:`fit`, or a label is none of the classes.
            TrainingDivergedError: the parameters do not stay finite.
        """
        if self.class_weight == "balanced":
            raise DataError(
                "class_weight='balanced' needs all rows, which partial_fit does not see; give a weight each."
            )
        is_first = not hasattr(self, "model_")
        rows, y = self._validated(X, y, reset=is_first, y_numeric=False)
        if is_first:
            self.classes_ = _two_classes(y if classes is None else np.asarray(classes), y)
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise DataError(f"classes are {list(classes)}; in the first call they were {self.classes_.tolist()}.")
        if not np.isin(y, self.classes_).all():
            raise DataError(f"y holds labels that are not of the classes {self.classes_.tolist()}.")
        weights = self._weights(sample_weight, y, need_both=False)
        self._train_more(Examples(rows, _labels(y, self.classes_), weights), None if is_first else self.model_.machine)
        return self

    def decision_function(self, X: Any) -> npt.NDArray[np.float32]:
        """The scores before the sigmoid: float32, shape (n,); above 0 for the second class."""
        rows = self._rows(X)
        return self.model_.machine.decision_function(rows, threads=self._job_threads())

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The probabilities of both classes: float64, shape (n, 2)."""
        positive = expit(self.decision_function(X).astype(np.float64))
        return np.column_stack([1.0 - positive, positive])

    def predict_log_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """The logarithms of :meth:`predict_proba`, exact for probabilities near 0 too."""
        scores = self.decision_function(X).astype(np.float64)
        return np.column_stack([-np.logaddexp(0, scores), -np.logaddexp(0, -scores)])

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The more probable class of each row: of ``classes_``' dtype, shape (n,)."""
        is_second = self.decision_function(X) > 0
        return self.classes_[is_second.astype(np.intp)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _set_loaded(self, model: Model, facts: EstimatorFacts) -> None:
        super()._set_loaded(model, facts)
        self.classes_ = np.array([0, 1]) if facts.classes is None else facts.classes

    def _facts(self) -> EstimatorFacts:
        return EstimatorFacts(self.classes_, super()._facts().feature_names)

    def _weights(
        self, sample_weight: Any, y: npt.NDArray[Any], *, need_both: bool = True
    ) -> npt.NDArray[np.float32] | None:
        """Of rows and classes multiplied; None where all are 1."""
        weights = checked_weights(sample_weight, len(y))
        if need_both and weights is not None and len(np.unique(y[weights > 0])) < 2:
            raise DataError("Only one class has rows of a weight above 0; a classifier needs rows of two classes.")
        if self.class_weight is not None:
            of_classes = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            of_rows = of_classes[(y == self.classes_[1]).astype(np.intp)]
            weights = of_rows if weights is None else weights * of_rows
        return None if weights is None else weights.astype(np.float32)


def _two_classes(classes: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    check_classification_targets(y)
    found = np.unique(classes)
    if len(found) == 1:
        raise DataError(f"y holds one class only ({found[0]!r}); a classifier needs rows of two classes.")
    if len(found) > 2:
        raise DataError(
            f"Only binary classification is supported. The type of the target is {type_of_target(classes)}. Wrap the "
            "estimator in sklearn.multiclass.OneVsRestClassifier."
        )
    return found


def _labels(y: npt.NDArray[Any], classes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    labels: npt.NDArray[np.float32] = (y == classes[1]).astype(np.float32)
    return labels
