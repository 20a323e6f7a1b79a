"""What a training run is told: the settings of the optimiser and of the three groups of parameters."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.fm.initializers import Initializer
from openfm.fm.model import PredictorType

__all__ = ["GroupSettings", "TrainingSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """How one group of parameters (bias, linear or factors) starts and learns.

    Attributes:
        learning_rate: Adam's step size, >= 0.
        weight_decay: L2 penalty added to the gradient (``weight_decay * parameter``), >= 0.
        initializer: where the parameters start.
    """

    learning_rate: float
    weight_decay: float
    initializer: Initializer


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Everything that decides the numbers of a training run.

    Attributes:
        predictor_type: the loss: logistic for a binary classifier, half the squared error for a regressor.
        feature_dim: width of the input.
        num_factors: number k of factors of each feature.
        mini_batch_size: records of one optimiser step; the last batch of an epoch is padded with empty records.
        epochs: passes over the data.
        bias, linear, factors: settings of w0, w and V.
        use_bias, use_linear: whether w0 and w exist; left out, they are 0 and stay 0.
        clip_gradient: each gradient element is clipped to [-c, c] after weight decay is added; None: no clipping.
        rescale_grad: factor on the summed gradient of a batch; None: 1 / mini_batch_size.
        epsilon: Adam's epsilon.
        seed: shifts the random streams of the initial values (0: Amazon's own) and of shuffling.
        shuffle: whether each epoch takes the records in a new random order.
        positive_weight: factor on the gradient of records of label 1; None: 1.
        lazy_update: whether w and V change only where a feature occurs in the batch (Amazon's sparse network). False
            updates and decays every feature in every batch (Amazon's dense network).
        factors_transposed: whether V is drawn as a (k, D) matrix after w, as Amazon's dense network does, and not as
            (D, k) before w0 and w.
    """

    predictor_type: PredictorType
    feature_dim: int
    num_factors: int
    mini_batch_size: int
    epochs: int
    bias: GroupSettings
    linear: GroupSettings
    factors: GroupSettings
    use_bias: bool = True
    use_linear: bool = True
    clip_gradient: float | None = None
    rescale_grad: float | None = None
    epsilon: float = 1e-8
    seed: int = 0
    shuffle: bool = False
    positive_weight: float | None = None
    lazy_update: bool = True
    factors_transposed: bool = False
