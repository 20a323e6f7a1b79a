"""The server: gunicorn around the application; the model is loaded once, before workers fork."""

from __future__ import annotations

import errno
import logging
import runpy
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from openfm.artifact import find_model, load_model
from openfm.contract.environment import available_cpus
from openfm.contract.paths import ContractPaths
from openfm.errors import AlgorithmError, ArtifactError, CustomerError, OpenFMError
from openfm.serving.app import create_app
from openfm.serving.predictor import Predictor
from openfm.serving.settings import ServingSettings

__all__ = ["main"]

THREADS_PER_WORKER = 8
"""So that slow clients and long requests leave a thread for /ping."""

GRACEFUL_SECONDS = 5
"""What running requests may still take after SIGTERM; Docker kills after 10 seconds."""

logger = logging.getLogger(__name__)


def main(environ: Mapping[str, str]) -> int:
    """Serve the model of ``/opt/ml/model`` until SIGTERM or SIGINT.

    Args:
        environ: the environment variables; :class:`ServingSettings` and ``SAGEMAKER_BASE_DIR``.

    Returns:
        The exit code: 0 after a graceful stop, else that of the error, which is logged to stderr.
    """
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S %z",
    )
    # As process 1 of a container, a program gets only signals that it handles. Gunicorn takes over
    # once it runs.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
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
    path = _find_model(ContractPaths.from_environ(environ))
    machine = load_model(path).machine
    listener = _listen(settings.host, settings.port)
    options = _gunicorn_options(settings, listener)
    logger.info(
        "Serving %s (%s, feature_dim %d, num_factors %d) on %s port %d with %d workers",
        path,
        machine.predictor_type,
        machine.feature_dim,
        machine.num_factors,
        settings.host,
        settings.port,
        options["workers"],
    )
    try:
        _Gunicorn(create_app(Predictor(machine), settings), options).run()
    except SystemExit as stop:  # The way in which gunicorn ends, in its master and in its workers.
        return stop.code if isinstance(stop.code, int) else 0
    return 0


def _find_model(paths: ContractPaths) -> Path:
    try:
        return find_model(paths.model)
    except ArtifactError as error:
        raise ArtifactError(
            f"There is no model to serve: {error}. Mount a folder that holds model_algo-1 or "
            "model.tar.gz there (docker run -v /path/to/folder:/opt/ml/model ...), or name the "
            "folder above model/ in SAGEMAKER_BASE_DIR when you serve outside a container."
        ) from error


class _Gunicorn(BaseApplication):  # type: ignore[misc]
    """Gunicorn with an application that is there already."""

    def __init__(self, app: Flask, options: Mapping[str, Any]) -> None:
        self._app = app
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            # Settings come and go between gunicorn's versions.
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._app


def _gunicorn_options(settings: ServingSettings, listener: socket.socket) -> dict[str, Any]:
    """Gunicorn's settings: ours, then those of the file that ``OPENFM_GUNICORN_CONF`` names."""
    options = {
        # Threads, since a worker with only one would leave /ping waiting behind any slow client.
        "worker_class": "gthread",
        "workers": settings.workers or available_cpus(),
        "threads": THREADS_PER_WORKER,
        "timeout": settings.timeout,
        "graceful_timeout": GRACEFUL_SECONDS,
        "preload_app": True,
        "proc_name": "openfm",
        "control_socket_disable": True,
    }
    if settings.gunicorn_conf is not None:
        options |= _read_gunicorn_conf(settings.gunicorn_conf)
    # The socket is handed over: gunicorn closes it.
    return options | {"bind": f"fd://{listener.detach()}"}


def _read_gunicorn_conf(path: str) -> dict[str, Any]:
    try:
        names = runpy.run_path(path)
    except Exception as error:  # Whatever it is, it comes from the code of that file.
        raise CustomerError(
            f"The gunicorn settings in {path} (OPENFM_GUNICORN_CONF) cannot be read: {error!r}."
        ) from error
    return {name: value for name, value in names.items() if not name.startswith("_")}


def _listen(host: str, port: int) -> socket.socket:
    """Open the socket ourselves: gunicorn would try a busy port five times, with ten lines."""
    try:
        return socket.create_server(
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


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
