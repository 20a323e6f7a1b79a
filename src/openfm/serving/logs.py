"""The server's log on stderr: lines for people, or one JSON object a line (``OPENFM_LOG_FORMAT=json``)."""

from __future__ import annotations

import datetime
import json
import logging
import sys
from typing import Any

from flask import has_request_context, request
from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from openfm.serving.observer import INFERENCE_ID

__all__ = ["JsonFormatter", "ServerLogger", "TextFormatter", "configure_logging"]


class TextFormatter(logging.Formatter):
    """``[time] [process] [level] message``, and the request's Inference-Id if it has one."""

    def __init__(self) -> None:
        super().__init__("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S %z")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without a traceback."""
        line = super().formatMessage(record)
        identity = _fields(record).get("inference_id")
        return line if identity is None else f"{line} (Inference-Id {identity!r})"


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, process, message; where there are any, a request's fields and a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The object on one line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        entry: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "process": record.process,
            "message": record.getMessage(),
        }
        entry |= {name: value for name, value in _fields(record).items() if value is not None}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """What is known of the request that a line is about."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    if not fields and has_request_context():
        return {"inference_id": request.headers.get(INFERENCE_ID)}
    return fields


def configure_logging(log_format: str) -> None:
    """Log to stderr from level INFO on, Python's warnings too, unless whoever runs us has set logging up.

    Args:
        log_format: ``json``; anything else is text, since the log must be there before settings can be refused.
    """
    root = logging.getLogger()
    if root.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


class ServerLogger(Logger):  # type: ignore[misc]
    """Gunicorn's logger, which writes its lines in our format and never logs ``/ping``."""

    def setup(self, cfg: Any) -> None:
        """Gunicorn's settings, then the formatter of the root logger."""
        super().setup(cfg)
        for ours in logging.getLogger().handlers:
            if isinstance(ours.formatter, JsonFormatter):
                for handler in (*self.error_log.handlers, *self.access_log.handlers):
                    handler.setFormatter(ours.formatter)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: datetime.timedelta) -> None:
        """Gunicorn's own access log, which only ``OPENFM_GUNICORN_CONF`` can turn on."""
        if environ.get("PATH_INFO") != "/ping":
            super().access(resp, req, environ, request_time)
