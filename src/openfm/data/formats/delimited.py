"""Delimited text (RFC 4180): CSV and TSV. Every column is a number, the label or a feature.

With a header the first line names the columns. Without one, and with the label in the first column, it is what
SageMaker's built-in algorithms call ``text/csv;label_size=1``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Generator, Iterable
from contextlib import closing
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from openfm.data.formats.columns import check_width, column_names, target_number
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.text_reader import TextReader
from openfm.data.formats.typed import Categories, ColumnBlock
from openfm.data.records import RecordBlock
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["CSV", "TSV"]

_NUMBER, _CATEGORY = range(2)  # what the native parser is told of columns


def _read(source: Source, options: ReadOptions, *, delimiter: str) -> Generator[RecordBlock, None, None]:
    with closing(TextReader(source)) as reader:
        names = reader.header(delimiter) if options.header else None
        label = target_number(options.target, names, source)
        columns = None if names is None else len(names)
        if columns is not None:
            check_width(columns - (label is not None), options.feature_dim, source)
        elif options.feature_dim is not None:
            columns = options.feature_dim + (label is not None)

        def parse(data: memoryview, final: bool) -> _core.ParsedRows:
            nonlocal columns
            parsed = _core.parse_csv(data, delimiter, label, columns, final)
            if columns is None and len(parsed.indptr) > 1:
                columns = parsed.feature_dim + (label is not None)
            return parsed

        for parsed in reader.blocks(parse):
            rows = SparseRows(parsed.indptr, parsed.indices, parsed.values, parsed.feature_dim)
            if len(rows):
                yield RecordBlock(rows, parsed.labels, dense_records=len(rows))


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions, *, delimiter: str) -> None:
    first = True
    for block in blocks:
        rows = block.rows
        names = column_names(rows.feature_dim, None if block.labels is None else options.target)
        if first and options.header:
            line = io.StringIO()
            csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(names)
            file.write(line.getvalue().encode())
        first = False
        file.write(_core.write_csv(rows.indptr, rows.indices, rows.values, block.labels, rows.feature_dim, delimiter))


def _read_columns(
    source: Source, *, delimiter: str, categories: Collection[str] = ()
) -> Generator[ColumnBlock, None, None]:
    """Reads CSV or TSV with a header.

    A column holds numbers if all that is not empty in the first block (4 MiB) is a number, and it is not one of
    ``categories``; otherwise it holds categories. A number may be an id: whoever knows says so by ``categories``.

    Args:
        source: the text.
        delimiter: between fields.
        categories: names of columns that hold categories whatever they look like.

    Raises:
        DataError: a row is faulty, or what is no number comes later in a column of numbers; names line and column.
    """
    reader = TextReader(source)
    names = reader.header(delimiter)
    kinds: npt.NDArray[np.uint8] | None = None

    def parse(data: memoryview, final: bool) -> _core.ParsedColumns:
        nonlocal kinds
        if kinds is None:
            first = _core.parse_csv_columns(data, delimiter, np.full(len(names), _CATEGORY, dtype=np.uint8), final)
            if first.fault is not None or not first.rows:
                return first
            kinds = np.array(
                [
                    _CATEGORY if name in categories or not _is_number(column) else _NUMBER
                    for name, column in zip(names, first.columns, strict=True)
                ],
                dtype=np.uint8,
            )
        return _core.parse_csv_columns(data, delimiter, kinds, final)

    for parsed in reader.blocks(parse):
        if parsed.rows:
            columns = {
                name: Categories(*column) if isinstance(column, tuple) else column
                for name, column in zip(names, parsed.columns, strict=True)
            }
            yield ColumnBlock(columns, parsed.rows)


def _is_number(column: Any) -> bool:
    texts = Categories(*column).texts()
    kinds = np.array([_NUMBER], dtype=np.uint8)
    # No number holds a line break or a quote, and none needs a delimiter.
    return not texts or _core.parse_csv_columns(b"\n".join(texts), "\0", kinds, True).fault is None


def _format(name: str, delimiter: str) -> Format:
    return Format(
        name=name,
        suffixes=(f".{name}",),
        streams=True,
        read=partial(_read, delimiter=delimiter),
        write=partial(_write, delimiter=delimiter),
        read_columns=partial(_read_columns, delimiter=delimiter),
    )


CSV = _format("csv", ",")
"""Comma-separated values."""

TSV = _format("tsv", "\t")
"""Tab-separated values."""
