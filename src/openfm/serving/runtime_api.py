"""SageMaker's own ``InvokeEndpoint``, so that boto3 can be pointed at this server instead of at AWS.

With ``AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=http://127.0.0.1:8080`` and any credentials,
``boto3.client("sagemaker-runtime").invoke_endpoint(...)`` works unchanged. The forms are those of the service's model
in botocore (``sagemaker-runtime/2017-05-13``).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from openfm.serving.answers import describe_error
from openfm.serving.target_models import TARGET_MODEL, TargetModelError

__all__ = ["refuse_target", "runtime_blueprint"]

_TARGET_VARIANT = "X-Amzn-SageMaker-Target-Variant"
_INVOKED_VARIANT = "x-Amzn-Invoked-Production-Variant"
_ERROR_TYPE = "x-amzn-ErrorType"
_REQUEST_ID = "x-amzn-RequestId"

_DEFAULT_VARIANT = "AllTraffic"  # as the SageMaker SDK names an endpoint's only variant
_MODEL_ERROR_STATUS = 424
_LONGEST_MESSAGE = 2048  # of OriginalMessage


def runtime_blueprint(invoke: Callable[[], Response]) -> Blueprint:
    """``POST /endpoints/{name}/invocations``, whatever the endpoint is called.

    Args:
        invoke: answers the current request as the container would. What it refuses becomes a ``ModelError``, but for
            a :class:`TargetModelError`, which becomes a ``ValidationError``.
    """
    blueprint = Blueprint("runtime", __name__)

    @blueprint.post("/endpoints/<endpoint>/invocations")
    def invoke_endpoint(endpoint: str) -> Response:
        answer = invoke()
        answer.headers[_INVOKED_VARIANT] = request.headers.get(_TARGET_VARIANT) or _DEFAULT_VARIANT
        return answer

    @blueprint.after_request
    def name_request(response: Response) -> Response:
        response.headers[_REQUEST_ID] = str(uuid.uuid4())
        return response

    blueprint.register_error_handler(Exception, _model_error)
    blueprint.register_error_handler(TargetModelError, _validation_error)
    return blueprint


def refuse_target() -> None:
    """Check that the current request names no model, where there is only one.

    Raises:
        TargetModelError: it does. SageMaker refuses it too, and a wrong model's answer would be worse.
    """
    if TARGET_MODEL in request.headers:
        raise TargetModelError(
            "TargetModel names a model of a multi-model endpoint, but this server has one model; leave it out, or "
            "start the server with SAGEMAKER_MULTI_MODEL=true"
        )


def _model_error(error: Exception) -> Response:
    status, sentence = describe_error(error)
    message = sentence[:_LONGEST_MESSAGE]
    blame = "server" if status >= 500 else "client"
    return _error(
        "ModelError",
        _MODEL_ERROR_STATUS,
        Message=f'Received {blame} error ({status}) from model with message "{message}".',
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn="",
    )


def _validation_error(error: TargetModelError) -> Response:
    status, sentence = describe_error(error)
    return _error("ValidationError", status, Message=sentence)


def _error(kind: str, status: int, **members: Any) -> Response:
    response = jsonify(members)
    response.status_code = status
    response.headers[_ERROR_TYPE] = kind
    return response
