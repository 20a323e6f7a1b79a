"""What verbs that use a model take: the model, and a file of records in any format."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from openfm.cli.data_options import (
    FORMAT,
    index_base_option,
    no_header_option,
    source_of,
    target_option,
    weight_option,
)
from openfm.data.formats.files import read_blocks
from openfm.data.formats.format import Format, ReadOptions
from openfm.data.formats.recordio import RECORDIO
from openfm.data.formats.registry import find_format
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock
from openfm.encoding import ColumnEncoder
from openfm.encoding.tables import encoded_records
from openfm.errors import DataError
from openfm.fm.rows import SparseRows

__all__ = ["DATA", "MODEL", "RecordsFile", "records_options", "tell_unseen"]

MODEL = click.Path(exists=True, path_type=Path)
"""A model.tar.gz, a model file, or a folder with one of them."""

DATA = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""A file of records; - is standard input."""


@dataclass(frozen=True, slots=True)
class RecordsFile:
    """A file of records, or standard input.

    Attributes:
        path: of the file; - is standard input.
        format: None: what the name tells, and recordio where it tells nothing.
        options: how it is read, but for the number of features.
    """

    path: str
    format: str | None
    options: ReadOptions

    def blocks(
        self, feature_dim: int, encoder: ColumnEncoder | None, *, identities: bool = False
    ) -> Iterator[RecordBlock]:
        """The records, some megabytes at a time.

        Args:
            feature_dim: the model's.
            encoder: the model's, by which columns with names are encoded; None if it has none. What it does not know
                is told on standard error at the end.
            identities: whether uid and metadata of records are wanted too.

        Raises:
            DataError: the file does not hold records of this width, or not the encoder's columns.
            OSError: it cannot be read.
        """
        source = source_of(self.path)
        format = self._format(source.path)
        if encoder is not None and format.read_columns is not None and self.options.header:
            target, weight = (
                None if column is None else str(column) for column in (self.options.target, self.options.weight)
            )
            return _encoded(source, format, encoder, target, weight)
        return read_blocks(source, format, replace(self.options, feature_dim=feature_dim, identities=identities))

    def rows(self, feature_dim: int, encoder: ColumnEncoder | None) -> SparseRows:
        """The features of all records; takes and raises what :meth:`blocks` does."""
        return _joined([block.rows for block in self.blocks(feature_dim, encoder)], feature_dim)

    def labelled(self, feature_dim: int, encoder: ColumnEncoder | None) -> tuple[SparseRows, npt.NDArray[np.float32]]:
        """The features and the labels of all records. The encoder's target is the labels' column if none is named.

        Raises:
            DataError: as :meth:`blocks`, or the records have no labels.
            OSError: the file cannot be read.
        """
        rows, labels = [], [np.empty(0, dtype=np.float32)]
        records = self
        if self.options.target is None and encoder is not None:
            records = replace(self, options=replace(self.options, target=encoder.target))
        for block in records.blocks(feature_dim, encoder):
            if block.labels is None:
                raise DataError(f"The records of {self.path} have no labels. Say with --target which column has them.")
            rows.append(block.rows)
            labels.append(block.labels)
        return _joined(rows, feature_dim), np.concatenate(labels)

    def _format(self, path: Path | None) -> Format:
        if self.format is None and path is not None:
            try:
                return find_format(None, path)
            except DataError:
                return RECORDIO  # training data often have no suffix
        return RECORDIO if self.format is None else find_format(self.format, path)


def records_options(parameter: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb the options that say how a file of records is to be read.

    Args:
        parameter: which of the verb's own is that file's path, of the type :data:`DATA`. The verb gets a
            :class:`RecordsFile` instead, or None where the path is.
    """
    from_option = click.option(
        "--from",
        "from_format",
        type=FORMAT,
        help="The format of the records; by default the file's name tells, and where it does not it is recordio.",
    )

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(verb)
        def with_records(
            *,
            from_format: str | None,
            target: str | None,
            weight: str | None,
            index_base: int | None,
            no_header: bool,
            **others: Any,
        ) -> None:
            path = others.pop(parameter)
            options = ReadOptions(target=target, weight=weight, index_base=index_base, header=not no_header)
            verb(**others, **{parameter: None if path is None else RecordsFile(path, from_format, options)})

        return from_option(target_option(weight_option(index_base_option(no_header_option(with_records)))))

    return decorate


def _encoded(
    source: Source, format: Format, encoder: ColumnEncoder, target: str | None, weight: str | None
) -> Iterator[RecordBlock]:
    unseen: Counter[str] = Counter()
    yield from encoded_records(source, format, encoder, target=target, weight=weight, unseen=unseen)
    tell_unseen(unseen)


def tell_unseen(unseen: Counter[str]) -> None:
    """Say on standard error how many values of which columns the encoder does not know, if there are any."""
    if unseen:
        counts = ", ".join(f"{count} of column '{name}'" for name, count in sorted(unseen.items()))
        click.echo(f"Values that the encoder does not know, and that contribute nothing: {counts}.", err=True)


def _joined(parts: list[SparseRows], feature_dim: int) -> SparseRows:
    if parts:
        return SparseRows.concatenate(parts)
    return SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), feature_dim)
