"""Requests: what a codec makes of the bytes, before the model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from openfm.data.identities import RecordIdentities
from openfm.fm.rows import SparseRows

__all__ = ["Body", "RankingQuery", "RankingRequest", "Request"]

Body = bytes | bytearray
"""A request's body as it came."""


@dataclass(frozen=True, slots=True)
class Request:
    """The instances of one request.

    Attributes:
        rows: their features.
        identities: what the answer must repeat of each, in formats that have such a thing.
        unseen: of columns of raw values, how many are such as the model's encoder does not know.
    """

    rows: SparseRows
    identities: RecordIdentities | None = None
    unseen: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class RankingQuery:
    """One question for the best of many candidates: see :meth:`openfm.artifact.model.Model.top_k`.

    Attributes:
        k: how many, at least 1.
        fixed: what all candidates are joined with, one row.
        candidates: features, each taken with the value 1, or rows.
        exclude: features, or numbers of rows, to leave out.
        column: whose values the candidates are, if they were given so: the answer tells the values.
    """

    k: int
    fixed: SparseRows
    candidates: range | npt.NDArray[np.int64] | SparseRows
    exclude: npt.NDArray[np.int64] | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankingRequest:
    """A request whose instances are all queries.

    Attributes:
        queries: one for each instance.
        unseen: as of :class:`Request`.
    """

    queries: tuple[RankingQuery, ...]
    unseen: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.queries)
