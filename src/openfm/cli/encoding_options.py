"""What verbs that make features of a table's columns are asked."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from openfm.artifact import load_encoder, save_encoder
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
    hashed: tuple[tuple[str, int], ...] = ()
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
            hashed=dict(self.hashed),
            ignored=self.ignored,
        )
        if self.save is not None:
            save_encoder(encoder, self.save)
        return records


def _hashed(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for text in texts:
        column, _, buckets = text.rpartition("=")
        if not (column and buckets.isascii() and buckets.isdigit() and int(buckets) > 0):
            raise click.BadParameter(f"'{text}' is no column with a number of features such as agent=10000.")
        if column in found:
            raise click.BadParameter(f"Column '{column}' is named twice.")
        found[column] = int(buckets)
    return tuple(found.items())


_OPTIONS = (
    click.option(
        "--categorical",
        multiple=True,
        metavar="COLUMN",
        help="A column of ids that look like numbers: one feature each. Texts need not be named. Repeatable.",
    ),
    click.option(
        "--hashed",
        multiple=True,
        metavar="COLUMN=N",
        callback=_hashed,
        help="A column with new values all the time: its texts are hashed into N features. Repeatable.",
    ),
    click.option("--ignore", "ignored", multiple=True, metavar="COLUMN", help="A column to leave out. Repeatable."),
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
        hashed: tuple[tuple[str, int], ...],
        ignored: tuple[str, ...],
        load: Path | None,
        save: Path | None,
        **others: Any,
    ) -> None:
        verb(**others, encoding=EncodingOptions(categorical, hashed, ignored, load, save))

    for option in reversed(_OPTIONS):
        with_encoding = option(with_encoding)
    return with_encoding
