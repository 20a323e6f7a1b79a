"""What the columns of a table are for when an encoder is fitted on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from openfm.data.formats.typed import Categories, Coded, ColumnBlock
from openfm.encoding.fitting import ColumnFit, HashedFit, NumberFit, OneHotFit
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM
from openfm.native import _core

__all__ = ["Roles", "listed"]

_MOST_LISTED = 10


@dataclass(frozen=True, slots=True)
class Roles:
    """What columns are for, as the caller says; see :meth:`openfm.encoding.ColumnEncoder.fit`."""

    target: str | None = None
    weight: str | None = None
    categorical: Collection[str] = ()
    hashed: Mapping[str, int] = field(default_factory=dict)
    ignored: Collection[str] = ()

    @property
    def categories(self) -> frozenset[str]:
        """The columns that are categories, whatever they look like."""
        return frozenset((*self.categorical, *self.hashed))

    @property
    def no_features(self) -> list[str]:
        """The columns that are something else, or left out."""
        return [name for name in (self.target, self.weight, *self.ignored) if name is not None]

    def coder_of(self, name: str) -> _core.TextCoder:
        """What is wanted of a column's texts: the argument of that name of what reads a table."""
        if 1 <= self.hashed.get(name, 0) <= MAX_FEATURE_DIM:
            return _core.TextCoder.hashing(self.hashed[name])
        return _core.TextCoder.ignoring() if name in self.no_features else _core.TextCoder.adding(_core.Vocabulary())

    def fits(self, block: ColumnBlock) -> dict[str, ColumnFit]:
        """What learns each column that is a feature, in the table's order.

        Raises:
            DataError: a column that is named is not there, is named twice, or is to be hashed into no features.
        """
        named = [*self.no_features, *self.hashed, *self.categorical]
        for name in named:
            if name not in block.columns:
                raise DataError(f"The table has no column '{name}'. It has {listed(block.columns)}.")
            if named.count(name) > 1:
                raise DataError(f"Column '{name}' is named for two purposes or twice. Name it once.")
        for name, buckets in self.hashed.items():
            if not 1 <= buckets <= MAX_FEATURE_DIM:
                raise DataError(f"Column '{name}' is to be hashed into {buckets} features; give at least 1.")
        return {name: self._fit(name, block) for name in block.columns if name not in self.no_features}

    def _fit(self, name: str, block: ColumnBlock) -> ColumnFit:
        if name in self.hashed:
            return HashedFit(name, self.hashed[name])
        if name in self.categorical or isinstance(block.columns[name], Categories | Coded):
            return OneHotFit(name)
        return NumberFit(name)


def listed(names: Iterable[str]) -> str:
    """The names, for a sentence; of many only the first."""
    found = list(names)
    return ", ".join(f"'{name}'" for name in found[:_MOST_LISTED]) + (", ..." if len(found) > _MOST_LISTED else "")
