"""``openfm export``."""

from __future__ import annotations

from pathlib import Path

import click

from openfm.artifact import ExportFormat, export_model, load_model
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.rows import MODEL

__all__ = ["export"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_name",
    type=click.Choice([form.value for form in ExportFormat]),
    help="Of the file; by default what its name ends in says so.",
)
def export(model: Path, out: Path, format_name: str | None) -> None:
    """Write a model as NumPy arrays (npz), a table (csv) or libFM's text (libfm).

    MODEL is a model.tar.gz, a model file or a folder with one of them.

    \b
    Examples:
      openfm export model.tar.gz model.npz
      openfm export model/ model.csv
      openfm export model/ model.txt --format libfm
    """
    chosen = format_name or out.suffix.removeprefix(".").lower()
    if chosen not in list(ExportFormat):
        raise click.UsageError(
            f"the name {out} does not tell the format: end it in .{', .'.join(ExportFormat)}, or give --format"
        )
    with failing_in_one_sentence():
        export_model(load_model(model), out, ExportFormat(chosen))
