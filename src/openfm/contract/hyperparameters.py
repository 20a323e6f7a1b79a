"""The hyperparameters of a job: read in every encoding of the contract, checked, made settings."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import PrivateAttr, ValidationError

from openfm.contract.hyperparameter_messages import describe_mistakes
from openfm.contract.hyperparameter_table import (
    DECLARATIONS,
    DEFAULT_CONFIGURATION,
    DEFAULT_UNIFORM_SCALE,
    DenseNetwork,
    HyperparameterTable,
)
from openfm.errors import HyperparameterError
from openfm.fm.initializers import Initializer, InitMethod
from openfm.fm.model import PredictorType
from openfm.fm.settings import GroupSettings, TrainingSettings

__all__ = ["DEFAULT_CONFIGURATION", "DenseNetwork", "Hyperparameters"]

_GROUPS = ("bias", "linear", "factors")
_WITHOUT_EFFECT = (
    "_data_format",
    "_kvstore",
    "_num_gpus",
    "_num_kv_servers",
    "_optimizer",
    "_use_full_symbolic",
)
_INIT_PARAMETERS: dict[InitMethod, str] = {
    "normal": "sigma",
    "uniform": "scale",
    "constant": "value",
}
# Every sigma has a default of its own. Amazon does not say what a missing scale or value means.
_INIT_DEFAULTS: dict[InitMethod, float] = {"uniform": DEFAULT_UNIFORM_SCALE, "constant": 0.0}


class Hyperparameters(HyperparameterTable):
    """The hyperparameters of one job, checked. Made by :meth:`parse`."""

    _given: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def parse(cls, raw: Mapping[str, object], *, strict: bool = False) -> Hyperparameters:
        """Check the content of a ``hyperparameters.json``.

        A value may be text (``"10"``), text in quotes of its own (``"\\"regressor\\""``), or what
        JSON or Python has for it (``10``, ``true``); null, ``"null"`` and ``"None"`` mean that it
        is not given. Names that begin with ``sagemaker_`` belong to the platform and are dropped.

        Args:
            raw: names and values.
            strict: whether openfm's own hyperparameters are unknown, as they are to Amazon's
                container.

        Raises:
            HyperparameterError: lists every mistake at once.
        """
        known = [d.name for d in DECLARATIONS if not (strict and d.traits.origin == "openfm")]
        provided = {name: _decode(raw[name]) for name in sorted(raw) if not _is_platforms(name)}
        unknown = [name for name in provided if name not in known]
        given = {name: value for name, value in provided.items() if name in known and value is not None}
        try:
            parsed = cls.model_validate(given)
        except ValidationError as error:
            raise HyperparameterError(describe_mistakes(error, unknown, known)) from None
        if unknown:
            raise HyperparameterError(describe_mistakes(None, unknown, known))
        parsed._given = {name: _as_text(value) for name, value in given.items()}
        return parsed

    @property
    def given(self) -> dict[str, str]:
        """What the job gave, as text without quotes of its own, in alphabetical order."""
        return dict(self._given)

    def final_configuration(self) -> dict[str, int | str]:
        """Amazon's defaults updated with what was given: an artifact's ``training_parameters``.

        An overridden name keeps its place, a new one is appended. A hyperparameter of openfm's own
        is in it only if it was given.
        """
        return DEFAULT_CONFIGURATION | self._given

    def network_settings(self) -> TrainingSettings:
        """What the network that ``dense_network`` chooses trains with."""
        if self.dense_network is DenseNetwork.AMAZON:
            return self.amazon_dense_settings()
        return self.training_settings()

    def training_settings(self) -> TrainingSettings:
        """What the documented (sparse) network trains with."""
        return self._settings(bias=self._group("bias"), linear=self._group("linear"), factors=self._group("factors"))

    def amazon_dense_settings(self) -> TrainingSettings:
        """What Amazon's own network for dense records trains with, as far as it is known.

        It attaches none of the documented rates, decays and initialisations: every group learns at
        ``_learning_rate``, only the linear weights decay (MXNet decays what is named ``*_weight``),
        every feature is updated in every batch, and factors are drawn transposed, after the linear
        weights.
        """
        rate, decay = self.learning_rate, self.weight_decay
        return self._settings(
            bias=GroupSettings(learning_rate=rate, weight_decay=0.0, initializer=Initializer("constant", 0.0)),
            linear=GroupSettings(learning_rate=rate, weight_decay=decay, initializer=Initializer("uniform", 0.01)),
            factors=GroupSettings(learning_rate=rate, weight_decay=0.0, initializer=Initializer("normal", 0.01)),
            lazy_update=False,
            factors_transposed=True,
        )

    def remarks(self) -> list[str]:
        """What a user may want to know of the given values, one sentence each, for the log."""
        remarks = []
        idle = [name for name in _WITHOUT_EFFECT if name in self._given]
        if idle:
            remarks.append(f"Accepted, but without effect in openfm: {', '.join(idle)}.")
        for group in _GROUPS:
            remarks.extend(self._initialization_remarks(group))
        if self.factors_init_method == "constant":
            remarks.append(
                "factors_init_method is 'constant': all factors of a feature start alike and stay "
                "alike, so that the model learns no more than with one factor; 'normal' or "
                "'uniform' makes use of all."
            )
        if self.clip_gradient is not None and self.clip_gradient < 0:
            remarks.append(f"clip_gradient {self.clip_gradient!r} is negative: gradients are not clipped.")
        if "early_stopping_tolerance" in self._given and self.early_stopping_patience is None:
            remarks.append("early_stopping_tolerance has no effect: early_stopping_patience is not given.")
        if self.positive_weight is not None and self.predictor_type is not PredictorType.BINARY_CLASSIFIER:
            remarks.append("positive_weight has no effect: predictor_type is not 'binary_classifier'.")
        return remarks

    def _settings(
        self,
        *,
        bias: GroupSettings,
        linear: GroupSettings,
        factors: GroupSettings,
        lazy_update: bool = True,
        factors_transposed: bool = False,
    ) -> TrainingSettings:
        classifies = self.predictor_type is PredictorType.BINARY_CLASSIFIER
        clips = self.clip_gradient is not None and self.clip_gradient >= 0
        return TrainingSettings(
            predictor_type=self.predictor_type,
            feature_dim=self.feature_dim,
            num_factors=self.num_factors,
            mini_batch_size=self.mini_batch_size,
            epochs=self.epochs,
            bias=bias,
            linear=linear,
            factors=factors,
            use_bias=self.use_bias,
            use_linear=self.use_linear,
            clip_gradient=self.clip_gradient if clips else None,
            rescale_grad=self.rescale_grad,
            epsilon=1e-8 if self.eps is None else self.eps,
            seed=self.seed,
            shuffle=self.shuffle,
            positive_weight=self.positive_weight if classifies else None,
            lazy_update=lazy_update,
            factors_transposed=factors_transposed,
        )

    def _group(self, group: str) -> GroupSettings:
        method: InitMethod = getattr(self, f"{group}_init_method")
        scale = getattr(self, f"{group}_init_{_INIT_PARAMETERS[method]}")
        return GroupSettings(
            learning_rate=self.learning_rate * getattr(self, f"{group}_lr"),
            weight_decay=self.weight_decay * getattr(self, f"{group}_wd"),
            initializer=Initializer(method, _INIT_DEFAULTS[method] if scale is None else scale),
        )

    def _initialization_remarks(self, group: str) -> list[str]:
        method: InitMethod = getattr(self, f"{group}_init_method")
        used = _INIT_PARAMETERS[method]
        remarks = []
        for parameter in _INIT_PARAMETERS.values():
            name = f"{group}_init_{parameter}"
            if name in self._given and parameter != used:
                remarks.append(f"{name} has no effect: {group}_init_method is '{method}'.")
        if getattr(self, f"{group}_init_{used}") is None:
            remarks.append(f"{group}_init_{used} is not given: {_INIT_DEFAULTS[method]} is used.")
        return remarks


def _is_platforms(name: str) -> bool:
    return name.startswith("sagemaker_")


def _decode(value: object) -> object:
    """Take off the quotes of a value that was JSON-encoded twice; None if it is not given."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            value = json.loads(value)
        except ValueError:
            return value  # not JSON after all: refused, and shown, as it is
    return None if value in ("None", "null") else value


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
