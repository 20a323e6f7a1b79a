"""All file formats, each once."""

from __future__ import annotations

from pathlib import PurePath

from openfm.data.formats.delimited import CSV, TSV
from openfm.data.formats.format import Format
from openfm.data.formats.libsvm import LIBSVM
from openfm.data.formats.npy import NPY
from openfm.data.formats.npz import NPZ
from openfm.data.formats.parquet import PARQUET
from openfm.data.formats.recordio import RECORDIO
from openfm.errors import DataError

__all__ = ["FORMATS", "find_format"]

FORMATS = {each.name: each for each in (RECORDIO, LIBSVM, CSV, TSV, PARQUET, NPZ, NPY)}
"""By name."""


def find_format(name: str | None, path: PurePath | None) -> Format:
    """The format of this name, or else the one that the file's name tells; a final ``.gz`` of it is overlooked.

    Raises:
        DataError: there is no such format, or the file's name tells none.
    """
    if name is not None:
        if name not in FORMATS:
            raise DataError(f"There is no format '{name}'. The formats are {', '.join(FORMATS)}.")
        return FORMATS[name]
    if path is None:
        raise DataError(f"Name the format of what is not a file: one of {', '.join(FORMATS)}.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes.pop()
    for each in FORMATS.values():
        if suffixes and suffixes[-1] in each.suffixes:
            return each
    known = ", ".join(suffix for each in FORMATS.values() for suffix in each.suffixes)
    raise DataError(f"The name of '{path}' does not tell its format: it ends with none of {known}. Name the format.")
