"""Features on the command line: lists such as ``60:70,75``, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from openfm.cli.failing import shortened
from openfm.encoding import ColumnEncoder, NumberColumn, OneHotColumn
from openfm.errors import DataError
from openfm.fm.rows import MAX_FEATURE_DIM

__all__ = ["FeatureNames", "RawFeatures", "feature_range", "feature_value"]

_MOST_DIGITS = len(str(MAX_FEATURE_DIM))  # int() refuses thousands of them


def feature_range(text: str) -> range:
    """``60:70`` as the features 60 to 69.

    Raises:
        click.BadParameter: the text is no range, or one of features that no model can have.
    """
    first, _, end = text.partition(":")
    begin, stop = _number(first), _number(end)
    if begin is None or stop is None or begin > stop:
        raise click.BadParameter(f"'{shortened(text)}' is no range of features such as 60:100, which is 60 to 99.")
    return range(begin, stop)


def feature_value(text: str) -> tuple[int, float]:
    """``17=0.5`` as a feature and its value; ``17`` has the value 1.

    Raises:
        click.BadParameter: the text is neither.
    """
    feature, _, value = text.partition("=")
    number = _number(feature)
    try:
        if number is not None:
            return number, float(value or 1)
    except ValueError:
        pass  # said below
    raise click.BadParameter(f"'{shortened(text)}' is no feature such as 17, nor one with a value such as 17=0.5.")


def _listed(text: str) -> list[range]:
    """``60:70,75`` as the features 60 to 69 and the one 75."""
    return [_feature_or_range(part) for part in text.split(",")]


def _feature_or_range(text: str) -> range:
    number = _number(text)
    return feature_range(text) if number is None else range(number, number + 1)


def _number(text: str) -> int | None:
    """The number that the text is; None if it is none.

    Raises:
        click.BadParameter: it is a number, but beyond what any model has.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > _MOST_DIGITS or int(digits) > MAX_FEATURE_DIM:
        raise click.BadParameter(
            f"'{shortened(text)}' is more than the {MAX_FEATURE_DIM} features that a model can have."
        )
    return int(digits)


class RawFeatures:
    """Features on the command line that may be given by columns and values, where the model has an encoder.

    Args:
        encoder: the model's; None if it has none, so that features are given by their numbers.
        feature_dim: of the model. Lists of features are held to it before they become arrays.
    """

    def __init__(self, encoder: ColumnEncoder | None, feature_dim: int) -> None:
        self._encoder = encoder
        self._feature_dim = feature_dim
        self._columns = {} if encoder is None else {column.name: column for column in encoder.columns}

    def value(self, text: str) -> tuple[int, float] | None:
        """``user=u42`` or ``price=3.5`` as a feature and its value, else as :func:`feature_value`; None: it is unseen.

        Raises:
            click.BadParameter: the text is none of these.
        """
        name, equals, value = text.partition("=")
        column = self._columns.get(name) if equals else None
        if column is None:
            return feature_value(text)
        if not isinstance(column, NumberColumn):
            feature = column.feature(value)
            return None if feature is None else (feature, 1.0)
        try:
            return column.first, (float(value) - column.shift) / column.scale
        except ValueError:
            raise click.BadParameter(f"'{shortened(value)}' is no number, but column '{name}' holds numbers.") from None

    def candidates(self, text: str) -> tuple[range | npt.NDArray[np.int64], OneHotColumn | None]:
        """All features of the column of this name, and the column; else those of a list such as ``60:70,75``.

        Returns:
            the features as a range where they are one, else as int64, and the column they are of, or None.

        Raises:
            click.BadParameter: the text is neither, or it lists features that the model does not have.
        """
        column = self._columns.get(text)
        if isinstance(column, OneHotColumn):
            return range(column.first, column.first + column.features), column
        try:
            parts = _listed(text)
        except click.BadParameter as error:
            if self._encoder is None:
                raise
            raise click.BadParameter(
                f"{error.message} Nor is it a column whose values the model knows; its columns are "
                f"{self._encoder.known_columns()}."
            ) from None
        return (self._checked(text, parts)[0] if len(parts) == 1 else self._array(text, parts)), None

    def values(self, text: str, column: OneHotColumn | None) -> npt.NDArray[np.int64]:
        """Values of a column, divided by commas, as features, the unseen left out; else a list such as ``60:70,75``.

        Raises:
            click.BadParameter: the text is no list of features of the model, where there is no column.
        """
        if column is None:
            return self._array(text, _listed(text))
        features = [column.feature(value) for value in text.split(",")]
        return np.array([feature for feature in features if feature is not None], dtype=np.int64)

    def _array(self, text: str, parts: list[range]) -> npt.NDArray[np.int64]:
        return np.concatenate([np.arange(part.start, part.stop) for part in self._checked(text, parts)])

    def _checked(self, text: str, parts: list[range]) -> list[range]:
        for part in parts:
            if len(part) and part.stop > self._feature_dim:
                raise click.BadParameter(
                    f"'{shortened(text)}' lists the feature {max(part.start, self._feature_dim)}, but the model has "
                    f"feature_dim {self._feature_dim}."
                )
        return parts


class FeatureNames:
    """What features are called in what is printed.

    Args:
        names: of the features from 0 on.
        encoder: tells the names of those beyond; without it they are called by their number.
    """

    def __init__(self, names: Sequence[str] = (), encoder: ColumnEncoder | None = None) -> None:
        self._names = names
        self._encoder = encoder

    @classmethod
    def read(cls, path: Path | None, encoder: ColumnEncoder | None) -> FeatureNames:
        """Read a text file with a name on each line, the first of which is that of feature 0; None: there is none.

        Without a file, the model's encoder tells the names, if it has one.

        Raises:
            DataError: the file is not UTF-8.
            OSError: it cannot be read.
        """
        if path is None:
            return cls(encoder=encoder)
        try:
            return cls(path.read_text(encoding="utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text; feature names are one a line") from error

    def __bool__(self) -> bool:
        return bool(self._names) or self._encoder is not None

    def __getitem__(self, feature: int) -> str:
        if feature < len(self._names):
            return self._names[feature]
        return f"feature {feature}" if self._encoder is None else self._encoder.feature_name(feature)

    def describe(self, feature: int, value: float) -> str:
        """The feature and its value in a row, such as ``feature 17 = 0.5``, or ``price=3.5`` where an encoder tells."""
        if self._encoder is not None and feature >= len(self._names):
            return self._encoder.describe(feature, value)
        return f"{self[feature]} = {value:g}"
