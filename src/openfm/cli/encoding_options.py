"""What verbs that make features of a table's columns are asked."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from openfm.artifact import load_encoder, save_encoder
from openfm.cli.column_options import buckets_of_columns, names_of_columns
from openfm.data.formats.format import Format
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock
from openfm.encoding.tables import encoded_records, fit_and_encode

__all__ = ["EncodingOptions", "encoding_options"]


@dataclass(frozen=True, slots=True)
class EncodingOptions:
    """How columns of ids, words and numbers are to become features.

    Attributes:
        categorical: columns of categories, whatever they look like.
        hashed: columns that are hashed, and into how many features each.
        ignored: columns to leave out.
        load: the encoder to go by, of an earlier run; None: one is fitted.
        save: where to write the fitted encoder; None: nowhere.
    """

    categorical: tuple[str, ...] = ()
    hashed: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    load: Path | None = None
    save: Path | None = None

    @property
    def wanted(self) -> bool:
        """Whether any of the options was given."""
        return self != EncodingOptions()

    def records(
        self,
        source: Source,
        format: Format,
        target: str | None,
        unseen: Counter[str],
        *,
        weight: str | None = None,
    ) -> Iterator[RecordBlock]:
        """A table's records by the encoder of an earlier run, or by one that is fitted on it and written if asked for.

        Args:
            source: the table.
            format: its format.
            target: the column of the labels; None: there are none.
            unseen: is given, for each column, the number of rows whose value no feature stands for.
            weight: the column of the records' weights; None: there are none.

        Raises:
            DataError: no encoder can be fitted, or target or weight is a feature of the one that there is.
            ArtifactError: that one is damaged.
            OSError: the table cannot be read.
        """
        if self.load is not None:
            if self != EncodingOptions(load=self.load):
                raise click.UsageError(
                    "--encoder says what becomes of all columns: leave the other options on them out."
                )
            encoder = load_encoder(self.load)
            features = {column.name for column in encoder.columns}
            for name, what in ((target, "labels"), (weight, "weights")):
                if name in features:
                    raise source.error(f"'{name}' is a feature of the encoder {self.load}. Name the {what}' column.")
            return encoded_records(source, format, encoder, target=target, weight=weight, unseen=unseen)
        encoder, records = fit_and_encode(
            source,
            format,
            target=target,
            weight=weight,
            categorical=self.categorical,
            hashed=self.hashed,
            ignored=self.ignored,
        )
        if self.save is not None:
            save_encoder(encoder, self.save)
        return records


_OPTIONS = (
    click.option(
        "--categorical",
        multiple=True,
        metavar="COLUMNS",
        callback=names_of_columns,
        help="Columns of ids, such as user,item, where they look like numbers: one feature each. Repeatable.",
    ),
    click.option(
        "--hashed",
        multiple=True,
        metavar="COLUMN[=BUCKETS]",
        callback=buckets_of_columns,
        help="A column of ids of which new ones will come: hashed to so many features (65536). Repeatable.",
    ),
    click.option(
        "--ignore",
        "ignored",
        multiple=True,
        metavar="COLUMNS",
        callback=names_of_columns,
        help="Columns to leave out. Repeatable.",
    ),
    click.option(
        "--encoder",
        "load",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="What another run saved, or a model file: encode by it, and fit nothing.",
    ),
    click.option(
        "--save-encoder",
        "save",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Where to write what was fitted, so that other files can be encoded equally.",
    ),
)


def encoding_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the options on columns of ids; it gets them as one argument ``encoding``."""

    @functools.wraps(verb)
    def with_encoding(
        *,
        categorical: tuple[str, ...],
        hashed: dict[str, int],
        ignored: tuple[str, ...],
        load: Path | None,
        save: Path | None,
        **others: Any,
    ) -> None:
        verb(**others, encoding=EncodingOptions(categorical, hashed, ignored, load, save))

    for option in reversed(_OPTIONS):
        with_encoding = option(with_encoding)
    return with_encoding
