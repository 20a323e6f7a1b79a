"""What verbs that use a model take: the model, and a file of records."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from openfm.data.records import RecordBlock, decode_records
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

__all__ = ["DATA", "MODEL", "read_labelled", "read_rows"]

MODEL = click.Path(exists=True, path_type=Path)
"""A model.tar.gz, a model file, or a folder with one of them."""

DATA = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""A file of records; - is standard input."""


def read_rows(data: str, feature_dim: int) -> SparseRows:
    """The features of a file's records; labels are not looked at.

    Raises:
        DataError: the file does not hold records of this width.
        OSError: it cannot be read.
    """
    return _read(data, feature_dim, labelled=False).rows


def read_labelled(data: str, feature_dim: int) -> tuple[SparseRows, npt.NDArray[np.float32]]:
    """The features and the labels of a file's records, each of which must have one.

    Raises:
        DataError: the file does not hold records of this width, or one has no label.
        OSError: it cannot be read.
    """
    block = _read(data, feature_dim, labelled=True)
    assert block.labels is not None  # they are required
    return block.rows, block.labels


def _read(data: str, feature_dim: int, *, labelled: bool) -> RecordBlock:
    with click.open_file(data, "rb") as file:
        content = file.read()
    try:
        return decode_records(content, feature_dim=feature_dim, labels="required" if labelled else "ignored")
    except DataError as error:
        raise DataError(f"{'standard input' if data == '-' else data}: {error.message}") from error
