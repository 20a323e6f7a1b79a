"""The data that ``openfm train`` is given: files of any format as examples in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np
import numpy.typing as npt

from openfm.cli.data_options import source_of
from openfm.cli.training.start import OF_COLUMNS, Start
from openfm.data.formats.files import measure, read_blocks
from openfm.data.formats.format import Format, ReadOptions
from openfm.data.formats.registry import find_format
from openfm.data.formats.source import Source
from openfm.data.formats.typed import ColumnBlock
from openfm.encoding import ColumnEncoder
from openfm.encoding.tables import column_blocks, numbers_of, unused_by, weights_of
from openfm.errors import CustomerError, DataError
from openfm.fm.rows import SparseRows
from openfm.learning import Examples

__all__ = ["Columns", "DataReader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a table are for.

    Attributes:
        target: of the labels.
        weight: of the weights.
        categorical: ids and words, whatever they look like.
        hashed: the same of an open vocabulary, and into how many features each is hashed.
        ignore: left out.
    """

    target: str | None = None
    weight: str | None = None
    categorical: tuple[str, ...] = ()
    hashed: dict[str, int] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()


class DataReader:
    """Reads the file to train on, which decides what features mean, and then others alike.

    Args:
        columns: of tables.
        options: how files are read, for formats without named columns; with the number of features, if it is known.
        format: the name of the files' format; None: their names tell.
        start: the model to start from, which says what features mean; None: there is none.

    Attributes:
        encoder: of the columns, once the file to train on is read; None: it has records.
        missing_weight: the column of weights of the model to start from, where the file to train on has no such one.
    """

    def __init__(self, columns: Columns, options: ReadOptions, format: str | None, start: Start | None = None) -> None:
        self._named_weight = columns.weight
        if start is not None:
            options = replace(options, feature_dim=start.model.feature_dim)
            if (known := start.model.encoder) is not None:
                columns = replace(columns, target=columns.target or known.target, weight=columns.weight or known.weight)
        self._columns = columns
        self._options = options
        self._format_name = format
        self._start = start
        self.encoder: ColumnEncoder | None = None
        self.missing_weight: str | None = None

    def read_training(self, path: str, unseen: Counter[str] | None = None) -> Examples:
        """The file to train on.

        Args:
            path: of the file; - is standard input.
            unseen: is given, for each column, the number of rows whose value the model to start from does not know.

        Raises:
            DataError: it cannot be read, has no labels, or does not fit the model to start from.
            CustomerError: columns are named, but the format has none.
        """
        source = source_of(path)
        format = find_format(self._format_name, source.path)
        is_table = self._is_table(format)
        if self._start is not None:
            self._start.check_source(source, is_table=is_table)
        if not is_table:
            self._refuse_columns(source, format)
            self._options = measure(source, format, self._options)
            examples = self._records(source, format)
            self._options = replace(self._options, feature_dim=examples.rows.feature_dim)
            return examples
        target = self._target(source, format)
        if self._start is not None:
            self.encoder = self._start.encoder(source, target, self._columns.weight)
            with closing(self._blocks_for(self.encoder, source, format)) as blocks:
                first = next(blocks, None)
                if first is not None:
                    self._spare_missing_weight(first)
                return self._encoded(source, chain([] if first is None else [first], blocks), unseen)
        return self._fitted(source, format, target)

    def _spare_missing_weight(self, block: ColumnBlock) -> None:
        """Rows have no weights where nobody but the model to start from asks for them, and the table has none."""
        weight = self._columns.weight
        if self._named_weight is None and weight is not None and weight not in block.columns:
            self._columns = replace(self._columns, weight=None)
            self.missing_weight = weight

    def _fitted(self, source: Source, format: Format, target: str) -> Examples:
        categories = {*self._columns.categorical, *self._columns.hashed}
        read = partial(
            column_blocks,
            source,
            format,
            no_features=(target, self._columns.weight),
            is_unused=self._columns.ignore.__contains__,
        )
        # Standard input comes once only: what was read of it is kept for the second look.
        look = read if source.path is not None else _kept(read(categories))
        with closing(look(categories)) as blocks:
            self.encoder = ColumnEncoder.fit(
                blocks,
                target=target,
                weight=self._columns.weight,
                categorical=self._columns.categorical,
                hashed=self._columns.hashed,
                ignored=self._columns.ignore,
            )
        with closing(look(self.encoder.text_columns)) as blocks:
            return self._encoded(source, blocks)

    def read_more(self, path: str, unseen: Counter[str] | None = None) -> Examples:
        """Another file, in which features mean the same.

        Args:
            path: of the file; - is standard input.
            unseen: is given, for each column, the number of rows whose value did not occur in training.

        Raises:
            DataError: it cannot be read, has no labels, or does not fit the file that was trained on.
        """
        source = source_of(path)
        format = find_format(self._format_name, source.path)
        if self.encoder is None:
            return self._records(source, format)
        if not self._is_table(format):
            raise source.error(
                f"{source.name} is no table of columns such as was trained on. Give csv, tsv or parquet."
            )
        with closing(self._blocks_for(self.encoder, source, format)) as blocks:
            return self._encoded(source, blocks, unseen)

    def _is_table(self, format: Format) -> bool:
        return format.read_columns is not None and self._options.header

    def _refuse_columns(self, source: Source, format: Format) -> None:
        by_number = format.read_columns is not None  # columns without names have numbers, and may hold weights
        for name in OF_COLUMNS if by_number else ("weight", *OF_COLUMNS):
            if getattr(self._columns, name):
                why = "its lines have no names" if by_number else f"{format.name} has none"
                raise CustomerError(
                    f"--{name} is for tables whose columns have names, but {source.name} is no such table: {why}. "
                    "Leave it out."
                )

    def _target(self, source: Source, format: Format) -> str:
        if self._columns.target is not None:
            return self._columns.target
        first = next(column_blocks(source, format, ()), None) if source.path is not None else None
        names = "" if first is None else f" The columns are {', '.join(first.columns)}."
        raise CustomerError(f"Say with --target which column of {source.name} has the labels.{names}")

    def _blocks_for(self, encoder: ColumnEncoder, source: Source, format: Format) -> Generator[ColumnBlock, None, None]:
        others = (encoder.target, self._columns.weight)
        # What features the columns become cannot be said otherwise any more: no error is to propose it.
        settled = () if self._start is None else [column.name for column in encoder.columns]
        return column_blocks(
            source,
            format,
            encoder.text_columns,
            no_features=(*others, *settled),
            is_unused=unused_by(encoder, *others),
        )

    def _encoded(self, source: Source, blocks: Iterable[ColumnBlock], unseen: Counter[str] | None = None) -> Examples:
        assert self.encoder is not None
        assert self.encoder.target is not None
        rows, labels, weights, first = [], [], [], 0
        for block in blocks:
            try:
                encoded = self.encoder.encode(block, first_row=first)
                labels.append(numbers_of(block, self.encoder.target, "label", first_row=first))
                if self._columns.weight is not None:
                    weights.append(weights_of(block, self._columns.weight, first_row=first))
            except DataError as error:
                raise source.error(f"{source.name}: {error.message}") from error
            rows.append(encoded.rows)
            first += block.rows
            if unseen is not None:
                unseen.update(encoded.unseen)
        return _examples(source, rows, labels, weights)

    def _records(self, source: Source, format: Format) -> Examples:
        options = replace(self._options, target=self._columns.target, weight=self._columns.weight)
        rows, labels, weights, weighted = [], [], [], False
        for block in read_blocks(source, format, options):
            if block.labels is None:
                raise source.error(
                    f"The records of {source.name} have no labels. Say with --target which column has them."
                )
            rows.append(block.rows)
            labels.append(block.labels)
            weighted |= block.weights is not None
            weights.append(np.ones(len(block), dtype=np.float32) if block.weights is None else block.weights)
        return _examples(source, rows, labels, weights if weighted else [])


def _kept(
    blocks: Generator[ColumnBlock, None, None],
) -> Callable[[Collection[str]], Generator[ColumnBlock, None, None]]:
    """What gives the same blocks again and again, whatever columns are said to be categories."""
    kept = list(blocks)
    return lambda _: (block for block in kept)


def _examples(
    source: Source,
    rows: list[SparseRows],
    labels: list[npt.NDArray[np.float32]],
    weights: list[npt.NDArray[np.float32]],
) -> Examples:
    if not rows:
        raise source.error(f"{source.name} holds no rows. Give at least one.")
    return Examples(SparseRows.concatenate(rows), np.concatenate(labels), np.concatenate(weights) if weights else None)
