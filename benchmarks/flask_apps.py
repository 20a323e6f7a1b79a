"""Flask applications that openfm's server is measured beside, for gunicorn to run.

They import nothing of openfm. ``MODEL`` in the environment names an npz file with ``bias``, ``linear`` and ``factors``.
"""

from __future__ import annotations

import json
import os

from flask import Flask, Response, request

__all__ = ["bring_your_own", "constant"]


def constant() -> Flask:
    """Reads the body and answers the same whatever it was: what Flask and gunicorn themselves take."""
    app = _app()
    answer = json.dumps({"predictions": [{"score": 0.5895045399665833, "predicted_label": 1.0}]})

    @app.post("/invocations")
    def invocations() -> Response:
        request.get_data()
        return Response(answer, mimetype="application/json")

    return app


def bring_your_own() -> Flask:
    """Scores as most containers that people write do: json, NumPy, json."""
    import numpy as np

    model = np.load(os.environ["MODEL"])
    bias, linear, factors = model["bias"], model["linear"], model["factors"]
    squares = (factors**2).sum(axis=1)
    app = _app()

    @app.post("/invocations")
    def invocations() -> Response:
        instances = json.loads(request.get_data())["instances"]
        rows = np.array([instance["features"] for instance in instances], dtype=np.float32)
        raw = bias + rows @ linear + 0.5 * (((rows @ factors) ** 2).sum(axis=1) - rows**2 @ squares)
        scores = 1 / (1 + np.exp(-raw))
        predictions = [{"score": float(score), "predicted_label": float(score >= 0.5)} for score in scores]
        return Response(json.dumps({"predictions": predictions}), mimetype="application/json")

    return app


def _app() -> Flask:
    app = Flask("peer", static_folder=None)

    @app.get("/ping")
    def ping() -> Response:
        return Response()

    return app
