"""Data of any format: read, measured and written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, overload

import numpy as np

from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.matrix import matrix_blocks
from openfm.data.formats.registry import find_format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.data.records import Labelled, RecordBlock, Weighted
from openfm.data.weights import joined_weights
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

__all__ = [
    "iter_columns",
    "iter_data",
    "measure",
    "read_blocks",
    "read_data",
    "write_blocks",
    "write_data",
    "write_stream",
]


@overload
def read_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: Literal[False] = False,
) -> Labelled: ...
@overload
def read_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: Literal[True],
) -> Weighted: ...
def read_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: bool = False,
) -> Labelled | Weighted:
    """Reads a file of any format (``docs/formats.md``) whole.

    Args:
        path: the file; recordio, libsvm, CSV and TSV may be compressed with gzip.
        format: ``recordio``, ``libsvm``, ``csv``, ``tsv``, ``parquet``, ``npz`` or ``npy``; by default the file's name
            tells.
        feature_dim: the number of features; by default the data tell.
        index_base: libsvm: the number of the first feature, 0 or 1. It must be given.
        target: the label's column: its name, or its number from 0. By default there are no labels, but those of
            recordio, libsvm and npz.
        weight: CSV, TSV and Parquet: the column of the records' weights, likewise; it is no feature. recordio and npz
            have them in a place of their own.
        header: CSV and TSV: whether the first line names the columns.
        return_weights: whether to return the weights too.

    Returns:
        X, float32 of shape (rows, feature_dim) with sorted indices and without stored zeros, and y, float32 of shape
        (rows,), or None where there are no labels. With ``return_weights`` also the weights, float32 of shape (rows,),
        or None where there are none.

    Raises:
        DataError: the file holds something else, or the options do not fit; names line or row, column and value.
        OSError: it cannot be read.
    """
    source = Source.of_file(Path(path))
    options = ReadOptions(feature_dim=feature_dim, index_base=index_base, target=target, weight=weight, header=header)
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
    X, y = rows.to_scipy(), np.concatenate(labels) if labels else None
    if not return_weights:
        return X, y
    return X, y, joined_weights([(block.weights, len(block)) for block in blocks])


@overload
def iter_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: Literal[False] = False,
) -> Iterator[Labelled]: ...
@overload
def iter_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: Literal[True],
) -> Iterator[Weighted]: ...
def iter_data(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    feature_dim: int | None = None,
    index_base: int | None = None,
    target: str | int | None = None,
    weight: str | int | None = None,
    header: bool = True,
    return_weights: bool = False,
) -> Iterator[Labelled | Weighted]:
    """Reads a file as :func:`read_data` does, in blocks of some megabytes, however large the file is.

    Where libsvm rows or records without a shape are read without ``feature_dim``, the file is read twice.

    Yields:
        X and y, and the weights if they are asked for, as :func:`read_data` returns them, of consecutive rows.
    """
    source = Source.of_file(Path(path))
    found = find_format(format, source.path)
    options = ReadOptions(feature_dim=feature_dim, index_base=index_base, target=target, weight=weight, header=header)
    for block in read_blocks(source, found, measure(source, found, options)):
        X = block.rows.to_scipy()
        yield (X, block.labels, block.weights) if return_weights else (X, block.labels)


def iter_columns(
    path: str | os.PathLike[str], *, format: str | None = None, categories: Collection[str] = ()
) -> Iterator[ColumnBlock]:
    """Reads the columns of a table as they are, numbers and texts, in blocks of some megabytes.

    They are what :class:`openfm.ColumnEncoder` is fitted on and encodes.

    Args:
        path: a file of CSV or TSV, whose first line names the columns, or of Parquet.
        format: ``csv``, ``tsv`` or ``parquet``; by default the file's name tells.
        categories: columns to be taken as texts, even if they look like numbers, such as ids. A column of text files is
            one of numbers if its first 4 MiB hold nothing else; name here also what the encoder ignores, so that no
            text further on in it is an error.

    Yields:
        consecutive rows; numbers are float64, all else is text. A column of Parquet whose type has no text, such as
        lists, is an error where it is used: an encoder can be told to ignore it.

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
    weights: Any = None,
    weight: str = "weight",
) -> int:
    """Writes rows as a file of any format (``docs/formats.md``).

    Args:
        path: the file, which is overwritten.
        X: shape (n, feature_dim): a SciPy sparse matrix, or anything that NumPy takes for a two-dimensional array. Or
            an iterator of such pairs X, y as :func:`iter_data` yields, or of triples with the weights; ``y`` and
            ``weights`` are None then.
        y: the labels, shape (n,); None writes none.
        format: as for :func:`read_data`.
        index_base: libsvm: what the first feature is called, 0 or 1. It must be given.
        target: what the label's column is called, where columns have names.
        header: CSV and TSV: whether the first line names the columns.
        weights: the records' weights, shape (n,), at least 0; None writes none. libsvm and npy have no place for them.
        weight: what the weights' column is called, where columns have names.

    Returns:
        the number of rows written.

    Raises:
        DataError: the data cannot be written so.
        OSError: the file cannot be written.
    """
    destination = Path(path)
    found = find_format(format, destination)
    options = WriteOptions(index_base=index_base, target=target, weight=weight, header=header)
    parts = X if isinstance(X, Iterator) else [(X, y, weights)]
    blocks = (
        block
        for rows, labels, *of_rows in parts
        for block in matrix_blocks(_as_matrix(rows), labels, name="X", weights=of_rows[0] if of_rows else None)
    )
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


def read_blocks(source: Source, format: Format, options: ReadOptions) -> Iterator[RecordBlock]:
    """The records of a source in blocks of at least one, all with labels or all without.

    Raises:
        DataError: as :func:`read_data`.
    """
    if source.path is None and not format.streams:
        raise source.error(f"{format.name} is read from a file only, not from a stream. Give a file.")
    if format.weights == "no" and options.weight is not None:
        raise source.error(f"{format.name} has no weights, so {source.name} has no column '{options.weight}' of them.")
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
            write_stream(file, format, blocks, options)
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            write_stream(file, format, blocks, options)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_stream(file: BinaryIO, format: Format, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    """Writes blocks of equal width to an open file.

    Raises:
        DataError: the format cannot hold them.
        OSError: the file cannot be written.
    """
    format.write(file, _with_fitting_weights(blocks, format), options)


def _with_fitting_weights(blocks: Iterable[RecordBlock], format: Format) -> Iterator[RecordBlock]:
    """The same blocks; of a format whose records all have weights or none, with weights if the first block has them."""
    weighted: bool | None = None
    for block in blocks:
        if format.weights == "no" and block.weights is not None:
            raise DataError(
                f"{format.name} has no place for the records' weights. Write recordio, csv, tsv, parquet or npz, or "
                "leave the weights out."
            )
        weighted = block.weights is not None if weighted is None else weighted
        if format.weights == "all" and weighted != (block.weights is not None):
            if not weighted:
                raise DataError(
                    f"{format.name} has a column of weights or none, but the first records have no weight and later "
                    "ones have. Give the first record a weight too: 1 is what none stands for."
                )
            block = replace(block, weights=np.ones(len(block), dtype=np.float32))
        yield block
