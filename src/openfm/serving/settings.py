"""The server's settings: one table of environment variables, read once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from openfm.codecs.registry import ENCODERS
from openfm.contract.variables import Variable
from openfm.errors import CustomerError

__all__ = ["VARIABLES", "ServingSettings", "parse_threshold"]

_MIB = 2**20
_DEFAULT_LIMIT = 6 * _MIB
_BATCH_LIMIT = 100 * _MIB


def _variable(*names: str, parse: Callable[[str], Any], default: Any, meaning: str, said: str | None = None) -> Any:
    """A field that the first of ``names`` that is set (and not empty) fills.

    Args:
        names: of the environment variable.
        parse: its text to the field's value; a ValueError says what would be one.
        default: the field's value where none is set.
        meaning: for the documents, as in :class:`~openfm.contract.variables.Variable`.
        said: the default for the documents; None: as it is.
    """
    variable = Variable(names, meaning, f"'{default}'" if said is None else said)
    return dataclasses.field(default=default, metadata={"variable": variable, "parse": parse})


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

    Each field stands with its variables and what they mean. Of those that may be None, None leaves it to the server:
    ``workers`` (one for each processor), ``accept``, ``max_content_length``, ``max_payload_mib`` and
    ``model_memory_mib``. ``local_mode`` is whether the SDK's local mode started the batch transform: it sets
    ``SAGEMAKER_BATCH`` to ``True`` where SageMaker sets it to ``true``.
    """

    host: str = _variable(
        "OPENFM_BIND",
        parse=str,
        default="127.0.0.1",
        meaning="address to listen on",
        said="'127.0.0.1'; in the image '0.0.0.0'",
    )
    port: int = _variable("SAGEMAKER_BIND_TO_PORT", parse=_whole(1, 65535), default=8080, meaning="port to listen on")
    workers: int | None = _variable(
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "MODEL_SERVER_WORKERS",
        "NUM_WORKERS",
        parse=_whole(1),
        default=None,
        meaning="worker processes; with many models, which one process serves, how many requests compute at once",
        said="one per processor",
    )
    timeout: int = _variable(
        "SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
        "MODEL_SERVER_TIMEOUT",
        parse=_whole(1),
        default=60,
        meaning="seconds that a worker may be stuck before it is replaced; a long request is not a stuck worker",
    )
    queue_size: int = _variable(
        "OPENFM_QUEUE_SIZE",
        "SAGEMAKER_MODEL_JOB_QUEUE_SIZE",
        parse=_whole(0, 10_000),
        default=100,
        meaning="how many invocations may wait in each worker process; more are answered by 503",
    )
    graceful_timeout: int = _variable(
        "OPENFM_GRACEFUL_TIMEOUT",
        parse=_whole(0),
        default=25,
        meaning="seconds that requests in flight may still take after SIGTERM",
    )
    batch: bool = _variable(
        "SAGEMAKER_BATCH", parse=_boolean, default=False, meaning="whether this is batch transform", said="'false'"
    )
    local_mode: bool = _variable(
        "SAGEMAKER_BATCH", parse=lambda text: text == "True", default=False, meaning="whether this is batch transform"
    )
    accept: str | None = _variable(
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        parse=_one_of(*ENCODERS),
        default=None,
        meaning="type of answers to requests without an 'Accept' header, or with one that takes any",
        said="'application/json'; in batch transform 'application/jsonlines'",
    )
    threshold: float | Literal["stored"] = _variable(
        "OPENFM_THRESHOLD",
        parse=parse_threshold,
        default=0.5,
        meaning="from which score on 'predicted_label' is 1.0; 'stored': each model's own, and 0.5 where it has none",
    )
    max_content_length: int | None = _variable(
        "MAX_CONTENT_LENGTH",
        "SAGEMAKER_MAX_REQUEST_SIZE",
        parse=_whole(1),
        default=None,
        meaning="largest body of a request in bytes",
        said="6 MiB; in batch transform 100 MiB",
    )
    max_payload_mib: int | None = _variable(
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        parse=_whole(0),
        default=None,
        meaning="the same in MiB; '0': any",
        said="",
    )
    multi_model: bool = _variable(
        "SAGEMAKER_MULTI_MODEL",
        parse=_boolean,
        default=False,
        meaning="whether the server has many models, which come and go",
        said="'false'",
    )
    model_memory_mib: int | None = _variable(
        "OPENFM_MODEL_MEMORY_IN_MB",
        parse=_whole(1),
        default=None,
        meaning="what many models together may take in MiB",
        said="three quarters of what is free at the start",
    )
    access_log: bool = _variable(
        "OPENFM_ACCESS_LOG",
        parse=_boolean,
        default=False,
        meaning="whether each request but those to '/ping' gets a line in the log",
        said="'false'",
    )
    log_format: str = _variable(
        "OPENFM_LOG_FORMAT",
        parse=_one_of("text", "json"),
        default="text",
        meaning="'text', or 'json' for one JSON object a line",
    )
    gunicorn_conf: str | None = _variable(
        "OPENFM_GUNICORN_CONF",
        parse=_file,
        default=None,
        meaning="a file of further gunicorn settings",
        said="in the image its own",
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ServingSettings:
        """Read the settings; a variable that is unset or empty leaves its default.

        Raises:
            CustomerError: A variable has a value that it cannot have; the sentence names both.
        """
        found: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            for name in field.metadata["variable"].names:
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


VARIABLES: tuple[Variable, ...] = tuple(
    field.metadata["variable"] for field in dataclasses.fields(ServingSettings) if field.name != "local_mode"
)
"""The environment variables, in the order of the fields."""
