"""What classifier and regressor share: parameters, data, training, files."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from openfm.artifact import Model, load_model
from openfm.artifact.loading import model_from_bytes
from openfm.artifact.saving import model_bytes
from openfm.errors import ArtifactError, DataError, HyperparameterError
from openfm.estimators.artifact import EstimatorFacts
from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.rows import SparseRows
from openfm.learning import EpochReport, Event, Examples, Extent, Learner, LearningSettings, fit
from openfm.learning.settings import Preset

__all__ = ["FactorizationMachineEstimator", "checked_weights"]

_SETTINGS = (
    "num_factors", "epochs", "mini_batch_size", "bias_lr", "linear_lr", "factors_lr", "bias_wd", "linear_wd",
    "factors_wd", "clip_gradient", "shuffle", "validation_fraction", "patience", "tolerance", "refit",
)  # fmt: skip
_WITHOUT_SEED = 2**31 - 1
_OF_STREAM = ("_learner", "_extent")  # what partial_fit keeps from call to call, and no pickle
_ROWS_OF_A_STREAM = 100_000  # that partial_fit takes to come, for what depends on the number of all rows


class FactorizationMachineEstimator(BaseEstimator):
    """Base of both estimators."""

    _predictor_type: ClassVar[PredictorType]

    # What fitting sets.
    model_: Model
    n_iter_: int
    history_: list[EpochReport]
    n_features_in_: int

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
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.preset = preset
        self.num_factors = num_factors
        self.epochs = epochs
        self.mini_batch_size = mini_batch_size
        self.bias_lr = bias_lr
        self.linear_lr = linear_lr
        self.factors_lr = factors_lr
        self.bias_wd = bias_wd
        self.linear_wd = linear_wd
        self.factors_wd = factors_wd
        self.clip_gradient = clip_gradient
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tolerance = tolerance
        self.refit = refit
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def bias_(self) -> float:
        """w0."""
        return self._fitted_model().bias

    @property
    def linear_(self) -> npt.NDArray[np.float32]:
        """w: float32, shape (n_features_in_,)."""
        return self._fitted_model().linear

    @property
    def factors_(self) -> npt.NDArray[np.float32]:
        """V: float32, shape (n_features_in_, num_factors)."""
        return self._fitted_model().factors

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as Amazon's container does, for any server that takes its models.

        Args:
            path: an existing folder, in which ``model_algo-1`` is written; a name that ends in ``.tar.gz``; or the
                name of the model file itself.

        Returns:
            the file written.

        Raises:
            PlatformError: the file cannot be written there.
        """
        return self._fitted_model().save(path)

    @classmethod
    def load_model(cls, path: str | os.PathLike[str], **parameters: Any) -> Self:
        """A fitted estimator from a model that an estimator saved, or that a training job made, Amazon's or ours.

        Args:
            path: a ``model.tar.gz``, a model file, or a folder that holds one.
            parameters: of the estimator. ``num_factors`` is the model's.

        Raises:
            ArtifactError: there is no such model, or it is of the other type.
            PlatformError: the file cannot be read.
        """
        model = load_model(path)
        if model.predictor_type is not cls._predictor_type:
            raise ArtifactError(f"the model {path} is a {model.predictor_type}, which {cls.__name__} is not")
        estimator = cls(**{"num_factors": model.num_factors} | parameters)
        facts = EstimatorFacts.read(model.extras, model.feature_dim)
        estimator.n_features_in_ = model.feature_dim
        if facts.feature_names is not None:
            estimator.feature_names_in_ = facts.feature_names
        estimator._set_loaded(model, facts)
        return estimator

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __getstate__(self) -> dict[str, Any]:
        # The model's parameters are pickled as the bytes of its file; what only partial_fit goes on with stays behind.
        state = {name: value for name, value in super().__getstate__().items() if name not in _OF_STREAM}
        if "model_" in state:
            state["model_"] = model_bytes(state["model_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "model_" in state:
            state = state | {"model_": model_from_bytes(state["model_"])}
        super().__setstate__(state)

    # What the subclasses do with it.

    def _set_loaded(self, model: Model, facts: EstimatorFacts) -> None:
        self.model_ = model
        self.n_iter_ = 0
        self.history_ = []

    def _facts(self) -> EstimatorFacts:
        """What the model file is to keep beside the machine."""
        return EstimatorFacts(feature_names=getattr(self, "feature_names_in_", None))

    def _validated(self, X: Any, y: Any, *, reset: bool, y_numeric: bool) -> tuple[SparseRows, npt.NDArray[Any]]:
        X, y = validate_data(self, X, y, reset=reset, accept_sparse="csr", dtype="numeric", y_numeric=y_numeric)
        return as_rows(X, X.shape[1]), y

    def _rows(self, X: Any) -> SparseRows:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype="numeric")
        return as_rows(X, X.shape[1])

    def _train(self, examples: Examples) -> None:
        initial = None
        if self.warm_start and hasattr(self, "model_"):
            initial = self.model_.machine
        examples = examples.checked(self._predictor_type, "training examples")
        fitted = fit(
            examples,
            self._settings(),
            initial=initial,
            threads=self._job_threads(),
            on_progress=_print if self.verbose else None,
        )
        for name in _OF_STREAM:
            self.__dict__.pop(name, None)
        self.n_iter_ = 0 if fitted.best_epoch is None else fitted.best_epoch + 1
        self.history_ = fitted.history
        self._keep(fitted.machine, fitted.settings, len(examples))

    def _train_more(self, examples: Examples, initial: FactorizationMachine | None) -> None:
        """One epoch, from where the last one ended.

        Raises:
            CustomerError: ``initial`` is of another shape than the parameters ask for now; nothing is changed then.
        """
        examples = examples.checked(self._predictor_type, "training examples")
        # A feature that this call's rows lack may come later: two that start with factors of 0 would never interact.
        settings = replace(self._settings(), unseen_at_zero=False)
        extent: Extent | None = self.__dict__.get("_extent")
        if extent is None:
            extent = replace(Extent.of(examples), rows=_ROWS_OF_A_STREAM)
        settings = settings.resolved(extent)
        examples = examples.normalized() if settings.normalize_weights else examples
        learner: Learner | None = self.__dict__.get("_learner")
        if learner is not None and not isinstance(self.random_state, int | np.integer):
            settings = replace(settings, seed=learner.settings.seed)  # each look at it gives another one
        if learner is None or learner.settings != settings:
            learner = Learner(examples, settings, initial=initial, threads=self._job_threads())
        learner.use_threads(self._job_threads())
        done = 0 if initial is None and "_learner" not in self.__dict__ else self.n_iter_
        learner.epoch(learner.scaling.scaled(examples), done)
        self._learner, self._extent = learner, extent
        self.n_iter_ = done + 1
        self._keep(learner.machine(), settings, len(examples))

    def _keep(self, machine: FactorizationMachine, settings: LearningSettings, rows: int) -> None:
        parameters = settings.training_parameters(machine.feature_dim, rows)
        self.model_ = Model(machine, parameters, extras=self._facts().extras())

    def _job_threads(self) -> int:
        """How many threads score."""
        return _threads(self.n_jobs)

    def _fitted_model(self) -> Model:
        check_is_fitted(self)
        return self.model_

    def _settings(self) -> LearningSettings:
        changes = {name: _plain(getattr(self, name)) for name in _SETTINGS if getattr(self, name) is not None}
        if self.early_stopping != "auto":
            if not isinstance(self.early_stopping, bool | np.bool_):
                raise HyperparameterError(f"early_stopping is {self.early_stopping!r}; give 'auto', True or False.")
            changes["early_stopping"] = bool(self.early_stopping)
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(_WITHOUT_SEED)
        return LearningSettings.preset(self.preset, self._predictor_type, seed=int(seed), **changes)


def checked_weights(sample_weight: Any, rows: int) -> npt.NDArray[np.float64] | None:
    """Weights as given to ``fit``: float64, shape (rows,).

    Raises:
        DataError: there is not one for each row, one is negative or not finite, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (rows,):
        raise DataError(f"sample_weight has shape {weights.shape}; expected ({rows},), one weight for each row.")
    if (weights < 0).any():
        raise DataError(f"sample_weight holds {weights.min():g}; weights must be at least 0.")
    if not weights.any():
        raise DataError("Sample weights must contain at least one non-zero number: all of sample_weight is 0.")
    return np.asarray(weights)


def _plain(value: Any) -> Any:
    """A number of NumPy's, as searches over arrays of parameters give it, as one of Python's, which files can hold."""
    return value.item() if isinstance(value, np.generic) else value


def _threads(n_jobs: int | None) -> int:
    processors = len(os.sched_getaffinity(0))
    if n_jobs is None:
        return 1
    if n_jobs == 0:
        raise HyperparameterError("n_jobs is 0; give a number of threads, or -1 for one on each processor.")
    return max(1, processors + 1 + n_jobs) if n_jobs < 0 else n_jobs


def _print(event: Event) -> None:
    if isinstance(event, EpochReport):
        values = " ".join(f"{metric.name}={metric.value:.6f}" for metric in event.train)
        held = " ".join(f"validation {metric.name}={metric.value:.6f}" for metric in event.validation or ())
        print(f"epoch {event.epoch}{' (all rows)' if event.refit else ''}: {values} {held}".rstrip(), flush=True)
