"""The server's settings: one table of environment variables, read once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from openfm.codecs.registry import ENCODERS
from openfm.errors import CustomerError

__all__ = ["ServingSettings", "parse_threshold"]

_MIB = 2**20
_DEFAULT_LIMIT = 6 * _MIB
_BATCH_LIMIT = 100 * _MIB


def _variable(*names: str, parse: Callable[[str], Any], default: Any) -> Any:
    """A field that the first of ``names`` that is set (and not empty) fills."""
    return dataclasses.field(default=default, metadata={"names": names, "parse": parse})


def _whole(lowest: int, highest: int | None = None) -> Callable[[str], int]:
    bounds = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(f"a whole number {bounds}")
        return value

    return parse


def _boolean(text: str) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text.lower()

    return parse


def _file(text: str) -> str:
    if not Path(text).is_file():
        raise ValueError("an existing file")
    return text


def parse_threshold(text: str) -> float | Literal["stored"]:
    """A threshold as people write it.

    Raises:
        ValueError: it is none; says what would be one.
    """
    if text.lower() == "stored":
        return "stored"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError("stored, or a number from 0 to 1")
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingSettings:
    """What the environment says about serving. Names starting in ``OPENFM`` are ours, the others
    are SageMaker's.

    Attributes:
        host: the address to listen on; the image sets 0.0.0.0, elsewhere only this machine is
            served (``OPENFM_BIND``).
        port: the port to listen on (``SAGEMAKER_BIND_TO_PORT``).
        workers: number of worker processes; None for one per processor
            (``SAGEMAKER_MODEL_SERVER_WORKERS``, or else ``MODEL_SERVER_WORKERS``, or else
            ``NUM_WORKERS``).
        timeout: seconds that a worker may be stuck before it is replaced; a long request is not a
            stuck worker (``SAGEMAKER_MODEL_SERVER_TIMEOUT``, or else
            ``SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS``, or else ``MODEL_SERVER_TIMEOUT``).
        queue_size: how many invocations may wait in each worker process; more are answered by 503
            (``OPENFM_QUEUE_SIZE``, or else ``SAGEMAKER_MODEL_JOB_QUEUE_SIZE``).
        graceful_timeout: seconds that requests in flight may still take after SIGTERM
            (``OPENFM_GRACEFUL_TIMEOUT``).
        batch: whether batch transform started the server (``SAGEMAKER_BATCH``).
        local_mode: whether the SDK's local mode started the batch transform: it sets ``SAGEMAKER_BATCH``
            to ``True`` where SageMaker sets it to ``true``.
        accept: the type that requests without an ``Accept`` header get; None for the default
            (``SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT``).
        threshold: from which score on label 1 is predicted, or ``stored`` for each model's own
            (``OPENFM_THRESHOLD``).
        max_content_length: the largest request body in bytes; None for the default
            (``MAX_CONTENT_LENGTH``, or else ``SAGEMAKER_MAX_REQUEST_SIZE``).
        max_payload_mib: the same in MiB, where 0 means any; None for the default
            (``SAGEMAKER_MAX_PAYLOAD_IN_MB``).
        multi_model: whether this is a multi-model endpoint (``SAGEMAKER_MULTI_MODEL``). It has one worker
            process, and ``workers`` says how many invocations compute at once.
        model_memory_mib: what its models may take in MiB; None for three quarters of what the machine or
            the container has (``OPENFM_MODEL_MEMORY_IN_MB``).
        access_log: whether each request but those to /ping gets a line in the log
            (``OPENFM_ACCESS_LOG``).
        log_format: ``text``, or ``json`` for one JSON object a line (``OPENFM_LOG_FORMAT``).
        gunicorn_conf: a file of further gunicorn settings (``OPENFM_GUNICORN_CONF``).
    """

    host: str = _variable("OPENFM_BIND", parse=str, default="127.0.0.1")
    port: int = _variable("SAGEMAKER_BIND_TO_PORT", parse=_whole(1, 65535), default=8080)
    workers: int | None = _variable(
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "MODEL_SERVER_WORKERS",
        "NUM_WORKERS",
        parse=_whole(1),
        default=None,
    )
    timeout: int = _variable(
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        "MODEL_SERVER_TIMEOUT",
        parse=_whole(1),
        default=60,
    )
    queue_size: int = _variable(
        "OPENFM_QUEUE_SIZE", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", parse=_whole(0, 10_000), default=100
    )
    graceful_timeout: int = _variable("OPENFM_GRACEFUL_TIMEOUT", parse=_whole(0), default=25)
    batch: bool = _variable("SAGEMAKER_BATCH", parse=_boolean, default=False)
    local_mode: bool = _variable("SAGEMAKER_BATCH", parse=lambda text: text == "True", default=False)
    accept: str | None = _variable("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", parse=_one_of(*ENCODERS), default=None)
    threshold: float | Literal["stored"] = _variable("OPENFM_THRESHOLD", parse=parse_threshold, default=0.5)
    max_content_length: int | None = _variable(
        "MAX_CONTENT_LENGTH", "SAGEMAKER_MAX_REQUEST_SIZE", parse=_whole(1), default=None
    )
    max_payload_mib: int | None = _variable("SAGEMAKER_MAX_PAYLOAD_IN_MB", parse=_whole(0), default=None)
    multi_model: bool = _variable("SAGEMAKER_MULTI_MODEL", parse=_boolean, default=False)
    model_memory_mib: int | None = _variable("OPENFM_MODEL_MEMORY_IN_MB", parse=_whole(1), default=None)
    access_log: bool = _variable("OPENFM_ACCESS_LOG", parse=_boolean, default=False)
    log_format: str = _variable("OPENFM_LOG_FORMAT", parse=_one_of("text", "json"), default="text")
    gunicorn_conf: str | None = _variable("OPENFM_GUNICORN_CONF", parse=_file, default=None)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ServingSettings:
        """Read the settings; a variable that is unset or empty leaves its default.

        Raises:
            CustomerError: A variable has a value that it cannot have; the sentence names both.
        """
        found: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            for name in field.metadata["names"]:
                text = environ.get(name, "").strip()
                if not text:
                    continue
                try:
                    found[field.name] = field.metadata["parse"](text)
                except ValueError as error:
                    raise CustomerError(
                        f"The environment variable {name} is '{text}', but it must be {error}."
                    ) from None
                break
        return cls(**found)

    @property
    def default_answer_type(self) -> str:
        """The type of answers to requests that name none: JSON; in batch transform JSON Lines."""
        if self.accept is not None:
            return self.accept
        return "application/jsonlines" if self.batch else "application/json"

    @property
    def max_body_bytes(self) -> int | None:
        """The largest body of a request in bytes, or None for any.

        Real-time endpoints pass on up to 6 MiB, batch transform up to 100 MiB; there the variable
        that SageMaker sets only raises the limit, since whatever the platform cut must go through.
        """
        if self.max_content_length is not None:
            return self.max_content_length
        if self.max_payload_mib == 0:
            return None
        if self.batch:
            return max(_BATCH_LIMIT, (self.max_payload_mib or 0) * _MIB)
        if self.max_payload_mib is not None:
            return self.max_payload_mib * _MIB
        return _DEFAULT_LIMIT

    @property
    def payload_mb(self) -> int:
        """The payload in MiB that a batch transform should send at once; 0 for any."""
        if self.max_content_length is not None:
            return max(1, self.max_content_length // _MIB)
        return _DEFAULT_LIMIT // _MIB if self.max_payload_mib is None else self.max_payload_mib
