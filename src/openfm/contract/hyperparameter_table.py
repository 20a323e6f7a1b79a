"""The table of all hyperparameters, each declared once: name, kind, default, range, meaning.

Fields stand in the order of the default configuration that Amazon's container logs, so that the
table is also the source of :data:`DEFAULT_CONFIGURATION` and of the order of
``training_parameters`` in an artifact. A default is written as Amazon writes it (a string;
``epochs`` is the one int) and is read like any given value.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from openfm.contract.hyperparameter_kinds import (
    Choice,
    Flag,
    Integer,
    Kind,
    Number,
    Range,
    Text,
    Traits,
)
from openfm.fm.initializers import InitMethod
from openfm.fm.model import PredictorType
from openfm.fm.rows import MAX_FEATURE_DIM

__all__ = [
    "DECLARATIONS",
    "DEFAULT_CONFIGURATION",
    "DEFAULT_UNIFORM_SCALE",
    "Declaration",
    "DenseNetwork",
    "HyperparameterTable",
]

DEFAULT_UNIFORM_SCALE = 0.07
"""Half width of a ``uniform`` start whose scale is not given: MXNet's Uniform has the same."""


class DenseNetwork(enum.StrEnum):
    """Which network trains dense records."""

    DOCUMENTED = "documented"
    AMAZON = "amazon"


_POSITIVE = Integer(minimum=1)
_NOT_NEGATIVE = Number(minimum=0)
_ANY_NUMBER = Number()
_METHOD = Choice(("uniform", "normal", "constant"))
_SEARCHED = Traits(tunable=True, recommended=Range(1e-8, 512, "Logarithmic"))
_UNDOCUMENTED = Traits(documented=False)
_OURS = Traits(origin="openfm")


def _field(description: str, *, default: str | int | None = None, alias: str | None = None) -> Any:
    """A field with its default as Amazon writes it; ``alias`` is a name that no field can have."""
    if default is None:
        return Field(None, description=description, alias=alias)
    return Field(default, description=description, alias=alias, validate_default=True)


def _required(description: str) -> Any:
    return Field(description=description)


def _rate(group: str, default: str) -> Any:
    return _field(f"Learning rate of {group}.", default=default)


def _decay(group: str, default: str) -> Any:
    return _field(f"Weight decay (L2 regularisation) of {group}.", default=default)


def _method(group: str) -> Any:
    return _field(
        f"Initialisation of {group}: 'normal' draws from a normal distribution of mean 0, "
        f"'uniform' from an interval around 0, 'constant' sets one value.",
        default="normal",
    )


def _sigma(group: str, default: str) -> Any:
    return _field(f"Standard deviation of the 'normal' initialisation of {group}.", default=default)


def _scale(group: str) -> Any:
    return _field(
        f"Half width of the 'uniform' initialisation of {group}: from -scale to scale. Not given: "
        f"{DEFAULT_UNIFORM_SCALE}, the default of MXNet's initializer (Amazon does not say what "
        f"its container does)."
    )


def _value(group: str) -> Any:
    return _field(
        f"Value of the 'constant' initialisation of {group}. Not given: 0 (Amazon does not say "
        f"what its container does)."
    )


class HyperparameterTable(BaseModel):
    """The fields; :class:`openfm.contract.hyperparameters.Hyperparameters` is what jobs use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_dim: Annotated[
        int,
        Integer(minimum=1, maximum=MAX_FEATURE_DIM),
        Traits(recommended=Range(10_000, 10_000_000)),
    ] = _required("Number of features: the width of the input.")
    num_factors: Annotated[int, _POSITIVE, Traits(recommended=Range(2, 1000))] = _required(
        "Number of factors of each feature; 64 is a good start."
    )
    predictor_type: Annotated[PredictorType, Choice(tuple(PredictorType))] = _required(
        "'binary_classifier' learns labels 0 and 1 and predicts a probability, 'regressor' learns any number."
    )

    epochs: Annotated[int, _POSITIVE, Traits(tunable=True, recommended=Range(1, 1000))] = _field(
        "Number of passes over the training data.", default=1
    )
    mini_batch_size: Annotated[int, _POSITIVE, Traits(tunable=True, recommended=Range(100, 10_000))] = _field(
        "Number of records of one step of the optimiser.", default="1000"
    )
    use_bias: Annotated[bool, Flag(), _UNDOCUMENTED] = _field(
        "Whether the model has a bias; without, it is 0.", default="true"
    )
    use_linear: Annotated[bool, Flag(), _UNDOCUMENTED] = _field(
        "Whether the model has linear weights; without, they are 0.", default="true"
    )
    bias_lr: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _rate("the bias", "0.1")
    linear_lr: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _rate("the linear weights", "0.001")
    factors_lr: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _rate("the factors", "0.0001")
    bias_wd: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _decay("the bias", "0.01")
    linear_wd: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _decay("the linear weights", "0.001")
    factors_wd: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _decay("the factors", "0.00001")
    bias_init_method: Annotated[InitMethod, _METHOD] = _method("the bias")
    bias_init_sigma: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _sigma("the bias", "0.01")
    linear_init_method: Annotated[InitMethod, _METHOD] = _method("the linear weights")
    linear_init_sigma: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _sigma("the linear weights", "0.01")
    factors_init_method: Annotated[InitMethod, _METHOD] = _method("the factors")
    factors_init_sigma: Annotated[float, _NOT_NEGATIVE, _SEARCHED] = _sigma("the factors", "0.001")
    batch_metrics_publish_interval: Annotated[int, _POSITIVE, _UNDOCUMENTED] = _field(
        "The metrics of an epoch so far are logged at its batch 0 and every so many batches.",
        default="500",
    )

    data_format: Annotated[str, Choice(("record",)), _UNDOCUMENTED] = _field(
        "Format of the data; 'record' (recordIO-protobuf) is the only one.",
        default="record",
        alias="_data_format",
    )
    kvstore: Annotated[str, Text(), _UNDOCUMENTED] = _field(
        "MXNet's parameter store; selects nothing here.", default="auto", alias="_kvstore"
    )
    learning_rate: Annotated[float, _NOT_NEGATIVE, _UNDOCUMENTED] = _field(
        "Factor on all three learning rates.", default="1.0", alias="_learning_rate"
    )
    log_level: Annotated[
        str, Choice(("debug", "info", "warning", "error", "critical"), any_case=True), _UNDOCUMENTED
    ] = _field(
        "The least severe log lines to print. Metric lines and errors are always printed.",
        default="info",
        alias="_log_level",
    )
    num_gpus: Annotated[str, Text(), _UNDOCUMENTED] = _field(
        "Number of GPUs; selects nothing here.", default="auto", alias="_num_gpus"
    )
    num_kv_servers: Annotated[str, Text(), _UNDOCUMENTED] = _field(
        "Number of MXNet's parameter servers; selects nothing here.",
        default="auto",
        alias="_num_kv_servers",
    )
    optimizer: Annotated[str, Choice(("adam",)), _UNDOCUMENTED] = _field(
        "The optimiser; 'adam' is the only one.", default="adam", alias="_optimizer"
    )
    tuning_objective_metric: Annotated[str, Text(), _UNDOCUMENTED] = _field(
        "The metric that a tuning job watches; the job sets it and it selects nothing.",
        default="",
        alias="_tuning_objective_metric",
    )
    use_full_symbolic: Annotated[bool, Flag(), _UNDOCUMENTED] = _field(
        "Whether Amazon's container trains dense data by its fully symbolic network; selects "
        "nothing here, see 'dense_network'.",
        default="true",
        alias="_use_full_symbolic",
    )
    weight_decay: Annotated[float, _NOT_NEGATIVE, _UNDOCUMENTED] = _field(
        "Factor on all three weight decays.", default="1.0", alias="_wd"
    )

    clip_gradient: Annotated[float | None, _ANY_NUMBER] = _field(
        "Each element of the gradient is clipped to [-clip_gradient, clip_gradient], after weight "
        "decay is added. Not given, or negative: no clipping."
    )
    eps: Annotated[float | None, _ANY_NUMBER] = _field("Epsilon of Adam. Not given: 1e-8.")
    rescale_grad: Annotated[float | None, _ANY_NUMBER] = _field(
        "Factor on the summed gradient of a batch. Not given: 1 / mini_batch_size."
    )
    bias_init_scale: Annotated[float | None, _NOT_NEGATIVE, _SEARCHED] = _scale("the bias")
    bias_init_value: Annotated[float | None, _ANY_NUMBER, _SEARCHED] = _value("the bias")
    linear_init_scale: Annotated[float | None, _NOT_NEGATIVE, _SEARCHED] = _scale("the linear weights")
    linear_init_value: Annotated[float | None, _ANY_NUMBER, _SEARCHED] = _value("the linear weights")
    factors_init_scale: Annotated[float | None, _NOT_NEGATIVE, _SEARCHED] = _scale("the factors")
    factors_init_value: Annotated[float | None, _ANY_NUMBER, _SEARCHED] = _value("the factors")

    seed: Annotated[int, Integer(minimum=0), _OURS] = _field(
        "Shifts the random streams of initial values and shuffling; 0 gives the initial values of Amazon's container.",
        default=0,
    )
    shuffle: Annotated[bool, Flag(), _OURS] = _field(
        "Whether each epoch takes the records in a new random order. Amazon's container never shuffles.",
        default="false",
    )
    dense_network: Annotated[DenseNetwork, Choice(tuple(DenseNetwork)), _OURS] = _field(
        "What trains dense records: 'documented', the network and rates that are documented and "
        "that sparse records always get, or 'amazon', the network that Amazon's container gives "
        "to dense records, which ignores the documented rates, decays and initial values.",
        default="documented",
    )
    early_stopping_patience: Annotated[int | None, _POSITIVE, _OURS] = _field(
        "Training ends after so many epochs in a row that did not lower the loss on the channel "
        "'validation', and the model is that of the best epoch. Not given: all epochs are trained."
    )
    early_stopping_tolerance: Annotated[float, _NOT_NEGATIVE, _OURS] = _field(
        "An epoch counts as better only if it lowers the loss on the channel 'validation' by more "
        "than this share of the lowest so far; 0.01 is one percent.",
        default="0",
    )
    positive_weight: Annotated[float | None, _NOT_NEGATIVE, _OURS] = _field(
        "What the gradient of each record of label 1 is multiplied by, for a 'binary_classifier' whose labels are "
        "unbalanced, besides the record's own weight, if it has one; metrics count each record once all the same. Not "
        "given: 1."
    )


@dataclass(frozen=True, slots=True)
class Declaration:
    """One hyperparameter, for whoever checks, prints or documents them all.

    Attributes:
        name: as it stands in ``hyperparameters.json``.
        kind: the values it takes.
        traits: whose it is, and what may be searched.
        description: its meaning, in a sentence or two.
        required: whether a job must give it.
        default: as Amazon writes it; None: none.
    """

    name: str
    kind: Kind
    traits: Traits
    description: str
    required: bool
    default: int | str | None


def _declarations() -> tuple[Declaration, ...]:
    found = []
    for name, field in HyperparameterTable.model_fields.items():
        kind = next(item for item in field.metadata if isinstance(item, Kind))
        traits = next((item for item in field.metadata if isinstance(item, Traits)), Traits())
        found.append(
            Declaration(
                name=field.alias or name,
                kind=kind,
                traits=traits,
                description=field.description or "",
                required=field.is_required(),
                default=None if field.is_required() else field.default,
            )
        )
    return tuple(found)


DECLARATIONS: tuple[Declaration, ...] = _declarations()
"""All hyperparameters: the required, Amazon's defaults in their order, then the rest."""

DEFAULT_CONFIGURATION: dict[str, int | str] = {
    declaration.name: declaration.default
    for declaration in DECLARATIONS
    if declaration.traits.origin == "amazon" and declaration.default is not None
}
"""The default configuration of Amazon's container, in its order."""
