"""The table of all data channels of a job, each declared once: name, content types, input modes, meaning."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.contract.config import CONTENT_TYPES

__all__ = ["CHANNELS", "ChannelDeclaration"]


@dataclass(frozen=True, slots=True)
class ChannelDeclaration:
    """One channel.

    Attributes:
        name: as it stands in ``inputdataconfig.json`` and under ``input/data``.
        description: what it holds, in a sentence or two.
        required: whether a job must have it.
        content_types: what it may hold; the first is what it is called where it is not given.
        input_modes: how the platform may hand it over.
        compression_types: how its files may be compressed.
    """

    name: str
    description: str
    required: bool = False
    content_types: tuple[str, ...] = CONTENT_TYPES
    input_modes: tuple[str, ...] = ("File", "FastFile", "Pipe")
    compression_types: tuple[str, ...] = ("None", "Gzip")


CHANNELS = (
    ChannelDeclaration("train", "Labelled records to train on, in the order in which they are trained.", required=True),
    ChannelDeclaration("test", "Labelled records to score the trained model on, once, at the end."),
    ChannelDeclaration(
        "validation",
        "Labelled records to score the model on after each epoch, for early_stopping_patience. Without a channel "
        "'test' they are scored at the end too.",
    ),
    ChannelDeclaration(
        "model",
        "A trained model (model.tar.gz or model_algo-1) whose parameters are the initial ones. Its feature_dim may be "
        "smaller than the job's.",
        content_types=("application/x-sagemaker-model",),
        input_modes=("File", "FastFile"),
        compression_types=("None",),
    ),
)
"""All channels; the required first."""
