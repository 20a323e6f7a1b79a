"""libsvm text: ``label index:value index:value ...``, one row a line.

Comments (from ``#`` on) and empty lines are skipped. Indices may stand in any order, each at most once in a row.
Whether the first feature is number 0 or 1 differs from file to file and cannot be told from it: it must be stated.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import BinaryIO

from openfm.data.formats.format import Format, ReadOptions, WriteOptions
from openfm.data.formats.source import Source
from openfm.data.formats.text_reader import TextReader
from openfm.data.records import RecordBlock
from openfm.errors import DataError
from openfm.fm.rows import SparseRows
from openfm.native import _core

__all__ = ["LIBSVM"]


def _read(source: Source, options: ReadOptions) -> Generator[RecordBlock, None, None]:
    base = _index_base(options.index_base)

    def parse(data: memoryview, final: bool) -> _core.ParsedRows:
        return _core.parse_libsvm(data, base, options.feature_dim, final)

    reader = TextReader(source, unit="field", start=options.start)
    for parsed in reader.blocks(parse):
        rows = SparseRows(parsed.indptr, parsed.indices, parsed.values, parsed.feature_dim)
        if len(rows):
            yield RecordBlock(rows, parsed.labels, dense_records=0, end=reader.place_after(parsed))


def _write(file: BinaryIO, blocks: Iterable[RecordBlock], options: WriteOptions) -> None:
    base = _index_base(options.index_base)
    for block in blocks:
        if block.labels is None:
            raise DataError(
                "libsvm needs a label in every row, and these have none. Name the target, or use another format."
            )
        rows = block.rows
        file.write(_core.write_libsvm(rows.indptr, rows.indices, rows.values, block.labels, base))


def _index_base(stated: int | None) -> int:
    if stated not in (0, 1):
        raise DataError(
            "libsvm files count features from 0 or from 1, and do not tell which: state the index base, 0 or 1 "
            "(--index-base on the command line, index_base in Python)."
        )
    return stated


LIBSVM = Format(
    name="libsvm",
    suffixes=(".libsvm", ".svmlight", ".svm"),
    streams=True,
    weights="no",
    seeks=True,
    width_varies=True,
    read=_read,
    write=_write,
)
"""libsvm, as svmlight and XGBoost read it."""
