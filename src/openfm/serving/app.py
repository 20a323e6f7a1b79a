"""The Flask application: a thin layer of HTTP over a predictor."""

from __future__ import annotations

from flask import Flask, Response, request

from openfm.serving.answers import register_error_handlers
from openfm.serving.batch import batch_blueprint
from openfm.serving.invocation import answer_invocation, read_body
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["create_app"]

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def create_app(predictor: Predictor, settings: ServingSettings) -> Flask:
    """Make the application that serves one model.

    Args:
        predictor: scores the requests' rows.
        settings: limits and defaults.
    """
    app = _base_app()

    @app.post("/invocations")
    def invocations() -> Response:
        return answer_invocation(read_body(settings.max_body_bytes), predictor, settings)

    app.register_blueprint(batch_blueprint(settings))
    return app


def _base_app() -> Flask:
    """What every server answers, however many models it has."""
    app = Flask("openfm", static_folder=None)
    register_error_handlers(app)

    @app.get("/ping")
    def ping() -> Response:
        # The model is loaded before the server listens, so a server that answers is healthy.
        return Response(mimetype="text/plain")

    @app.after_request
    def echo_custom_attributes(response: Response) -> Response:
        attributes = request.headers.get(CUSTOM_ATTRIBUTES)
        if attributes is not None:
            response.headers[CUSTOM_ATTRIBUTES] = attributes
        return response

    return app
