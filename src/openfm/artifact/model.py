"""A trained model as it is loaded, used and saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.artifact.encoder import join_encoder, split_encoder
from openfm.artifact.model_file import EXTRAS_PREFIX, check_extras
from openfm.artifact.saving import save_model
from openfm.artifact.threshold import THRESHOLD_MEMBER, checked_threshold, read_threshold, threshold_json
from openfm.encoding import ColumnEncoder
from openfm.errors import ArtifactError
from openfm.fm.explain import Explanation, explain_rows
from openfm.fm.matrices import as_rows
from openfm.fm.model import FactorizationMachine, PredictorType
from openfm.fm.neighbours import NeighbourVectors, neighbour_vectors
from openfm.fm.pairs import RankedPairs, strongest_pairs
from openfm.fm.topk import Ranking, rank

__all__ = ["Model"]


class Model:
    """A Factorization Machine together with what it was trained with. Immutable.

    Args:
        machine: the machine.
        training_parameters: the final configuration of its training under Amazon's names, in order.
            What it lacks of ``feature_dim``, ``num_factors`` and ``predictor_type`` is appended
            from the machine.
        extras: members ``openfm/*`` of the model file, by full name; kept as they are.
        encoder: turns columns of raw values into the machine's features; by default the one that ``extras`` hold, if
            they do.

    Raises:
        ArtifactError: the training parameters are those of a machine of another shape or type, an extra member is not
            below ``openfm/`` or not what its name says, or they are too large: more than 2 GiB the encoder's, or more
            than 4 MiB the others; or ``encoder`` makes another number of features.
        DataError: ``encoder`` has more columns or texts than a model file has room for.
        TypeError: ``encoder`` is no :class:`~openfm.ColumnEncoder`.
    """

    def __init__(
        self,
        machine: FactorizationMachine,
        training_parameters: Mapping[str, str | int] | None = None,
        *,
        extras: Mapping[str, bytes] | None = None,
        encoder: ColumnEncoder | None = None,
    ) -> None:
        self._machine = machine
        self._training_parameters = dict(training_parameters or {})
        extras = extras or {}
        for name in extras:
            if not name.startswith(EXTRAS_PREFIX):
                raise ArtifactError(f"the extra member {name!r} is not below {EXTRAS_PREFIX}")
        check_extras({name: len(content) for name, content in extras.items()})
        self._extras, self._encoder = split_encoder(extras, encoder, machine.feature_dim)
        self._threshold = read_threshold(self._extras)
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
        return join_encoder(self._extras, self._encoder)

    @property
    def encoder(self) -> ColumnEncoder | None:
        """What turns columns of raw values into features, where the model has such a thing."""
        return self._encoder

    @property
    def threshold(self) -> float | None:
        """The score from which on label 1 is to be predicted, where the model has one of its own."""
        return self._threshold

    def with_threshold(self, threshold: float | None) -> Model:
        """The same model with another threshold, or with none.

        Raises:
            ValueError: it is not from 0 to 1, or the model is a regressor.
        """
        extras = {name: content for name, content in self._extras.items() if name != THRESHOLD_MEMBER}
        if threshold is not None:
            if self.predictor_type is not PredictorType.BINARY_CLASSIFIER:
                raise ValueError("a regressor predicts no labels, so that it can have no threshold")
            extras[THRESHOLD_MEMBER] = threshold_json(checked_threshold(threshold))
        return Model(self._machine, self._training_parameters, extras=extras, encoder=self._encoder)

    def with_encoder(self, encoder: ColumnEncoder | None) -> Model:
        """The same model with another encoder, or with none.

        Raises:
            ArtifactError: the encoder's ``feature_dim`` is not the model's.
            DataError: it has more columns or texts than a model file has room for.
            TypeError: it is no :class:`~openfm.ColumnEncoder`.
        """
        return Model(self._machine, self._training_parameters, extras=self._extras, encoder=encoder)

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

    def explain(self, X: Any, *, pairs: int | None = None) -> list[Explanation]:
        """Tell where the score of each row comes from: the contributions of bias, features and pairs of features.

        Args:
            X: rows, as for :meth:`predict`.
            pairs: list only so many pairs of each row, the strongest; None: all.

        Returns:
            one :class:`~openfm.fm.explain.Explanation` for each row; its parts add up to the score before the sigmoid.

        Raises:
            DataError: as :meth:`predict`.
            ValueError: ``pairs`` is negative, or None with a row of more than 4096 non-zero features.
        """
        return explain_rows(self._machine, as_rows(X, self.feature_dim), pairs=pairs)

    def strongest_pairs(self, n: int, *, between: tuple[range, range] | None = None) -> RankedPairs:
        """The ``n`` pairs of features with the strongest interaction, by |<v_i, v_j>|: exact, without trying all pairs.

        Args:
            n: how many.
            between: two ranges of features, such as those of users and of items: one of a pair is in each.

        Raises:
            ValueError: ``n`` is less than 1, or the ranges overlap or lie outside.
        """
        return strongest_pairs(self.factors, n, between=between)

    def top_k(self, k: int, *, fixed: Any, candidates: Any, exclude: npt.ArrayLike | None = None) -> Ranking:
        """The ``k`` candidates that score highest together with the fixed features, exactly.

        Args:
            k: how many; fewer are found where there are fewer candidates.
            fixed: what is known, such as the user: a mapping of features to values (``{17: 1.0}``), or one row, as for
                :meth:`predict`.
            candidates: what is to be ranked, such as the items: a range of features, an array of features, or a boolean
                array of shape (feature_dim,), each of which is taken with the value 1; or rows, as a SciPy sparse
                matrix.
            exclude: features (or numbers of rows) to leave out, such as items that the user has seen.

        Returns:
            the best first; of equal ones the lowest number first.

        Raises:
            DataError: ``fixed`` or the rows are not such rows as :meth:`predict` takes.
            ValueError: ``k`` is less than 1, or a candidate is out of range or one of the fixed features.
        """
        return rank(self._machine, k, fixed=fixed, candidates=candidates, exclude=exclude)

    def neighbour_vectors(self, users: range, items: range) -> NeighbourVectors:
        """Vectors of users and items whose inner product orders items as their scores do, for nearest neighbours.

        Args:
            users: the features that say who.
            items: the features that say what.

        Raises:
            ValueError: a range has a step other than 1 or lies outside.
        """
        return neighbour_vectors(self._machine, users, items)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model in Amazon's format: see :func:`~openfm.artifact.saving.save_model`."""
        return save_model(self, path)

    def __repr__(self) -> str:
        return (
            f"Model(predictor_type={self.predictor_type.value!r}, feature_dim={self.feature_dim}, "
            f"num_factors={self.num_factors})"
        )
