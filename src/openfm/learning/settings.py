"""How to learn: defaults of our own, chosen by benchmark, and Amazon's as a preset."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from openfm.errors import HyperparameterError
from openfm.fm.initializers import Initializer
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings
from openfm.learning.defaults import LEAST_ROWS_TO_HOLD_OUT, Defaults, Extent, batch_size, defaults_for

__all__ = ["LearningSettings", "Preset"]

Preset = Literal["openfm", "sagemaker"]

_ADAMS_EPSILON = 1e-8
_ZERO = Initializer("constant", 0.0)
_SMALL = Initializer("normal", 0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningSettings:
    """What decides the numbers of a training run in memory.

    Names that Amazon's container has mean the same here; the defaults are ours (``docs/estimators.md`` says how they
    were chosen).

    Attributes:
        predictor_type: binary classifier or regressor.
        num_factors: k, factors of each feature; None: 32, or 64 of a regressor.
        epochs: passes over the rows, at most; None: 100, or 300 of fewer than 1000 rows (10 of fewer than 100 where a
            trained machine goes on).
        mini_batch_size: rows of a step; None: by their number, about an eight hundredth of them, from 64 (less of fewer
            than 1280 rows) to 1024.
        bias_lr, linear_lr, factors_lr: Adam's step sizes. None: those of bias and factors are 0.0035 for rows of two
            values, and grow with the root of their number up to 0.015; that of linear weights is 2.6 times as much.
        bias_wd, linear_wd, factors_wd: weight decays (L2). None: 0.002 and 0.025 (0.05 of a regressor) by the root of
            the number of rows, and by the fourth root of features' occurrences in units of 50, where they are more.
        bias_initializer, linear_initializer, factors_initializer: where the parameters start.
        use_bias, use_linear: whether the machine has a bias and linear weights; without, they are 0.
        clip_gradient: bound of each element of the gradient; None: none.
        epsilon: Adam's.
        members: how many machines share the factors: each learns alone with its share of them, and the mean of their
            scores is the score of one machine that has them all. There are fewer where members would have less than 8
            factors: of 32 factors there are four.
        rarity: how much smaller than the others features are made that occur in few rows, so that they learn less from
            each of them (with ``scale``); 0: not at all.
        unseen_at_zero: whether features that occur in no row start with factors of 0, so that the rows in which they
            occur later are scored by what is known of their other features, not by chance too.
        shuffle: whether each epoch takes the rows in a new random order.
        early_stopping: whether the best epoch on held-out rows is kept, and training ends when none better comes; None:
            with at least 100 rows.
        validation_fraction: of the rows, held out for that where no others are given; None: 0.1, or 0.2 of fewer than
            1000.
        patience: how many epochs in a row may be no better.
        tolerance: the share of the lowest loss so far by which a better one is lower.
        averaging: what share of the mean over epochs of the parameters stays when an epoch is added; 0: the last epoch
            counts alone.
        refit: whether, after early stopping on a part of the rows, all of them are trained on for as many epochs.
        scale: whether features and labels are brought to a size of about 1 for training, each feature by a factor of
            its own. The machine that comes out is in their own units.
        start_at_mean: whether the bias starts at the mean label, or at the base rate's logit.
        normalize_weights: whether rows' weights are divided by their mean.
        count_padding: whether empty rows of label 0 fill the last mini-batch and count, as in Amazon's container.
        seed: of initial values, shuffling and the held-out part.
    """

    predictor_type: PredictorType
    num_factors: int | None = None
    epochs: int | None = None
    mini_batch_size: int | None = None
    bias_lr: float | None = None
    linear_lr: float | None = None
    factors_lr: float | None = None
    bias_wd: float = 0.0
    linear_wd: float | None = None
    factors_wd: float | None = None
    bias_initializer: Initializer = _ZERO
    linear_initializer: Initializer = _ZERO
    factors_initializer: Initializer = _SMALL
    use_bias: bool = True
    use_linear: bool = True
    clip_gradient: float | None = None
    epsilon: float = _ADAMS_EPSILON
    members: int = 8
    rarity: float = 60.0
    unseen_at_zero: bool = True
    shuffle: bool = True
    early_stopping: bool | None = None
    validation_fraction: float | None = None
    patience: int = 10
    tolerance: float = 0.0
    averaging: float = 0.95
    refit: bool = True
    scale: bool = True
    start_at_mean: bool = True
    normalize_weights: bool = True
    count_padding: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        positive = {
            "num_factors": self.num_factors,
            "epochs": self.epochs,
            "mini_batch_size": self.mini_batch_size,
            "patience": self.patience,
            "members": self.members,
        }
        for name, value in positive.items():
            if value is not None and value < 1:
                raise HyperparameterError(f"{name} is {value}; it must be at least 1.")
        for name in _NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise HyperparameterError(f"{name} is {value}; it must be a finite number of at least 0.")
        if not 0 <= self.averaging < 1:
            raise HyperparameterError(f"averaging is {self.averaging}; it must be at least 0 and below 1.")
        if self.validation_fraction is not None and not 0 < self.validation_fraction < 1:
            raise HyperparameterError(f"validation_fraction is {self.validation_fraction}; it must be between 0 and 1.")

    @classmethod
    def preset(cls, name: Preset, predictor_type: PredictorType, **changes: Any) -> LearningSettings:
        """Settings by name, with changes.

        Args:
            name: ``openfm``: ours; ``sagemaker``: Amazon's defaults to the letter, which train what the container
                trains of the same records: one epoch, file order, no scaling.
            predictor_type: of the machine.
            changes: settings that differ.

        Raises:
            HyperparameterError: there is no such preset, or a setting is out of its range.
        """
        if name == "openfm":
            return cls(predictor_type=predictor_type, **changes)
        if name == "sagemaker":
            return replace(_SAGEMAKER, predictor_type=predictor_type, **changes)
        raise HyperparameterError(f"There is no preset {name!r}; there are 'openfm' and 'sagemaker'.")

    def resolved(self, extent: Extent, *, goes_on: bool = False) -> LearningSettings:
        """The same settings with numbers for what the rows decide, but for the size of mini-batches.

        Args:
            extent: of what there is to learn from, held-out rows among it; :func:`fit` leaves out rows of weight 0, and
                counts equal rows once where one mini-batch holds all.
            goes_on: whether training starts from a trained machine.

        Returns:
            settings that are known under all names of :class:`~openfm.learning.defaults.Defaults`: as given, else ours.
        """
        ours = defaults_for(extent, self.predictor_type, goes_on=goes_on)
        return replace(self, **{name: getattr(ours, name) for name in self._undecided()})

    def stops_early(self, rows: int) -> bool:
        """Whether a part of so many rows is held out to stop early."""
        return rows >= LEAST_ROWS_TO_HOLD_OUT if self.early_stopping is None else self.early_stopping

    def batch_size(self, rows: int) -> int:
        """The rows of a mini-batch where there are so many in all.

        But for Amazon's container's way (``count_padding``) it is such that all batches have about the same size.
        """
        size = batch_size(rows) if self.mini_batch_size is None else self.mini_batch_size
        if self.count_padding:
            return size
        return -(-rows // -(-rows // size))

    def training_settings(self, feature_dim: int, batch_size: int, start: float | None = None) -> TrainingSettings:
        """What a trainer is told by settings that are :meth:`resolved`.

        Args:
            feature_dim: of the machine.
            batch_size: rows of a mini-batch.
            start: the bias's first value; None: what its initializer gives.

        Raises:
            HyperparameterError: the settings are not resolved.
        """
        known = self._decided()
        of_bias = self.bias_initializer if start is None else Initializer("constant", start)
        return TrainingSettings(
            predictor_type=self.predictor_type,
            feature_dim=feature_dim,
            num_factors=known.num_factors,
            mini_batch_size=batch_size,
            epochs=known.epochs,
            bias=_group(known.bias_lr, self.bias_wd, of_bias),
            linear=_group(known.linear_lr, known.linear_wd, self.linear_initializer),
            factors=_group(known.factors_lr, known.factors_wd, self.factors_initializer),
            use_bias=self.use_bias,
            use_linear=self.use_linear,
            clip_gradient=self.clip_gradient,
            epsilon=self.epsilon,
            seed=self.seed,
        )

    def training_parameters(self, feature_dim: int, rows: int) -> dict[str, str | int]:
        """What an artifact tells of training by :meth:`resolved` settings, under Amazon's names and in its way.

        Args:
            feature_dim: of the machine.
            rows: how many it was trained on.

        Raises:
            HyperparameterError: the settings are not resolved.
        """
        known = self._decided()
        parameters: dict[str, str | int] = {
            "feature_dim": str(feature_dim),
            "num_factors": str(known.num_factors),
            "predictor_type": self.predictor_type.value,
            "epochs": known.epochs,
            "mini_batch_size": str(self.batch_size(rows)),
            "use_bias": _word(self.use_bias),
            "use_linear": _word(self.use_linear),
        }
        for name in _NOT_NEGATIVE:
            if name.endswith(("_lr", "_wd")):
                parameters[name] = repr(getattr(self, name))
        if self.epsilon != _ADAMS_EPSILON:
            parameters["eps"] = repr(self.epsilon)
        parameters |= {"shuffle": _word(self.shuffle), "seed": str(self.seed)}
        if self.clip_gradient is not None:
            parameters["clip_gradient"] = repr(self.clip_gradient)
        return parameters

    def _undecided(self) -> list[str]:
        """The names of what the rows have yet to decide."""
        return [field.name for field in fields(Defaults) if getattr(self, field.name) is None]

    def _decided(self) -> Defaults:
        """What the rows decide where it is not given."""
        if undecided := self._undecided():
            raise HyperparameterError(
                f"The settings have no {' and no '.join(undecided)}, which go by the rows. Give a number, or call "
                "resolved(extent) first."
            )
        return Defaults(**{field.name: getattr(self, field.name) for field in fields(Defaults)})


_NOT_NEGATIVE = (
    "bias_lr", "linear_lr", "factors_lr", "bias_wd", "linear_wd", "factors_wd", "tolerance", "rarity", "seed",
)  # fmt: skip

# The contract's table has these too (a test compares them); this room does not know the contract.
_SAGEMAKER = LearningSettings(
    predictor_type=PredictorType.BINARY_CLASSIFIER,
    num_factors=64,
    epochs=1,
    mini_batch_size=1000,
    bias_lr=0.1,
    linear_lr=0.001,
    factors_lr=0.0001,
    bias_wd=0.01,
    linear_wd=0.001,
    factors_wd=0.00001,
    bias_initializer=Initializer("normal", 0.01),
    linear_initializer=Initializer("normal", 0.01),
    factors_initializer=Initializer("normal", 0.001),
    shuffle=False,
    early_stopping=False,
    validation_fraction=0.1,
    averaging=0.0,
    members=1,
    rarity=0.0,
    unseen_at_zero=False,
    refit=False,
    scale=False,
    start_at_mean=False,
    normalize_weights=False,
    count_padding=True,
)


def _group(rate: float, decay: float, initializer: Initializer) -> GroupSettings:
    return GroupSettings(learning_rate=rate, weight_decay=decay, initializer=initializer)


def _word(flag: bool) -> str:
    return "true" if flag else "false"
