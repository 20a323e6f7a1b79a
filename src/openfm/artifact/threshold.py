"""``openfm/threshold.json``: from which score on a binary classifier predicts label 1, where that is not 0.5."""

from __future__ import annotations

import json
from collections.abc import Mapping

from openfm.artifact.meta import parse_json
from openfm.errors import ArtifactError

__all__ = ["THRESHOLD_MEMBER", "checked_threshold", "read_threshold", "threshold_json"]

THRESHOLD_MEMBER = "openfm/threshold.json"
"""Its name in the model file. MXNet and Amazon's code ignore it."""


def threshold_json(threshold: float) -> bytes:
    """The member's content, such as ``{"threshold": 0.37}``."""
    return json.dumps({"threshold": threshold}).encode()


def read_threshold(extras: Mapping[str, bytes]) -> float | None:
    """The threshold that a model file's members hold, if they do.

    Raises:
        ArtifactError: the member is not such an object.
    """
    if THRESHOLD_MEMBER not in extras:
        return None
    document = parse_json(extras[THRESHOLD_MEMBER], THRESHOLD_MEMBER)
    value = document.get("threshold") if isinstance(document, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArtifactError(f'{THRESHOLD_MEMBER} is not an object such as {{"threshold": 0.5}}')
    try:
        return checked_threshold(value)
    except ValueError as error:
        raise ArtifactError(f"{THRESHOLD_MEMBER}: {error}") from error


def checked_threshold(threshold: float) -> float:
    """The threshold, if it is one.

    Raises:
        ValueError: it is not from 0 to 1.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; it must be from 0 to 1")
    return float(threshold)
