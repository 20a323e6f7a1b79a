"""Numbers that every row has, such as an age or a price, brought to a mean of 0 for training.

A column whose values lie far from 0 says much the same in every row, as the bias does and every other such column: a
learner that goes down the gradient then takes very many steps. A Factorization Machine of centred features is one of
the features themselves, with another bias and other linear weights, so that nothing of this is left in the machine that
comes out. Only columns that nearly every row has are centred: the rows stay as sparse as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.fm.model import FactorizationMachine
from openfm.fm.rows import SparseRows

__all__ = ["Centring"]

_SHARE_OF_ROWS = 0.9  # that have a value other than 0
_NEAR, _FAR = 2.0, 100.0  # means, in deviations: nearer to 0 little is gained, beyond the machine loses digits


@dataclass(frozen=True, slots=True, eq=False)
class Centring:
    """What is subtracted from some columns.

    Attributes:
        columns: int64, shape (n,), ascending: features.
        means: float32, shape (n,): what is subtracted from their values.
    """

    columns: npt.NDArray[np.int64]
    means: npt.NDArray[np.float32]

    @classmethod
    def of(cls, rows: SparseRows) -> Centring | None:
        """What suits these rows; None where no column gains by it."""
        n, d = len(rows), rows.feature_dim
        counts = np.bincount(rows.indices, minlength=d)
        columns = np.flatnonzero(counts >= max(2.0, _SHARE_OF_ROWS * n))
        if not len(columns):
            return None
        place = _places(columns, d)[rows.indices]
        values, place = rows.values[place >= 0].astype(np.float64), place[place >= 0]
        means: npt.NDArray[np.float64] = np.bincount(place, weights=values) / n
        off = np.bincount(place, weights=np.square(values - means[place]))
        deviations = np.sqrt((off + np.square(means) * (n - counts[columns])) / n)  # the zeros among them too
        gains = (np.abs(means) > _NEAR * deviations) & (np.abs(means) < _FAR * deviations)
        return cls(columns[gains], means[gains].astype(np.float32)) if gains.any() else None

    def rows(self, rows: SparseRows) -> SparseRows:
        """The rows with the means subtracted (a copy); no value of them is 0."""
        n, d = len(rows), rows.feature_dim
        row = np.repeat(np.arange(n), np.diff(rows.indptr))
        place = _places(self.columns, d)[rows.indices]
        is_centred = place >= 0
        values = rows.values.copy()
        values[is_centred] -= self.means[place[is_centred]]
        is_zero = np.ones((n, len(self.columns)), dtype=bool)
        is_zero[row[is_centred], place[is_centred]] = False
        more_rows, more_places = np.nonzero(is_zero)
        row = np.append(row, more_rows)
        column: npt.NDArray[np.int64] = np.append(rows.indices, self.columns[more_places])
        values = np.append(values, -self.means[more_places])
        if len(more_rows):
            order = np.argsort(row * d + column, kind="stable")
            row, column, values = row[order], column[order], values[order]
        stays = values != 0
        indptr = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(np.bincount(row[stays], minlength=n), out=indptr[1:])
        return SparseRows(indptr, column[stays].astype(np.int32), values[stays], d)

    def machine(self, centred: FactorizationMachine) -> FactorizationMachine:
        """The machine of features as they are that scores as one of centred features."""
        return self._moved(centred, self.means.astype(np.float64))

    def centred_machine(self, machine: FactorizationMachine) -> FactorizationMachine:
        """The other way round."""
        return self._moved(machine, -self.means.astype(np.float64))

    def _moved(self, machine: FactorizationMachine, means: npt.NDArray[np.float64]) -> FactorizationMachine:
        # <v_i, v_j> (x_i - m_i) (x_j - m_j), multiplied out: what has no x belongs to the bias, what has one to w.
        own = machine.factors[self.columns].astype(np.float64)
        squares = np.sum(np.square(own), axis=1)
        # Not by @: a BLAS rounds as processor and threads would have it, and V would be copied to float64.
        total = np.einsum("c,ck->k", means, own, optimize=False)
        linear = machine.linear - np.einsum("dk,k->d", machine.factors, total, dtype=np.float64, optimize=False)
        linear[self.columns] += squares * means
        bias = machine.bias - float(np.sum(means * machine.linear[self.columns]))
        bias += 0.5 * float(np.sum(np.square(total)) - np.sum(squares * np.square(means)))
        return FactorizationMachine(bias, linear, machine.factors, machine.predictor_type)


def _places(columns: npt.NDArray[np.int64], feature_dim: int) -> npt.NDArray[np.int32]:
    """For each feature its place among the columns, or -1: int32, shape (feature_dim,)."""
    places = np.full(feature_dim, -1, dtype=np.int32)
    places[columns] = np.arange(len(columns))
    return places
