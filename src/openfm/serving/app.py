"""The Flask application: a thin layer of HTTP over a predictor, or over a registry of them."""

from __future__ import annotations

from flask import Flask, Response, request

from openfm.serving.answers import register_error_handlers
from openfm.serving.batch import batch_blueprint
from openfm.serving.gate import WorkGate
from openfm.serving.invocation import answer_invocation
from openfm.serving.multi_model import multi_model_blueprint
from openfm.serving.predictor import Predictor
from openfm.serving.registry import ModelRegistry
from openfm.serving.request_body import read_body
from openfm.serving.runtime_api import refuse_target, runtime_blueprint
from openfm.serving.settings import ServingSettings
from openfm.serving.target_models import TARGET_MODEL, TargetModelError, TargetModels

__all__ = ["create_app", "create_multi_model_app"]

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_CUSTOM_ATTRIBUTES_KEY = "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"

_ANY_NUMBER = 1000
"""Of requests in hand at once, where something else bounds it: no server has so many threads for one process."""


def create_app(predictor: Predictor, settings: ServingSettings, gate: WorkGate | None = None) -> Flask:
    """Make the application that serves one model.

    Args:
        predictor: scores the requests' rows.
        settings: limits and defaults.
        gate: invocations pass it; None if something else bounds how many come at once.
    """
    app = _base_app()
    gate = gate or WorkGate(running=_ANY_NUMBER, admitted=_ANY_NUMBER)

    @app.post("/invocations")
    def invocations() -> Response:
        with gate.admit():
            body = read_body(settings.max_body_bytes)
            return answer_invocation(body, predictor, settings, turn=gate.run())

    def invoke_endpoint() -> Response:
        refuse_target()
        return invocations()

    app.register_blueprint(batch_blueprint(settings))
    app.register_blueprint(runtime_blueprint(invoke_endpoint))
    return app


def create_multi_model_app(
    registry: ModelRegistry, targets: TargetModels, gate: WorkGate, settings: ServingSettings
) -> Flask:
    """Make the application that serves many models, none of which need be there when it starts.

    Args:
        registry: the models, as SageMaker's platform loads them by ``/models``.
        targets: the same, loaded when a request's ``TargetModel`` asks for them.
        gate: what is to take long passes it.
        settings: limits and defaults.
    """
    app = _base_app()

    @app.post("/invocations")
    def invocations() -> Response:
        with gate.admit():
            body = read_body(settings.max_body_bytes)
            target = request.headers.get(TARGET_MODEL)
            if not target:
                raise TargetModelError(
                    f"this server has many models: name one by TargetModel (the header {TARGET_MODEL}), or ask "
                    "POST /models/{name}/invoke"
                )
            with gate.run(), targets.borrow(target) as predictor:
                return answer_invocation(body, predictor, settings)

    app.register_blueprint(multi_model_blueprint(registry, gate, settings))
    app.register_blueprint(runtime_blueprint(invocations))
    return app


def _base_app() -> Flask:
    """What every server answers, however many models it has."""
    app = Flask("openfm", static_folder=None)
    register_error_handlers(app)

    @app.get("/ping")
    def ping() -> Response:
        # What is to be served at once is loaded before the server listens, so one that answers is healthy.
        return Response(mimetype="text/plain")

    @app.after_request
    def echo_custom_attributes(response: Response) -> Response:
        attributes = request.environ.get(_CUSTOM_ATTRIBUTES_KEY)
        if attributes is not None:
            response.headers[CUSTOM_ATTRIBUTES] = attributes
        return response

    return app
