"""What verbs that read data files of any format are asked."""

from __future__ import annotations

from pathlib import Path

import click

from openfm.data.formats.registry import FORMATS
from openfm.data.formats.source import Source

__all__ = [
    "FORMAT",
    "INPUT",
    "index_base_option",
    "no_header_option",
    "source_of",
    "target_option",
    "weight_option",
]

FORMAT = click.Choice(list(FORMATS))
"""A format's name."""

INPUT = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""A data file; - is standard input."""

index_base_option = click.option(
    "--index-base", type=click.IntRange(0, 1), help="libsvm: the number of the first feature. It must be given."
)
target_option = click.option(
    "--target",
    metavar="COLUMN",
    help="The label's column: its name, or its number from 0 where columns have no names. By default there are no "
    "labels.",
)
weight_option = click.option(
    "--weight",
    metavar="COLUMN",
    help="CSV, TSV, Parquet: the column of the records' weights, likewise. recordio and npz have a place of their own "
    "for them.",
)
no_header_option = click.option("--no-header", is_flag=True, help="CSV, TSV: the first line is data, not names.")


def source_of(path: str) -> Source:
    """The file, or standard input for ``-``."""
    return Source.of_standard_input() if path == "-" else Source.of_file(Path(path))
