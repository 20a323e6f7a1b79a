"""Delimited text (RFC 4180): CSV and TSV. Every column is a number, the label or a feature.

With a header the first line names the columns. Without one, and with the label in the first column, it is what
SageMaker's built-in algorithms call ``text/csv;label_size=1``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Generator, Iterable
from contextlib import closing
from functools import partial
from typing import BinaryIO

from openfm.data.formats.columns import check_width, column_names, target_number
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.text_reader import TextReader
from openfm.data.records import RecordBlock
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["CSV", "TSV"]


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


def _format(name: str, delimiter: str) -> Format:
    return Format(
        name=name,
        suffixes=(f".{name}",),
        streams=True,
        named_columns=True,
        read=partial(_read, delimiter=delimiter),
        write=partial(_write, delimiter=delimiter),
    )


CSV = _format("csv", ",")
"""Comma-separated values."""

TSV = _format("tsv", "\t")
"""Tab-separated values."""
