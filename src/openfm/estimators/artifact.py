"""``openfm/estimator.json``: what a model file keeps of an estimator, beside the machine: its classes and features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.errors import ArtifactError, DataError

__all__ = ["ESTIMATOR_MEMBER", "EstimatorFacts"]

ESTIMATOR_MEMBER = "openfm/estimator.json"
"""Its name in the model file. MXNet and Amazon's code ignore it."""

_MOST_BYTES = 2**20  # of it: all members of ours together may have four times as much
_CLASS_KINDS = "biufU"


@dataclass(frozen=True, slots=True)
class EstimatorFacts:
    """What a model file tells of an estimator.

    Attributes:
        classes: the two class labels, that of label 0 first; None for a regressor.
        feature_names: of a DataFrame's columns, an array of text of shape (D,); None where there were none.
    """

    classes: npt.NDArray[Any] | None = None
    feature_names: npt.NDArray[Any] | None = None

    def extras(self) -> dict[str, bytes]:
        """The model file's members. Feature names that take more than 1 MiB are left out.

        Raises:
            DataError: classes are neither numbers nor text.
        """
        facts: dict[str, Any] = {}
        if self.classes is not None:
            facts["classes"] = _listed(self.classes)
        if self.feature_names is not None:
            facts["feature_names"] = [str(name) for name in self.feature_names]
        content = json.dumps(facts).encode()
        if len(content) > _MOST_BYTES:
            facts.pop("feature_names", None)
            content = json.dumps(facts).encode()
        return {ESTIMATOR_MEMBER: content} if facts else {}

    @classmethod
    def read(cls, extras: Mapping[str, bytes], feature_dim: int) -> EstimatorFacts:
        """Those of a model file; none where another program wrote it.

        Raises:
            ArtifactError: the member is not what :meth:`extras` writes.
        """
        if ESTIMATOR_MEMBER not in extras:
            return cls()
        try:
            facts = json.loads(extras[ESTIMATOR_MEMBER])
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{ESTIMATOR_MEMBER} is not JSON: {error}") from error
        if not isinstance(facts, dict):
            raise ArtifactError(f"{ESTIMATOR_MEMBER} is not a JSON object")
        classes, names = facts.get("classes"), facts.get("feature_names")
        if classes is not None and not _are_classes(classes):
            raise ArtifactError(f"{ESTIMATOR_MEMBER}: classes are not two different numbers or texts")
        if names is not None and not (
            isinstance(names, list) and len(names) == feature_dim and all(isinstance(name, str) for name in names)
        ):
            raise ArtifactError(f"{ESTIMATOR_MEMBER}: feature_names are not the names of {feature_dim} features")
        return cls(
            None if classes is None else np.array(classes), None if names is None else np.array(names, dtype=object)
        )


def _listed(classes: npt.NDArray[Any]) -> list[Any]:
    plain = np.array(classes.tolist())
    if plain.dtype.kind not in _CLASS_KINDS:
        raise DataError(
            f"The classes {classes.tolist()!r} are neither numbers nor text; a model file cannot hold them."
        )
    listed: list[Any] = plain.tolist()
    return listed


def _are_classes(classes: object) -> bool:
    return (
        isinstance(classes, list)
        and len(classes) == 2
        and all(isinstance(label, str | int | float) for label in classes)
        and len({type(label) for label in classes}) == 1
        and classes[0] != classes[1]
    )
