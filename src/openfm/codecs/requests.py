"""Requests: what a codec makes of the bytes, before the model sees it."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    rows: SparseRows
    identities: RecordIdentities | None = None

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
    """

    k: int
    fixed: SparseRows
    candidates: range | npt.NDArray[np.int64] | SparseRows
    exclude: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RankingRequest:
    """A request whose instances are all queries."""

    queries: tuple[RankingQuery, ...]

    def __len__(self) -> int:
        return len(self.queries)
