"""The server: gunicorn around the application; the model is loaded once, before workers fork."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import os
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from flask import Flask

from openfm.artifact import find_model, load_model
from openfm.contract.memory import memory_limit, resident_memory
from openfm.contract.paths import ContractPaths
from openfm.encoding import OneHotColumn
from openfm.errors import AlgorithmError, ArtifactError, CustomerError, OpenFMError
from openfm.serving.allocator import keep_freed_memory
from openfm.serving.app import create_app, create_multi_model_app
from openfm.serving.digest import FileDigest
from openfm.serving.gate import WorkGate
from openfm.serving.logs import configure_logging
from openfm.serving.metrics import ServerMetrics, metrics_blueprint
from openfm.serving.observer import Observer, StopFlag
from openfm.serving.options import Capacity, gunicorn_options
from openfm.serving.predictor import Predictor
from openfm.serving.registry import ModelRegistry
from openfm.serving.settings import ServingSettings
from openfm.serving.supervisor import GunicornServer
from openfm.serving.target_models import TargetModels

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main(environ: Mapping[str, str]) -> int:
    """Serve the model of ``/opt/ml/model`` until SIGTERM or SIGINT.

    Args:
        environ: the environment variables; :class:`ServingSettings` and ``SAGEMAKER_BASE_DIR``.

    Returns:
        The exit code: 0 after a graceful stop, else that of the error, which is logged to stderr.
    """
    configure_logging(environ.get("OPENFM_LOG_FORMAT", "").strip().lower())
    # As process 1 of a container, a program gets only signals that it handles. Gunicorn takes over
    # once it runs.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        return _serve(environ)
    except OpenFMError as error:
        logger.error("%s", error.failure_reason)
        return error.exit_code
    except Exception:
        logger.exception("%s: serving failed unexpectedly", AlgorithmError.prefix)
        return AlgorithmError.exit_code


def _serve(environ: Mapping[str, str]) -> int:
    settings = ServingSettings.from_environ(environ)
    paths = ContractPaths.from_environ(environ)
    capacity = Capacity.of(settings)
    # Twice, since SIGHUP makes gunicorn start new workers before the old ones have gone.
    metrics = ServerMetrics(processes=2 * capacity.processes)
    gate = WorkGate(capacity.running, capacity.admitted, on_refusal=metrics.refuse_busy)
    make_app = _multi_model_app if settings.multi_model else _single_model_app
    app, what = make_app(settings, paths, gate, metrics)
    app.register_blueprint(metrics_blueprint(metrics))
    stopping = StopFlag()
    app.wsgi_app = Observer(app.wsgi_app, metrics, stopping, log_requests=settings.access_log)  # type: ignore[method-assign]
    options = gunicorn_options(settings, capacity)
    keep_freed_memory()
    listener = _listen(settings.host, settings.port)
    logger.info("Serving %s on %s port %d with %d workers", what, settings.host, settings.port, options["workers"])
    # The socket is handed over: gunicorn closes it.
    options["bind"] = f"fd://{listener.detach()}"
    try:
        GunicornServer(
            app, options, metrics=metrics, stopping=stopping, graceful_seconds=settings.graceful_timeout
        ).run()
    except SystemExit as stop:  # The way in which gunicorn ends, in its master and in its workers.
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _single_model_app(
    settings: ServingSettings, paths: ContractPaths, gate: WorkGate, metrics: ServerMetrics
) -> tuple[Flask, str]:
    """The application, and what it serves."""
    path = _find_model(paths)
    model = load_model(path)
    machine = model.machine
    metrics.inform(
        version=importlib.metadata.version("openfm"),
        sha256=FileDigest(path),
        predictor_type=machine.predictor_type,
        feature_dim=str(machine.feature_dim),
        num_factors=str(machine.num_factors),
    )
    what = f"{path} ({machine.predictor_type}, feature_dim {machine.feature_dim}, num_factors {machine.num_factors})"
    if model.encoder is not None:
        metrics.watch_columns([c.name for c in model.encoder.columns if isinstance(c, OneHotColumn)])
    return create_app(Predictor(machine, model.threshold, model.encoder), settings, gate), what


def _multi_model_app(
    settings: ServingSettings, paths: ContractPaths, gate: WorkGate, metrics: ServerMetrics
) -> tuple[Flask, str]:
    metrics.inform(version=importlib.metadata.version("openfm"))
    metrics.watch_columns([])  # models come and go: what they do not know is counted together
    memory = model_memory(settings)
    registry = ModelRegistry(memory)
    app = create_multi_model_app(registry, TargetModels(registry, paths.models), gate, settings)
    return app, f"many models in {memory / 2**20:.0f} MiB"


def model_memory(settings: ServingSettings) -> int:
    """The bytes that a multi-model server's models may take.

    Unless it is set, a quarter of what is free at the start is left to requests.
    """
    if settings.model_memory_mib is not None:
        return settings.model_memory_mib * 2**20
    return max(0, memory_limit() - resident_memory()) * 3 // 4


def _find_model(paths: ContractPaths) -> Path:
    try:
        return find_model(paths.model)
    except ArtifactError as error:
        raise ArtifactError(
            f"There is no model to serve: {error}. Mount a folder that holds model_algo-1 or "
            "model.tar.gz there (docker run -v /path/to/folder:/opt/ml/model ...), or name the "
            "folder above model/ in SAGEMAKER_BASE_DIR when you serve outside a container."
        ) from error


def _listen(host: str, port: int) -> socket.socket:
    """Open the socket ourselves: gunicorn would try a busy port five times, with ten lines."""
    try:
        listener = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CustomerError(
                f"Port {port} on {host} is in use; stop the program that listens there, or set "
                "SAGEMAKER_BIND_TO_PORT to a free port."
            ) from None
        raise CustomerError(
            f"Cannot listen on {host} port {port} ({error.strerror}); set OPENFM_BIND to an "
            "address of this machine and SAGEMAKER_BIND_TO_PORT to a port that this user may open."
        ) from None
    # Connections inherit it: a client whose machine is gone does not keep a thread forever.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return listener


def _end(_number: int, _frame: FrameType | None) -> None:
    # Nothing has begun that would need to be finished, and an exception could get lost in whatever is running.
    os._exit(0)
