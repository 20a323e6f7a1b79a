"""Delimited text (RFC 4180): CSV and TSV. Every column is a number: the label, the weight or a feature.

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

from openfm.data.formats.columns import ColumnRoles, check_width, column_names, column_roles
from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.text_reader import TextReader
from openfm.data.formats.typed import Categories, Coded, CoderOf, ColumnBlock, IsUnused, TypedColumn
from openfm.data.records import RecordBlock
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["CSV", "TSV"]

_NUMBER, _CATEGORY = range(2)  # what the native parser is told of columns

_FEW_TEXTS = 16


def _read(source: Source, options: ReadOptions, *, delimiter: str) -> Generator[RecordBlock, None, None]:
    assert not (options.header and options.start.offset)  # a header is at the start only
    with closing(TextReader(source, start=options.start)) as reader:
        names = reader.header(delimiter) if options.header else None
        roles = column_roles(options, names, source)
        columns = None if names is None else len(names)
        if columns is not None:
            check_width(columns - len(roles), options.feature_dim, source)
        elif options.feature_dim is not None:
            columns = options.feature_dim + len(roles)
            _check_numbers(roles, columns, source)

        def parse(data: memoryview, final: bool) -> _core.ParsedRows:
            nonlocal columns
            parsed = _core.parse_csv(data, delimiter, roles.target, columns, final, roles.weight)
            if columns is None and len(parsed.indptr) > 1:
                columns = parsed.feature_dim + len(roles)
            return parsed

        for parsed in reader.blocks(parse, no_features=list(roles)):
            rows = SparseRows(parsed.indptr, parsed.indices, parsed.values, parsed.feature_dim)
            if len(rows):
                yield RecordBlock(
                    rows,
                    parsed.labels,
                    dense_records=len(rows),
                    end=reader.place_after(parsed),
                    weights=parsed.weights,
                )


def _check_numbers(roles: ColumnRoles, columns: int, source: Source) -> None:
    """Refuses a column's number that the rows, which have no names, are too short for."""
    if len(roles) and max(roles) >= columns:
        raise source.error(
            f"{source.name} has {columns} columns by its feature_dim, numbered from 0: none is number {max(roles)}. "
            "Name another one, or correct feature_dim."
        )


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions, *, delimiter: str) -> None:
    first = True
    for block in blocks:
        rows = block.rows
        names = column_names(
            rows.feature_dim,
            None if block.labels is None else options.target,
            None if block.weights is None else options.weight,
        )
        if first and options.header:
            line = io.StringIO()
            csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(names)
            file.write(line.getvalue().encode())
        first = False
        text = _core.write_csv(
            rows.indptr, rows.indices, rows.values, block.labels, rows.feature_dim, delimiter, block.weights
        )
        file.write(text)


def _read_columns(
    source: Source,
    *,
    delimiter: str,
    categories: Collection[str] = (),
    no_features: Collection[str] = (),
    coder_of: CoderOf | None = None,
    is_unused: IsUnused | None = None,
) -> Generator[ColumnBlock, None, None]:
    """Reads CSV or TSV with a header.

    A column holds numbers if all that is not empty in the first block (4 MiB) is a number, and it is not one of
    ``categories``; otherwise it holds categories. A number may be an id: whoever knows says so by ``categories``.

    Args:
        source: the text.
        delimiter: between fields.
        categories: names of columns that hold categories whatever they look like.
        no_features: names of columns that are something else, such as the label: for errors.
        coder_of: is asked once for the coder of each column of categories.
        is_unused: names columns that nobody looks at: they may hold anything, and are categories that all are missing.

    Raises:
        DataError: a row is faulty, or what is no number comes later in a column of numbers; names line and column.
    """
    reader = TextReader(source)
    names = reader.header(delimiter)
    kinds: npt.NDArray[np.uint8] | None = None
    coders: list[_core.TextCoder | None] = []
    unused = {name for name in names if is_unused is not None and is_unused(name)}

    def coder(name: str) -> _core.TextCoder | None:
        if name in unused:
            return _core.TextCoder.ignoring()
        return None if coder_of is None else coder_of(name)

    def parse(data: memoryview, final: bool) -> _core.ParsedColumns:
        nonlocal kinds, coders
        if kinds is None:
            first = _core.parse_csv_columns(data, delimiter, np.full(len(names), _CATEGORY, dtype=np.uint8), final)
            if first.fault is not None or not first.rows:
                return first
            kinds = np.array(
                [
                    _CATEGORY if name in unused or name in categories or not _is_number(column) else _NUMBER
                    for name, column in zip(names, first.columns, strict=True)
                ],
                dtype=np.uint8,
            )
            coders = [coder(name) if kind == _CATEGORY else None for name, kind in zip(names, kinds, strict=True)]
        return _core.parse_csv_columns(data, delimiter, kinds, final, coders)

    others = [number for number, name in enumerate(names) if name in no_features]
    for parsed in reader.blocks(parse, no_features=others):
        if parsed.rows:
            columns = map(_typed, parsed.columns, coders)
            yield ColumnBlock(dict(zip(names, columns, strict=True)), parsed.rows)


def _typed(column: _core.ParsedColumn, coder: _core.TextCoder | None) -> TypedColumn:
    if isinstance(column, tuple):
        return Categories(*column)
    return column if coder is None else Coded(column, coder)


def _is_number(column: Any) -> bool:
    codes, offsets, utf8 = column
    few = offsets[: _FEW_TEXTS + 1]  # that tell of most columns of texts, which have many, that they are such
    return all(_are_numbers(Categories(codes, some, utf8[: some[-1]]).texts()) for some in (few, offsets))


def _are_numbers(texts: list[bytes]) -> bool:
    kinds = np.array([_NUMBER], dtype=np.uint8)
    # No number holds a line break or a quote, and none needs a delimiter.
    return not texts or _core.parse_csv_columns(b"\n".join(texts), "\0", kinds, True).fault is None


def _format(name: str, delimiter: str) -> Format:
    return Format(
        name=name,
        suffixes=(f".{name}",),
        streams=True,
        weights="all",
        seeks=True,
        read=partial(_read, delimiter=delimiter),
        write=partial(_write, delimiter=delimiter),
        read_columns=partial(_read_columns, delimiter=delimiter),
    )


CSV = _format("csv", ",")
"""Comma-separated values."""

TSV = _format("tsv", "\t")
"""Tab-separated values."""
