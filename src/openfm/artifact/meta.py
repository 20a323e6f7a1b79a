"""``meta.json``: what the model was trained with, in one line of Python's ``json.dumps``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from openfm.artifact.symbol import LABEL
from openfm.errors import ArtifactError
from openfm.fm.rows import MAX_FEATURE_DIM

__all__ = ["dimension", "meta_json", "parse_json", "parse_meta"]

_VERSION = 1
_WHOLE_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


def meta_json(training_parameters: Mapping[str, str | int]) -> bytes:
    """``meta.json`` of a model; ``epoch_number`` is 1 whatever was trained, as in Amazon's own."""
    meta = {
        "version": _VERSION,
        "epoch_number": 1,
        "training_parameters": dict(training_parameters),
        "label_names": [LABEL],
    }
    return json.dumps(meta).encode()


def parse_meta(data: bytes) -> dict[str, str | int]:
    """The training parameters of a ``meta.json``, in its order.

    Numbers that are not whole and booleans become the strings that SageMaker passes for them.

    Raises:
        ArtifactError: it is not JSON of a known version with training parameters of text and
            numbers.
    """
    meta = parse_json(data, "meta.json")
    if not isinstance(meta, dict):
        raise ArtifactError("meta.json is not a JSON object")
    if meta.get("version", _VERSION) != _VERSION:
        raise ArtifactError(f"meta.json is of version {meta['version']!r}; only version {_VERSION} is known")
    parameters = meta.get("training_parameters")
    if not isinstance(parameters, dict):
        raise ArtifactError("meta.json has no object training_parameters")
    return {name: _plain(name, value) for name, value in parameters.items()}


def dimension(parameters: Mapping[str, str | int], name: str) -> int:
    """A required whole number of the training parameters, from 1 to 2^31 - 1.

    Raises:
        ArtifactError: it is missing or no such number.
    """
    value = parameters.get(name)
    if value is None:
        raise ArtifactError(f"meta.json has no training parameter {name}")
    if not _WHOLE_NUMBER.fullmatch(str(value)) or int(value) > MAX_FEATURE_DIM:
        raise ArtifactError(
            f"training parameter {name} is {value!r} in meta.json; expected a whole number from 1 to {MAX_FEATURE_DIM}"
        )
    return int(value)


def parse_json(data: bytes, member: str) -> object:
    """Parse JSON text that may come from anyone.

    Raises:
        ArtifactError: it is not UTF-8, not JSON, or nested too deeply.
    """
    try:
        parsed: object = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{member} is not UTF-8 text") from error
    except RecursionError as error:
        raise ArtifactError(f"{member} is nested too deeply") from error
    except ValueError as error:
        raise ArtifactError(f"{member} is not JSON: {error}") from error
    return parsed


def _plain(name: str, value: object) -> str | int:
    if isinstance(value, bool | float):
        return json.dumps(value)
    if isinstance(value, str | int):
        return value
    raise ArtifactError(
        f"training parameter {name} is of type {type(value).__name__} in meta.json; expected text or a number"
    )
