"""The columns of a table, and which of them are features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.data.formats.format import ReadOptions
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

__all__ = [
    "MAX_COLUMNS",
    "ColumnRoles",
    "block_of_array",
    "check_width",
    "column_names",
    "column_roles",
    "dense_array",
    "target_number",
]

MAX_COLUMNS = 65536
"""The widest rows that are written as a table. Beyond it most are zeros, which sparse formats leave out."""

_MOST_DIGITS = 10  # of a column's number; int() refuses thousands


def column_names(feature_dim: int, target: str | None, weight: str | None = None) -> list[str]:
    """What columns are called in tables that are written: target and weight, if they are there, then ``f0``, ``f1`` ...

    Raises:
        DataError: there are more than ``MAX_COLUMNS``, or two would have the same name.
    """
    if target is not None and target == weight:
        raise DataError(f"Label and weight would both be in a column '{target}'. Give one of them another name.")
    if feature_dim > MAX_COLUMNS:
        raise DataError(
            f"The rows have {feature_dim} features, too many for a table of columns (at most {MAX_COLUMNS}). "
            "Write recordio, libsvm or npz."
        )
    return [name for name in (target, weight) if name is not None] + [f"f{i}" for i in range(feature_dim)]


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """Which columns are no features, by number from 0.

    Attributes:
        target: the labels; None: there are none.
        weight: the weights; None: there are none.
    """

    target: int | None
    weight: int | None

    def __iter__(self) -> Iterator[int]:
        return (number for number in (self.target, self.weight) if number is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def column_roles(options: ReadOptions, names: Sequence[str] | None, source: Source) -> ColumnRoles:
    """The columns that the options name.

    Args:
        options: of which ``target`` and ``weight`` are looked at.
        names: of the columns; None if they have none.
        source: for the error.

    Raises:
        DataError: there is no such column, or target and weight are the same one.
    """
    target = target_number(options.target, names, source)
    weight = target_number(options.weight, names, source, role="weight")
    if target is not None and target == weight:
        raise source.error(
            f"Target and weight of {source.name} are the same column, {options.target!r}. Name another one."
        )
    return ColumnRoles(target, weight)


def target_number(
    target: str | int | None, names: Sequence[str] | None, source: Source, *, role: str = "target"
) -> int | None:
    """The target's column, from 0; None where there is no target.

    Args:
        target: its name, or its number from 0, also as text where columns have no names.
        names: of the columns; None if they have none.
        source: for the error.
        role: what the column is to be, for the error.

    Raises:
        DataError: there is no such column.
    """
    if target is None:
        return None
    if isinstance(target, int):
        if names is not None and not 0 <= target < len(names):
            raise source.error(f"{source.name} has {len(names)} columns, numbered from 0: none is the {role} {target}.")
        return target
    if names is None:
        if not (target.isascii() and target.isdigit() and len(target) <= _MOST_DIGITS):
            raise source.error(
                f"The columns of {source.name} have no names: give the {role} by its number, from 0, not as "
                f"'{target:.60}'."
            )
        return int(target)
    if target not in names:
        known = ", ".join(f"'{name}'" for name in names[:10]) + (", ..." if len(names) > 10 else "")
        raise source.error(f"{source.name} has no column '{target}' to be the {role}. It has {known}.")
    return names.index(target)


def check_width(found: int, feature_dim: int | None, source: Source) -> None:
    """Refuses a table with another number of features than ``feature_dim``.

    Raises:
        DataError: says both numbers.
    """
    if feature_dim is not None and found != feature_dim:
        raise source.error(
            f"{source.name} has {found} feature columns, but feature_dim is {feature_dim}. Set feature_dim to {found}, "
            "or correct the columns."
        )


def block_of_array(
    array: npt.NDArray[np.float32],
    labels: npt.NDArray[np.float32] | None,
    weights: npt.NDArray[np.float32] | None = None,
) -> RecordBlock:
    """Dense float32 rows, shape (rows, features), finite, as a block of records."""
    occupied = array != 0
    indptr = np.zeros(len(array) + 1, dtype=np.int64)
    np.cumsum(np.count_nonzero(occupied, axis=1), out=indptr[1:])
    rows = SparseRows(indptr, np.nonzero(occupied)[1].astype(np.int32), array[occupied], array.shape[1])
    return RecordBlock(rows, labels, dense_records=len(array), weights=weights)


def dense_array(block: RecordBlock) -> npt.NDArray[np.float32]:
    """A block's rows with their zeros: float32, shape (rows, feature_dim)."""
    rows = block.rows
    array = np.zeros((len(rows), rows.feature_dim), dtype=np.float32)
    array[np.repeat(np.arange(len(rows)), np.diff(rows.indptr)), rows.indices] = rows.values
    return array
