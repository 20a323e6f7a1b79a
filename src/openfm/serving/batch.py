"""Batch transform: what the platform asks before it sends the first payload."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from openfm.contract.environment import available_cpus
from openfm.serving.settings import ServingSettings

__all__ = ["batch_blueprint", "execution_parameters"]

# SageMaker's limit on MaxConcurrentTransforms times MaxPayloadInMB (CreateTransformJob).
_MOST_IN_FLIGHT_MB = 100


def batch_blueprint(settings: ServingSettings) -> Blueprint:
    """``GET /execution-parameters``."""
    blueprint = Blueprint("batch", __name__)

    @blueprint.get("/execution-parameters")
    def parameters() -> dict[str, Any]:
        return execution_parameters(settings)

    return blueprint


def execution_parameters(settings: ServingSettings) -> dict[str, Any]:
    """What a transform job that does not say otherwise should use; what it says wins over this.

    ``MULTI_RECORD`` is how Amazon's documentation and containers spell the strategy, but the SDK's local mode stops at
    anything but ``MultiRecord``. There the strategy is left out, and its default is the same.
    """
    payload = settings.payload_mb
    most = max(1, _MOST_IN_FLIGHT_MB // max(1, payload))
    parameters: dict[str, Any] = {
        "MaxConcurrentTransforms": min(settings.workers or available_cpus(), most),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": payload,
    }
    if settings.local_mode:
        del parameters["BatchStrategy"]
    return parameters
