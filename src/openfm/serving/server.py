"""The server: gunicorn around the application; the model is loaded once, before workers fork."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from flask import Flask

from openfm.artifact import Model, find_model, load_model
from openfm.contract.memory import memory_limit, resident_memory
from openfm.contract.paths import ContractPaths
from openfm.encoding import OneHotColumn
from openfm.errors import AlgorithmError, ArtifactError, CustomerError, OpenFMError, PlatformError
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

__all__ = ["Wishes", "main"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What whoever starts a server by hand says; it counts more than the environment.

    Attributes:
        model: the model to serve: a model file, a ``model.tar.gz`` or a folder with one of them. None: that of the
            contract.
        host: the address to listen on; None: the environment's.
        port: the port to listen on, 0 for any that is free; None: the environment's.
        announce: called with the model and the server's URL as soon as it listens. None: the log says it.
    """

    model: Path | None = None
    host: str | None = None
    port: int | None = None
    announce: Callable[[Model, str], None] | None = None


class _Served(NamedTuple):
    """An application, and what it serves.

    Attributes:
        app: the application.
        what: it serves, in words.
        model: that it serves, where it is one.
    """

    app: Flask
    what: str
    model: Model | None = None


def main(environ: Mapping[str, str], wishes: Wishes | None = None, *, arguments: Sequence[str] = ()) -> int:
    """Serve the model of ``/opt/ml/model``, or one that is named, until SIGTERM or SIGINT.

    Args:
        environ: the environment variables; :class:`ServingSettings` and ``SAGEMAKER_BASE_DIR``.
        wishes: of whoever starts the server by hand.
        arguments: what the image's program was given, which takes none.

    Returns:
        The exit code: 0 after a graceful stop, else that of the error, which is logged to stderr.
    """
    configure_logging(environ.get("OPENFM_LOG_FORMAT", "").strip().lower())
    # As process 1 of a container, a program gets only signals that it handles. Gunicorn takes over
    # once it runs.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        if arguments:
            raise CustomerError(
                f"serve takes no arguments, not {' '.join(arguments)!r}: it serves the model in /opt/ml/model; "
                "'openfm serve MODEL' serves another"
            )
        return _serve(environ, wishes or Wishes())
    except OpenFMError as error:
        logger.error("%s", error.failure_reason)
        return error.exit_code
    except Exception:
        logger.exception("%s: serving failed unexpectedly", AlgorithmError.prefix)
        return AlgorithmError.exit_code


def _serve(environ: Mapping[str, str], wishes: Wishes) -> int:
    settings = _as_wished(ServingSettings.from_environ(environ), wishes)
    paths = ContractPaths.from_environ(environ)
    capacity = Capacity.of(settings)
    # Twice, since SIGHUP makes gunicorn start new workers before the old ones have gone.
    metrics = ServerMetrics(processes=2 * capacity.processes)
    gate = WorkGate(capacity.running, capacity.admitted, on_refusal=metrics.refuse_busy)
    if settings.multi_model:
        served = _multi_model_app(settings, paths, gate, metrics)
    else:
        served = _single_model_app(settings, _model_path(paths, wishes.model), gate, metrics)
    app = served.app
    app.register_blueprint(metrics_blueprint(metrics))
    stopping = StopFlag()
    app.wsgi_app = Observer(app.wsgi_app, metrics, stopping, log_requests=settings.access_log)  # type: ignore[method-assign]
    options = gunicorn_options(settings, capacity)
    keep_freed_memory()
    listener = _listen(settings.host, settings.port)
    if wishes.announce is not None and served.model is not None:
        wishes.announce(served.model, _url(listener))
        options.setdefault("loglevel", "warning")  # gunicorn's own beginning and end say nothing to people
    else:
        port = listener.getsockname()[1]
        logger.info("Serving %s on %s port %d with %d workers", served.what, settings.host, port, options["workers"])
    # The socket is handed over: gunicorn closes it.
    options["bind"] = f"fd://{listener.detach()}"
    try:
        GunicornServer(
            app, options, metrics=metrics, stopping=stopping, graceful_seconds=settings.graceful_timeout
        ).run()
    except SystemExit as stop:  # The way in which gunicorn ends, in its master and in its workers.
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _as_wished(settings: ServingSettings, wishes: Wishes) -> ServingSettings:
    return replace(
        settings,
        host=settings.host if wishes.host is None else wishes.host,
        port=settings.port if wishes.port is None else wishes.port,
        multi_model=settings.multi_model and wishes.model is None,
    )


def _single_model_app(settings: ServingSettings, path: Path, gate: WorkGate, metrics: ServerMetrics) -> _Served:
    model, digest = _load(path)
    machine = model.machine
    metrics.inform(
        version=importlib.metadata.version("openfm"),
        sha256=digest,
        predictor_type=machine.predictor_type,
        feature_dim=str(machine.feature_dim),
        num_factors=str(machine.num_factors),
    )
    what = f"{path} ({machine.predictor_type}, feature_dim {machine.feature_dim}, num_factors {machine.num_factors})"
    if model.encoder is not None:
        metrics.watch_columns([c.name for c in model.encoder.columns if isinstance(c, OneHotColumn)])
    return _Served(create_app(Predictor(machine, model.threshold, model.encoder), settings, gate), what, model)


def _load(path: Path) -> tuple[Model, FileDigest]:
    """A model, and the digest of the very file that it was loaded from."""
    while True:
        try:
            digest = FileDigest(path)
        except OSError as error:
            raise PlatformError(f"cannot read the model {path}: {error.strerror or error}") from error
        model = load_model(path)
        if digest.is_of(path):
            return model, digest
        logger.warning("%s was replaced while it was loaded; it is loaded again", path)


def _multi_model_app(
    settings: ServingSettings, paths: ContractPaths, gate: WorkGate, metrics: ServerMetrics
) -> _Served:
    metrics.inform(version=importlib.metadata.version("openfm"))
    metrics.watch_columns([])  # models come and go: what they do not know is counted together
    memory = model_memory(settings)
    registry = ModelRegistry(memory)
    app = create_multi_model_app(registry, TargetModels(registry, paths.models), gate, settings)
    return _Served(app, f"many models in {memory / 2**20:.0f} MiB")


def model_memory(settings: ServingSettings) -> int:
    """The bytes that a multi-model server's models may take.

    Unless it is set, a quarter of what is free at the start is left to requests.
    """
    if settings.model_memory_mib is not None:
        return settings.model_memory_mib * 2**20
    return max(0, memory_limit() - resident_memory()) * 3 // 4


def _model_path(paths: ContractPaths, named: Path | None) -> Path:
    if named is not None:
        return find_model(named) if named.is_dir() else named
    try:
        return find_model(paths.model)
    except ArtifactError as error:
        raise ArtifactError(
            f"There is no model to serve: {error}. Mount a folder that holds model_algo-1 or "
            "model.tar.gz there (docker run -v /path/to/folder:/opt/ml/model ...); outside a container "
            "name the model (openfm serve model.tar.gz), or in SAGEMAKER_BASE_DIR the folder above model/."
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
                "SAGEMAKER_BIND_TO_PORT (openfm serve --port) to a free port."
            ) from None
        raise CustomerError(
            f"Cannot listen on {host} port {port} ({error.strerror}); set OPENFM_BIND (--host) to an "
            "address of this machine and SAGEMAKER_BIND_TO_PORT (--port) to a port that this user may open."
        ) from None
    # Connections inherit it: a client whose machine is gone does not keep a thread forever.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return listener


def _url(listener: socket.socket) -> str:
    """Where a program on this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _end(_number: int, _frame: FrameType | None) -> None:
    # Nothing has begun that would need to be finished, and an exception could get lost in whatever is running.
    os._exit(0)
