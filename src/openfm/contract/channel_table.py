"""The table of all data channels of a job, each declared once: names, content types, input modes, meaning."""

from __future__ import annotations

from dataclasses import dataclass

from openfm.contract.content_types import CONTENT_TYPES

__all__ = ["CHANNELS", "MODEL", "TEST", "TRAIN", "VALIDATION", "ChannelDeclaration"]


@dataclass(frozen=True, slots=True)
class ChannelDeclaration:
    """One channel.

    Attributes:
        names: its name, as in ``inputdataconfig.json`` and under ``input/data``, and other names that it may have.
        description: what it holds, in a sentence or two.
        required: whether a job must have it.
        content_types: what it may hold; the first is what is taken for granted where it is not given.
        input_modes: how the platform may hand it over.
        compression_types: how its files may be compressed.
    """

    names: tuple[str, ...]
    description: str
    required: bool = False
    content_types: tuple[str, ...] = CONTENT_TYPES
    input_modes: tuple[str, ...] = ("File", "FastFile", "Pipe")
    compression_types: tuple[str, ...] = ("None", "Gzip")


TRAIN = ChannelDeclaration(
    ("train", "training"),  # the second is what the SageMaker SDK calls data without a channel's name
    "Labelled records to train on, in the order in which they are trained.",
    required=True,
)
TEST = ChannelDeclaration(("test",), "Labelled records to score the trained model on, once, at the end.")
VALIDATION = ChannelDeclaration(
    ("validation",),
    "Labelled records to score the model on after each epoch, for early_stopping_patience. Without a channel 'test' "
    "they are scored at the end too.",
)
MODEL = ChannelDeclaration(
    ("model",),  # what the SageMaker SDK calls its model_uri
    "A trained model (model.tar.gz or model_algo-1) whose parameters are the initial ones. Its feature_dim may be "
    "smaller than the job's.",
    content_types=("application/x-sagemaker-model",),
    input_modes=("File", "FastFile"),
    compression_types=("None",),
)

CHANNELS = (TRAIN, TEST, VALIDATION, MODEL)
"""All channels; the required first."""
