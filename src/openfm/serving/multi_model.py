"""Multi-model endpoints: ``/models``, by which SageMaker loads, lists, unloads and invokes models.

The interface is "Contract for custom containers" of Amazon's developer guide; the bodies are those of the Multi Model
Server, which Amazon's own containers use.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Blueprint, Response, request

from openfm.errors import (
    InsufficientMemoryError,
    ModelAlreadyLoadedError,
    ModelNotLoadedError,
    RequestError,
)
from openfm.serving.answers import describe_error
from openfm.serving.gate import WorkGate
from openfm.serving.invocation import answer_invocation
from openfm.serving.registry import LoadedModel, ModelRegistry
from openfm.serving.request_body import read_body
from openfm.serving.settings import ServingSettings

__all__ = ["multi_model_blueprint"]

_PAGE = 100
"""Models on a page of the list: the default, and the most."""

_LARGEST_LOAD_REQUEST = 2**16

_ERROR_TYPES: dict[type[Exception], str] = {
    ModelNotLoadedError: "ModelNotFoundException",
    ModelAlreadyLoadedError: "ConflictStatusException",
    InsufficientMemoryError: "InsufficientMemoryException",
    MemoryError: "InsufficientMemoryException",
}


def multi_model_blueprint(registry: ModelRegistry, gate: WorkGate, settings: ServingSettings) -> Blueprint:
    """The routes of a multi-model server.

    Args:
        registry: the models.
        gate: loading, unloading and invoking pass it; listing need not.
        settings: limits and defaults of invocations.
    """
    blueprint = Blueprint("models", __name__, url_prefix="/models")

    @blueprint.post("")
    def load() -> dict[str, str]:
        with gate.admit():
            name, url = _load_request()
            registry.load(name, url)
        return {"status": "Workers scaled"}

    @blueprint.get("")
    def list_models() -> dict[str, Any]:
        limit = _page_limit()
        page = registry.models(after=request.args.get("next_page_token"), limit=limit + 1)
        answer: dict[str, Any] = {"models": [_description(model) for model in page[:limit]]}
        if len(page) > limit:
            answer["nextPageToken"] = page[limit - 1].name
        return answer

    @blueprint.get("/<path:name>")
    def describe(name: str) -> dict[str, str]:
        return _description(registry.describe(name))

    @blueprint.delete("/<path:name>")
    def unload(name: str) -> dict[str, str]:
        with gate.admit():
            registry.unload(name)
        return {"status": f'Model "{name}" unregistered'}

    @blueprint.post("/<path:name>/invoke")
    def invoke(name: str) -> Response:
        with gate.admit():
            body = read_body(settings.max_body_bytes)
            with gate.run(), registry.borrow(name) as predictor:
                return answer_invocation(body, predictor, settings)

    for error_type in _ERROR_TYPES:
        blueprint.register_error_handler(error_type, _answer_error)
    return blueprint


def _load_request() -> tuple[str, str]:
    """Name and path of the model to load."""
    try:
        document = orjson.loads(read_body(_LARGEST_LOAD_REQUEST))
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the body is not valid JSON: {error}") from None
    name, url = (document.get(key) if isinstance(document, dict) else None for key in ("model_name", "url"))
    if not (isinstance(name, str) and name and isinstance(url, str) and url and "\0" not in url):
        raise RequestError('the body must be an object such as {"model_name": "m", "url": "/opt/ml/models/m/model"}')
    return name, url


def _page_limit() -> int:
    text = request.args.get("limit", str(_PAGE))
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise RequestError(f"limit must be a whole number of at least 1, but is '{text[:40]}'")
    return min(int(text), _PAGE)


def _description(model: LoadedModel) -> dict[str, str]:
    return {"modelName": model.name, "modelUrl": model.url}


def _answer_error(error: Exception) -> tuple[dict[str, Any], int]:
    status, sentence = describe_error(error)
    return {"code": status, "type": _ERROR_TYPES[type(error)], "message": sentence}, status
