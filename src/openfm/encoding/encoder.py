"""Columns of raw values to sparse rows, and features back to columns and values."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openfm.data.formats.typed import ColumnBlock
from openfm.encoding.columns import Cells, ColumnSpec, NumberColumn, OneHotColumn
from openfm.encoding.fitting import ColumnFit
from openfm.encoding.members import check_storable, read_members, write_members
from openfm.encoding.roles import Roles, listed
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM, SparseRows
from openfm.native import _core

__all__ = ["ColumnEncoder", "Encoded", "Kept", "coder_of", "encode_kept", "fit_and_keep"]

Kept = npt.NDArray[np.float64] | npt.NDArray[np.int32]
"""What is kept of a column's rows: numbers, or else numbers of texts or buckets from 0, -1 where one is missing."""

Keep = Callable[[ColumnBlock, Sequence[Kept]], None]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Encoded rows.

    Attributes:
        rows: their features, ``feature_dim`` wide.
        unseen: of each column with such values, in how many rows its value is one that no feature stands for. These
            rows have what the other columns say.
    """

    rows: SparseRows
    unseen: dict[str, int]


class ColumnEncoder:
    """How the columns of a table become features. Immutable; made by :meth:`fit`.

    Args:
        columns: the columns in the table's order, their features one after the other from 0 on.
        target: the name of the label's column, which is no feature; None if there is none.
        weight: the name of the weights' column, likewise.
        ignored: names of other columns that are no features.

    Raises:
        ValueError: the columns' features do not follow each other, two columns have the same name, or there are none,
            or more than 2^31 - 1 features.
    """

    def __init__(
        self,
        columns: Iterable[ColumnSpec],
        *,
        target: str | None = None,
        weight: str | None = None,
        ignored: Iterable[str] = (),
    ) -> None:
        self._columns = tuple(columns)
        self._target, self._weight, self._ignored = target, weight, tuple(ignored)
        self._by_name = {column.name: column for column in self._columns}
        self._starts = [column.first for column in self._columns]
        end = 0
        for column in self._columns:
            if column.first != end:
                raise ValueError(f"the features of column '{column.name}' begin with {column.first} instead of {end}")
            end += column.features
        self._feature_dim = end
        others = [name for name in (target, weight, *self._ignored) if name is not None]
        names = [*(column.name for column in self._columns), *others]
        if len(set(names)) < len(names):
            raise ValueError("a column is named twice")
        if not 1 <= end <= MAX_FEATURE_DIM:
            raise ValueError(f"the columns have {end} features, but there must be from 1 to {MAX_FEATURE_DIM}")

    @classmethod
    def fit(
        cls,
        blocks: Iterable[ColumnBlock],
        *,
        target: str | None = None,
        weight: str | None = None,
        categorical: Collection[str] = (),
        hashed: Mapping[str, int] | None = None,
        ignored: Collection[str] = (),
    ) -> ColumnEncoder:
        """Learn the columns of a table, which is read once, block by block.

        Columns of texts are one-hot, columns of numbers are scaled. Ids that look like numbers are numbers unless they
        are named: nothing is guessed. Equal tables give equal encoders.

        Args:
            blocks: the table, its columns ``categorical`` and ``hashed`` read as categories.
            target: the column of the labels, which is no feature.
            weight: the column of the weights, likewise.
            categorical: columns that must be categories, whatever they look like.
            hashed: columns of categories that are hashed, and into how many features each. What occurs in them need not
                be known, and two values may share a feature.
            ignored: columns to leave out.

        Raises:
            DataError: there are no rows, a column that is named is not there or named twice, a column does not hold
                what it should, or there are too many columns, texts or features.
        """
        return cls._fit(blocks, Roles(target, weight, categorical, hashed or {}, ignored))

    @classmethod
    def _fit(cls, blocks: Iterable[ColumnBlock], roles: Roles, keep: Keep | None = None) -> ColumnEncoder:
        fits: dict[str, ColumnFit] | None = None
        for block in blocks:
            if fits is None:
                fits = roles.fits(block)
            kept = [fit.add(block.columns[name], kept=keep is not None) for name, fit in fits.items()]
            if keep is not None:
                keep(block, [each for each in kept if each is not None])
        if fits is None:
            raise DataError("The table has no rows to fit an encoder on. Give at least one.")
        columns: list[ColumnSpec] = []
        ignored = sorted(roles.ignored)
        for fit in fits.values():
            columns.append(fit.spec(columns[-1].first + columns[-1].features if columns else 0))
        check_storable(columns, roles.target, roles.weight, ignored)
        try:
            return cls(columns, target=roles.target, weight=roles.weight, ignored=ignored)
        except ValueError as error:
            raise DataError(
                f"No encoder can be made of the table: {error}. Leave columns out or in, or hash those with the most "
                "different texts."
            ) from error

    @property
    def columns(self) -> tuple[ColumnSpec, ...]:
        """What becomes of each column, in the order of their features."""
        return self._columns

    @property
    def target(self) -> str | None:
        """The name of the label's column."""
        return self._target

    @property
    def weight(self) -> str | None:
        """The name of the weights' column."""
        return self._weight

    @property
    def ignored(self) -> tuple[str, ...]:
        """The names of the columns that were left out."""
        return self._ignored

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that must be read as categories: the argument ``categories`` of what reads a table."""
        return tuple(column.name for column in self._columns if not isinstance(column, NumberColumn))

    @property
    def feature_dim(self) -> int:
        """How many features all columns have together."""
        return self._feature_dim

    @property
    def nbytes(self) -> int:
        """About the bytes of memory that the encoder takes."""
        vocabularies = [column.vocabulary for column in self._columns if isinstance(column, OneHotColumn)]
        return sum(vocabulary.nbytes for vocabulary in vocabularies)

    def encode(self, block: ColumnBlock, *, first_row: int = 0, absent_is_missing: bool = False) -> Encoded:
        """Turn the rows of a table into sparse rows. Columns that the encoder does not know are not looked at.

        Args:
            block: the rows; its columns ``text_columns`` are categories.
            first_row: the number of its first row, for errors.
            absent_is_missing: whether a column that the block has not got is missing in each row, and no error.

        Raises:
            ColumnValueError: a number is infinite or too large; says row, column and value.
            DataError: a column is not there, or does not hold what it should.
        """
        cells: list[Cells] = []
        unseen: dict[str, int] = {}
        for column in self._columns:
            if column.name not in block.columns:
                if absent_is_missing:
                    continue
                raise DataError(
                    f"The table has no column '{column.name}', which the encoder was fitted with. It has "
                    f"{listed(block.columns)}."
                )
            cells.append(column.cells(block.columns[column.name], first_row))
            if cells[-1].unseen:
                unseen[column.name] = cells[-1].unseen
        return Encoded(self._assemble(cells, block.rows), unseen)

    def _assemble(self, cells: Iterable[Cells], rows: int) -> SparseRows:
        """The rows that have in each column what its cells say: within a row features increase, as the columns' do."""
        columns = [(each.codes, each.first, each.values) for each in cells]
        return SparseRows(*_core.join_columns(columns, rows), self._feature_dim)

    def column(self, name: str) -> ColumnSpec:
        """What becomes of a column.

        Raises:
            ValueError: there is none of this name, or it is no feature.
        """
        if name not in self._by_name:
            raise ValueError(
                f"there is no column '{name[:40]}' among the features; the columns are {self.known_columns()}"
            )
        return self._by_name[name]

    def known_columns(self) -> str:
        """The columns' names, for a sentence; of many only the first."""
        return listed(self._by_name)

    def features_of(self, column: str) -> range:
        """The features of a column.

        Raises:
            ValueError: as :meth:`column`.
        """
        found = self.column(column)
        return range(found.first, found.first + found.features)

    def feature(self, column: str, value: object) -> int | None:
        """The feature that a column's value turns into; None if the value is unseen.

        Raises:
            ValueError: as :meth:`column`.
        """
        return self.column(column).feature(value)

    def feature_name(self, feature: int) -> str:
        """What a feature is called: ``user=u42``, ``price``, or ``agent#17`` for a bucket.

        Raises:
            ValueError: there is no such feature.
        """
        return self._column_of(feature).feature_name(feature)

    def describe(self, feature: int, value: float) -> str:
        """What a feature and its value in an encoded row say: as :meth:`feature_name`, but ``price=3.5`` of a number.

        Raises:
            ValueError: there is no such feature.
        """
        column = self._column_of(feature)
        if isinstance(column, NumberColumn):
            return f"{column.name}={value * column.scale + column.shift:.6g}"
        return column.feature_name(feature) if value == 1 else f"{column.feature_name(feature)} * {value:g}"

    def value(self, feature: int) -> str | None:
        """The text that a feature stands for; None if it is a number's or a bucket.

        Raises:
            ValueError: there is no such feature.
        """
        column = self._column_of(feature)
        return column.value(feature) if isinstance(column, OneHotColumn) else None

    def to_members(self) -> dict[str, bytes]:
        """The encoder as members ``openfm/*`` of a model file: equal encoders, equal bytes.

        Raises:
            DataError: there are more columns or texts than can be read again: 5000 columns of texts, 16 MiB of columns'
                names, or 2 GiB of texts.
        """
        return write_members(self._columns, self._target, self._weight, self._ignored)

    @classmethod
    def from_members(cls, extras: Mapping[str, bytes]) -> ColumnEncoder:
        """The encoder that members of a model file hold, which may come from anyone.

        Args:
            extras: the members, by name; others among them are not looked at.

        Raises:
            ArtifactError: there is none, or it is damaged.
        """
        return read_members(cls, extras)

    def __repr__(self) -> str:
        return f"ColumnEncoder({self.known_columns()}; feature_dim={self._feature_dim})"

    def _column_of(self, feature: int) -> ColumnSpec:
        if not 0 <= feature < self._feature_dim:
            raise ValueError(f"there is no feature {feature}; there are {self._feature_dim}, from 0 on")
        # The last of those that begin there: columns without features begin where the next one does.
        return self._columns[bisect_right(self._starts, feature) - 1]


def fit_and_keep(blocks: Iterable[ColumnBlock], roles: Roles, keep: Keep | None = None) -> ColumnEncoder:
    """As :meth:`ColumnEncoder.fit`, and tells of each block what :func:`encode_kept` makes its rows of in the end.

    Args:
        blocks: the table.
        roles: what its columns are for.
        keep: takes each block, and what is to be kept of each of the encoder's columns; None: nothing is kept.
    """
    return ColumnEncoder._fit(blocks, roles, keep)


def coder_of(encoder: ColumnEncoder, name: str) -> _core.TextCoder | None:
    """What is wanted of a column's texts: the argument of that name of what reads a table."""
    column = encoder._by_name.get(name)
    return _core.TextCoder.ignoring() if column is None else column.coder()


def encode_kept(encoder: ColumnEncoder, kept: Sequence[Kept], *, first_row: int = 0) -> SparseRows:
    """The rows of a block by what was kept of each column when the encoder was fitted on it.

    Raises:
        ColumnValueError: as :meth:`ColumnEncoder.encode`.
    """
    cells = []
    for column, each in zip(encoder.columns, kept, strict=True):
        if isinstance(column, NumberColumn):
            cells.append(column.cells(each.astype(np.float64, copy=False), first_row))
        else:
            cells.append(Cells(each.astype(np.int32, copy=False), column.first, None, 0))
    return encoder._assemble(cells, len(kept[0]))
