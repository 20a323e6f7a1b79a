"""``openfm inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from openfm.cli.data_options import (
    FORMAT,
    index_base_option,
    no_header_option,
    source_of,
    target_option,
    weight_option,
)
from openfm.cli.failing import failing_in_one_sentence
from openfm.data.formats.format import ReadOptions
from openfm.data.formats.registry import find_format
from openfm.errors import DataError

__all__ = ["inspect"]


@click.command()
@click.argument("file", type=click.Path(exists=True, allow_dash=True))
@click.option("--from", "from_format", type=FORMAT, help="FILE holds data of this format; by default its name tells.")
@target_option
@weight_option
@index_base_option
@no_header_option
@click.option("--records", type=click.IntRange(min=0), default=3, show_default=True, help="How many records to show.")
@click.option(
    "--weights",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many of a model's weights to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def inspect(
    file: str,
    from_format: str | None,
    target: str | None,
    weight: str | None,
    index_base: int | None,
    no_header: bool,
    records: int,
    weights: int,
    as_json: bool,
) -> None:
    """Say what a data file or a model holds.

    Of data (see openfm convert --help for the formats): rows, features, density, range of values, labels, weights, and
    the first records; of a table whose target is not named, what each column holds, be it numbers or texts. Of a model
    (a model.tar.gz, a model file, a folder with one of them): what it was trained with, shapes, norms and the largest
    weights. A file whose name tells no format of data is taken for a model.

    \b
    Examples:
      openfm inspect train.rec
      openfm inspect clicks.csv
      openfm inspect clicks.libsvm --index-base 1 --json
      openfm inspect model.tar.gz
    """
    with failing_in_one_sentence():
        if from_format is not None or _is_data(file):
            from openfm.cli.data_summary import summary_of_data

            source = source_of(file)
            options = ReadOptions(index_base=index_base, target=target, weight=weight, header=not no_header)
            summary = summary_of_data(source, find_format(from_format, source.path), options, records=records)
        else:
            from openfm.artifact import load_model
            from openfm.cli.model_summary import summary_of_model

            summary = summary_of_model(load_model(file), weights=weights)
        click.echo(json.dumps(summary, indent=2) if as_json else _text(summary))


def _is_data(file: str) -> bool:
    if file == "-":
        return True  # what it is must be said with --from
    try:
        find_format(None, Path(file))
    except DataError:
        return False
    return not Path(file).is_dir()


def _text(summary: dict[str, object]) -> str:
    """The summary as aligned lines; lists below their name."""
    width = max(map(len, summary))
    lines = []
    for name, value in summary.items():
        title = name.replace("_", " ")
        if isinstance(value, list):
            lines.append(f"{title}:")
            lines.extend(f"  {_line(each)}" for each in value)
        elif isinstance(value, dict):
            lines.append(f"{title}:")
            lines.extend(f"  {key}: {_number(each)}" for key, each in value.items())
        else:
            lines.append(f"{title:<{width}}  {_number(value)}")
    return "\n".join(lines)


def _line(each: object) -> str:
    if isinstance(each, dict):
        return "  ".join(f"{key} {_number(value)}" for key, value in each.items())
    return str(each)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
