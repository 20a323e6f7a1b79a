"""A trained model as it is loaded, used and saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.artifact.limits import MAX_EXTRAS_BYTES
from openfm.artifact.model_file import EXTRAS_PREFIX
from openfm.artifact.saving import save_model
from openfm.errors import ArtifactError
from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType

__all__ = ["Model"]


class Model:
    """A Factorization Machine together with what it was trained with. Immutable.

    Args:
        machine: the machine.
        training_parameters: the final configuration of its training under Amazon's names, in order.
            What it lacks of ``feature_dim``, ``num_factors`` and ``predictor_type`` is appended
            from the machine.
        extras: members ``openfm/*`` of the model file, by full name; kept as they are.

    Raises:
        ArtifactError: the training parameters are those of a machine of another shape or type, or an
            extra member is not below ``openfm/``, or all of them are larger than 4 MiB.
    """

    def __init__(
        self,
        machine: FactorizationMachine,
        training_parameters: Mapping[str, str | int] | None = None,
        *,
        extras: Mapping[str, bytes] | None = None,
    ) -> None:
        self._machine = machine
        self._training_parameters = dict(training_parameters or {})
        self._extras = dict(extras or {})
        for name in self._extras:
            if not name.startswith(EXTRAS_PREFIX):
                raise ArtifactError(f"the extra member {name!r} is not below {EXTRAS_PREFIX}")
        if sum(map(len, self._extras.values())) > MAX_EXTRAS_BYTES:
            raise ArtifactError(f"the extra members take more than {MAX_EXTRAS_BYTES} bytes")
        of_machine = {
            "feature_dim": machine.feature_dim,
            "num_factors": machine.num_factors,
            "predictor_type": machine.predictor_type.value,
        }
        for name, value in of_machine.items():
            stated = self._training_parameters.setdefault(name, str(value))
            if str(stated) != str(value):
                raise ArtifactError(f"training parameter {name} is {stated!r}, but the machine's is {value!r}")

    @property
    def machine(self) -> FactorizationMachine:
        """The machine itself, which scores :class:`~openfm.fm.rows.SparseRows`."""
        return self._machine

    @property
    def bias(self) -> float:
        """The global bias w0."""
        return self._machine.bias

    @property
    def linear(self) -> npt.NDArray[np.float32]:
        """The linear weights w: float32, shape (feature_dim,), read-only."""
        return self._machine.linear

    @property
    def factors(self) -> npt.NDArray[np.float32]:
        """The factors V: float32, shape (feature_dim, num_factors), read-only."""
        return self._machine.factors

    @property
    def predictor_type(self) -> PredictorType:
        """Whether the model classifies or regresses."""
        return self._machine.predictor_type

    @property
    def feature_dim(self) -> int:
        """The width of the input."""
        return self._machine.feature_dim

    @property
    def num_factors(self) -> int:
        """The number of factors of each feature."""
        return self._machine.num_factors

    @property
    def training_parameters(self) -> dict[str, str | int]:
        """What the model was trained with, under Amazon's names (a copy)."""
        return dict(self._training_parameters)

    @property
    def extras(self) -> dict[str, bytes]:
        """The model file's members ``openfm/*``, by full name (a copy)."""
        return dict(self._extras)

    def predict(self, X: Any, *, threads: int = 1) -> npt.NDArray[np.float32]:
        """Score rows.

        Args:
            X: rows of ``feature_dim`` columns: a SciPy sparse matrix of any format, a
                two-dimensional array or nested list, or :class:`~openfm.fm.rows.SparseRows`.
            threads: how many threads score; the scores do not depend on it.

        Returns:
            float32, shape (rows,): the probability of label 1, or a regressor's number.

        Raises:
            DataError: X is of another width, is not two-dimensional, or holds what is not a finite
                number.
        """
        return self._machine.score(as_rows(X, self.feature_dim), threads=threads)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model in Amazon's format: see :func:`~openfm.artifact.saving.save_model`."""
        return save_model(self, path)

    def __repr__(self) -> str:
        return (
            f"Model(predictor_type={self.predictor_type.value!r}, feature_dim={self.feature_dim}, "
            f"num_factors={self.num_factors})"
        )
