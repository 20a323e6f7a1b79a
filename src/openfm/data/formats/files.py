"""Data of any format: read, measured and written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.matrix import matrix_blocks
from openfm.data.formats.registry import find_format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.data.records import RecordBlock
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["iter_columns", "iter_data", "measure", "read_blocks", "read_data", "write_blocks", "write_data"]

Labelled = tuple["csr_matrix", npt.NDArray[np.float32] | None]


def read_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    header: bool = True,
) -> Labelled:
    """Reads a file of any format (``docs/formats.md``) whole.

    Args:
        path: the file; recordio, libsvm, CSV and TSV may be compressed with gzip.
        format: ``recordio``, ``libsvm``, ``csv``, ``tsv``, ``parquet``, ``npz`` or ``npy``; by default the file's name
            tells.
        feature_dim: the number of features; by default the data tell.
        index_base: libsvm: the number of the first feature, 0 or 1. It must be given.
        target: the label's column: its name, or its number from 0. By default there are no labels, but those of
            recordio, libsvm and npz.
        header: CSV and TSV: whether the first line names the columns.

    Returns:
        X, float32 of shape (rows, feature_dim) with sorted indices and without stored zeros, and y, float32 of shape
        (rows,), or None where there are no labels.

    Raises:
        DataError: the file holds something else, or the options do not fit; names line or row, column and value.
        OSError: it cannot be read.
    """
    source = Source.of_file(Path(path))
    options = _options(feature_dim, index_base, target, header)
    found = find_format(format, source.path)
    blocks = list(read_blocks(source, found, options))
    if not blocks:
        raise DataError(f"{source.name} holds no rows. Give at least one.")
    widths = {block.rows.feature_dim for block in blocks}
    if len(widths) > 1:  # the widest block says what the others are checked against
        _check_read_again(source)
        blocks = list(read_blocks(source, found, replace(options, feature_dim=max(widths))))
    rows = SparseRows.concatenate([block.rows for block in blocks])
    labels = [block.labels for block in blocks if block.labels is not None]
    return rows.to_scipy(), np.concatenate(labels) if labels else None


def iter_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    header: bool = True,
) -> Iterator[Labelled]:
    """Reads a file as :func:`read_data` does, in blocks of some megabytes, however large the file is.

    Where libsvm rows or records without a shape are read without ``feature_dim``, the file is read twice.

    Yields:
        X and y, as :func:`read_data` returns them, of consecutive rows.
    """
    source = Source.of_file(Path(path))
    found = find_format(format, source.path)
    options = _options(feature_dim, index_base, target, header)
    for block in read_blocks(source, found, measure(source, found, options)):
        yield block.rows.to_scipy(), block.labels


def iter_columns(
    path: str | os.PathLike[str], *, format: str | None = None, categories: Collection[str] = ()
) -> Iterator[ColumnBlock]:
    """Reads the columns of a table as they are, numbers and texts, in blocks of some megabytes.

    They are what :class:`openfm.ColumnEncoder` is fitted on and encodes.

    Args:
        path: a file of CSV or TSV, whose first line names the columns, or of Parquet.
        format: ``csv``, ``tsv`` or ``parquet``; by default the file's name tells.
        categories: columns to be taken as texts, even if they look like numbers, such as ids.

    Yields:
        consecutive rows; numbers are float64, all else is text.

    Raises:
        DataError: the format has no named columns, or the file cannot be read.
        OSError: it cannot be read.
    """
    source = Source.of_file(Path(path))
    found = find_format(format, source.path)
    if found.read_columns is None:
        raise source.error(f"{source.name} is {found.name}, which has no named columns. Give csv, tsv or parquet.")
    yield from found.read_columns(source, categories=frozenset(categories))


def write_data(
    path: str | os.PathLike[str],
    X: Any,
    y: Any = None,
    *,
    format: str | None = None,
    index_base: int | None = None,
    target: str = "label",
    header: bool = True,
) -> int:
    """Writes rows as a file of any format (``docs/formats.md``).

    Args:
        path: the file, which is overwritten.
        X: shape (n, feature_dim): a SciPy sparse matrix, or anything that NumPy takes for a two-dimensional array. Or
            an iterator of such pairs X, y as :func:`iter_data` yields; ``y`` is None then.
        y: the labels, shape (n,); None writes none.
        format: as for :func:`read_data`.
        index_base: libsvm: what the first feature is called, 0 or 1. It must be given.
        target: what the label's column is called, where columns have names.
        header: CSV and TSV: whether the first line names the columns.

    Returns:
        the number of rows written.

    Raises:
        DataError: the data cannot be written so.
        OSError: the file cannot be written.
    """
    destination = Path(path)
    found = find_format(format, destination)
    options = WriteOptions(index_base=index_base, target=target, header=header)
    pairs = X if isinstance(X, Iterator) else [(X, y)]
    blocks = (block for rows, labels in pairs for block in matrix_blocks(_as_matrix(rows), labels, name="X"))
    count = 0

    def counted() -> Iterator[RecordBlock]:
        nonlocal count
        for block in blocks:
            count += len(block)
            yield block

    write_blocks(destination, found, counted(), options)
    return count


def _as_matrix(X: Any) -> Any:
    return X.tocsr() if hasattr(X, "tocsr") else np.asarray(X)


def _options(feature_dim: int | None, index_base: int | None, target: str | int | None, header: bool) -> ReadOptions:
    return ReadOptions(
        feature_dim=feature_dim,
        index_base=index_base,
        target=target,
        header=header,
    )


def read_blocks(source: Source, format: Format, options: ReadOptions) -> Iterator[RecordBlock]:
    """The records of a source in blocks of at least one, all with labels or all without.

    Raises:
        DataError: as :func:`read_data`.
    """
    if source.path is None and not format.streams:
        raise source.error(f"{format.name} is read from a file only, not from a stream. Give a file.")
    labelled = None
    for block in format.read(source, options):
        if labelled is None:
            labelled = block.labels is not None
        elif labelled != (block.labels is not None):
            raise source.error(
                f"Some records of {source.name} have labels and others have none. Give all labels, or none."
            )
        yield block


def measure(source: Source, format: Format, options: ReadOptions) -> ReadOptions:
    """The same options with ``feature_dim``, for which the source is read once where its blocks may differ.

    Raises:
        DataError: the source is a stream, which can be read once only; or as :func:`read_data`.
    """
    if options.feature_dim is not None or not format.width_varies:
        return options
    _check_read_again(source)
    width = max((block.rows.feature_dim for block in read_blocks(source, format, options)), default=0)
    return replace(options, feature_dim=width)


def _check_read_again(source: Source) -> None:
    if source.path is None or not source.path.is_file():  # such as a FIFO
        raise source.error(
            f"The number of features in {source.name} is not known before its end: state the feature_dim."
        )


def write_blocks(path: Path, format: Format, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    """Writes blocks of equal width to a file, which is replaced when all is written.

    Raises:
        DataError: the format cannot hold them; there is no file then, or the one that was.
        OSError: the file cannot be written.
    """
    if path.exists() and not path.is_file():  # such as a FIFO
        with path.open("wb") as file:
            format.write(file, blocks, options)
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            format.write(file, blocks, options)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
