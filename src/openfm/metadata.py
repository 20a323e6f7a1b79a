"""What a platform asks to know of the algorithm, as the JSON of SageMaker's own API.

All of it is made from the declarations that jobs are checked with and requests are read with, so that it cannot say
anything else than they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openfm.codecs.registry import DECODERS, ENCODERS
from openfm.contract.channel_table import CHANNELS, ChannelDeclaration
from openfm.contract.hyperparameter_kinds import Choice, Flag, Integer, Number
from openfm.contract.hyperparameter_table import DECLARATIONS, Declaration
from openfm.contract.metric_definitions import METRIC_DEFINITIONS

__all__ = ["create_algorithm_request", "metric_definitions", "parameter_ranges"]

_MAX_FLOAT32 = float(np.finfo(np.float32).max)

_INSTANCE_SIZES = {
    "m5": ("large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"),
    "m6i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge"),
    "m7i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"),
    "c5": ("xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"),
    "c6i": ("xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge"),
    "c7i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"),
    "r6i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge"),
    "r7i": ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"),
}
"""Families of x86-64 processors without GPU that SageMaker offers for training, transform and endpoints alike."""

_INSTANCE_TYPES = [f"ml.{family}.{size}" for family, sizes in _INSTANCE_SIZES.items() for size in sizes]


def create_algorithm_request(name: str, image: str) -> dict[str, Any]:
    """The request of SageMaker's ``CreateAlgorithm`` that registers an image of openfm.

    Args:
        name: of the algorithm to create.
        image: the URI of the image, for training and inference.
    """
    return {
        "AlgorithmName": name,
        "AlgorithmDescription": "Factorization Machines as SageMaker's built-in algorithm trains and serves them",
        "TrainingSpecification": {
            "TrainingImage": image,
            "SupportedHyperParameters": [_hyperparameter(declaration) for declaration in DECLARATIONS],
            "SupportedTrainingInstanceTypes": _INSTANCE_TYPES,
            "SupportsDistributedTraining": True,
            "MetricDefinitions": metric_definitions(),
            "TrainingChannels": [_channel(channel) for channel in CHANNELS],
            "SupportedTuningJobObjectiveMetrics": [
                {"Type": definition.objective, "MetricName": definition.name}
                for definition in METRIC_DEFINITIONS
                if definition.objective is not None
            ],
        },
        "InferenceSpecification": {
            "Containers": [{"Image": image}],
            "SupportedTransformInstanceTypes": _INSTANCE_TYPES,
            "SupportedRealtimeInferenceInstanceTypes": _INSTANCE_TYPES,
            "SupportedContentTypes": list(DECODERS),
            "SupportedResponseMIMETypes": list(ENCODERS),
        },
    }


def metric_definitions() -> list[dict[str, str]]:
    """``MetricDefinitions`` of ``CreateTrainingJob``; the SageMaker SDK's ``metric_definitions`` have the same form."""
    return [{"Name": definition.name, "Regex": definition.regex} for definition in METRIC_DEFINITIONS]


def parameter_ranges() -> dict[str, list[dict[str, str]]]:
    """``ParameterRanges`` of ``CreateHyperParameterTuningJob``: the ranges that Amazon recommends to search."""
    ranges: dict[str, list[dict[str, str]]] = {"IntegerParameterRanges": [], "ContinuousParameterRanges": []}
    for declaration in DECLARATIONS:
        recommended = declaration.traits.recommended
        if not declaration.traits.tunable or recommended is None:
            continue
        key = "IntegerParameterRanges" if isinstance(declaration.kind, Integer) else "ContinuousParameterRanges"
        ranges[key].append(
            {
                "Name": declaration.name,
                "MinValue": str(recommended.minimum),
                "MaxValue": str(recommended.maximum),
                "ScalingType": recommended.scale,
            }
        )
    return ranges


def _hyperparameter(declaration: Declaration) -> dict[str, Any]:
    specification = {
        "Name": declaration.name,
        "Description": declaration.description,
        **_type_and_range(declaration),
        "IsTunable": declaration.traits.tunable,
        "IsRequired": declaration.required,
    }
    if declaration.default is not None:
        specification["DefaultValue"] = str(declaration.default)
    return specification


def _type_and_range(declaration: Declaration) -> dict[str, Any]:
    """The values that a job may give, which are more than those that a tuning job should try."""
    match declaration.kind:
        case Integer(minimum=minimum, maximum=maximum):
            bounds = {"MinValue": str(minimum), "MaxValue": str(maximum)}
            return {"Type": "Integer", "Range": {"IntegerParameterRangeSpecification": bounds}}
        case Number(minimum=lowest):
            bounds = {"MinValue": str(-_MAX_FLOAT32 if lowest is None else lowest), "MaxValue": str(_MAX_FLOAT32)}
            return {"Type": "Continuous", "Range": {"ContinuousParameterRangeSpecification": bounds}}
        case Choice(options=options):
            return _categorical([str(option) for option in options])
        case Flag():
            return _categorical(["true", "false"])
        case _:
            return {"Type": "FreeText"}


def _categorical(values: list[str]) -> dict[str, Any]:
    return {"Type": "Categorical", "Range": {"CategoricalParameterRangeSpecification": {"Values": values}}}


def _channel(channel: ChannelDeclaration) -> dict[str, Any]:
    return {
        "Name": channel.names[0],
        "Description": channel.description,
        "IsRequired": channel.required,
        "SupportedContentTypes": list(channel.content_types),
        "SupportedCompressionTypes": list(channel.compression_types),
        "SupportedInputModes": list(channel.input_modes),
    }
