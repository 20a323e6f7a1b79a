"""Features on the command line: lists such as ``60:70,75``, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from openfm.errors import DataError

__all__ = ["FeatureNames", "feature_list", "feature_range", "feature_value"]


def feature_range(text: str) -> range:
    """``60:70`` as the features 60 to 69.

    Raises:
        click.BadParameter: the text is no range.
    """
    first, colon, end = text.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and int(first) <= int(end)):
        raise click.BadParameter(f"'{text}' is no range of features such as 60:100, which is 60 to 99.")
    return range(int(first), int(end))


def feature_list(text: str) -> range | npt.NDArray[np.int64]:
    """``60:70`` as a range; ``60:70,75`` as an array of the features 60 to 69 and 75.

    Raises:
        click.BadParameter: a part of the text is neither a feature nor a range.
    """
    parts = [range(int(part), int(part) + 1) if part.isdecimal() else feature_range(part) for part in text.split(",")]
    return parts[0] if len(parts) == 1 else np.concatenate([np.array(part, dtype=np.int64) for part in parts])


def feature_value(text: str) -> tuple[int, float]:
    """``17=0.5`` as a feature and its value; ``17`` has the value 1.

    Raises:
        click.BadParameter: the text is neither.
    """
    feature, _, value = text.partition("=")
    try:
        return int(feature), float(value or 1)
    except ValueError:
        raise click.BadParameter(f"'{text}' is no feature such as 17, nor one with a value such as 17=0.5.") from None


class FeatureNames:
    """What features are called in what is printed.

    Args:
        names: of the features from 0 on; those beyond are called by their number.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names

    @classmethod
    def read(cls, path: Path | None) -> FeatureNames:
        """Read a text file with a name on each line, the first of which is that of feature 0; None: there is none.

        Raises:
            DataError: the file is not UTF-8.
            OSError: it cannot be read.
        """
        if path is None:
            return cls()
        try:
            return cls(path.read_text(encoding="utf-8").splitlines())
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text; feature names are one a line") from error

    def __bool__(self) -> bool:
        return bool(self._names)

    def __getitem__(self, feature: int) -> str:
        return self._names[feature] if feature < len(self._names) else f"feature {feature}"
