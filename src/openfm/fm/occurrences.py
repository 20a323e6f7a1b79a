"""Which features occur together in records: what a user has seen already."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from openfm.fm.rows import SparseRows

__all__ = ["Occurrences"]


class Occurrences:
    """The records of each feature, looked up quickly.

    Args:
        rows: the records; they are kept.
    """

    def __init__(self, rows: SparseRows) -> None:
        self._rows = rows
        order = np.argsort(rows.indices, kind="stable")
        self._features = rows.indices[order]  # ascending, and beside each occurrence its record
        self._records = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))[order]

    def together_with(self, features: Sequence[int]) -> npt.NDArray[np.int64]:
        """The features of all records that have all of ``features``, ascending, these included: int64.

        Of no features it is every feature that occurs.
        """
        records = np.arange(len(self._rows))
        for feature in features:
            begin, end = np.searchsorted(self._features, [feature, feature + 1])
            records = np.intersect1d(records, self._records[begin:end], assume_unique=True)
        return np.unique(self._rows.take(records).indices).astype(np.int64)
