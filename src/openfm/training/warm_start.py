"""Training that goes on from the model in the channel ``model``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from openfm.artifact.loading import load_model
from openfm.errors import ArtifactError, ChannelError
from openfm.fm.model import FactorizationMachine
from openfm.fm.settings import TrainingSettings
from openfm.fm.trainer import initial_machine

__all__ = ["machine_to_start_from"]


def machine_to_start_from(path: Path, settings: TrainingSettings, *, threads: int = 1) -> FactorizationMachine:
    """Load the initial parameters of a job from a model.

    Args:
        path: the channel: a folder with ``model.tar.gz`` or ``model_algo-1``, or one of these itself.
        settings: of the job. If its ``feature_dim`` is greater than the model's, the new features get the values that
            they would have got in a new job.
        threads: how many threads draw these.

    Raises:
        ChannelError: there is no model that can be read, or it is of another kind, has other factors, or more features
            than the job.
    """
    try:
        model = load_model(path).machine
    except ArtifactError as error:
        raise ChannelError(
            f"Channel 'model' has no model to start from: {error}. Put the model.tar.gz of a Factorization Machine "
            "there, or leave the channel out."
        ) from error
    if model.predictor_type is not settings.predictor_type:
        raise _unfit(path, "predictor_type", model.predictor_type.value, settings.predictor_type.value)
    if model.num_factors != settings.num_factors:
        raise _unfit(path, "num_factors", model.num_factors, settings.num_factors)
    for name, used, values in (
        ("use_bias", settings.use_bias, model.bias),
        ("use_linear", settings.use_linear, model.linear),
    ):
        if not used and np.any(values):
            raise _unfit(path, name, "true", "false")
    if model.feature_dim > settings.feature_dim:
        raise _unfit(path, "feature_dim", model.feature_dim, settings.feature_dim)
    if model.feature_dim == settings.feature_dim:
        return model
    drawn = initial_machine(settings, threads=threads)
    return FactorizationMachine(
        model.bias,
        np.concatenate([model.linear, drawn.linear[model.feature_dim :]]),
        np.concatenate([model.factors, drawn.factors[model.feature_dim :]]),
        settings.predictor_type,
    )


def _unfit(path: Path, name: str, found: object, expected: object) -> ChannelError:
    return ChannelError(
        f"The model in channel 'model' ({path}) has {name} {found}, but the job has {name} {expected}. Set the "
        "hyperparameter to the model's value, or leave the channel out."
    )
