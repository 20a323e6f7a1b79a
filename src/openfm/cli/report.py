"""``openfm report``."""

from __future__ import annotations

from pathlib import Path

import click

from openfm.artifact import load_model
from openfm.cli.extras import packages_of
from openfm.cli.failing import failing_in_one_sentence
from openfm.cli.features import FeatureNames
from openfm.cli.output import open_output
from openfm.cli.rows import DATA, MODEL, RecordsFile, records_options
from openfm.contract.metrics_file import read_metrics

__all__ = ["report"]


@click.command()
@click.argument("model", type=MODEL)
@click.argument("data", type=DATA, required=False)
@records_options("data")
@click.option(
    "--metrics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The metrics.jsonl of the model's training, for learning curves.",
)
@click.option("--out", type=click.Path(dir_okay=False), default="report.html", show_default=True, help="The page.")
@click.option("--title", help="Of the page; by default it names the model.")
@click.option(
    "--feature-names",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text file with the name of feature 0 on its first line, and so on.",
)
def report(
    model: Path, data: RecordsFile | None, metrics: Path | None, out: str, title: str | None, feature_names: Path | None
) -> None:
    """Write a report on a model: one HTML page that holds all it needs.

    MODEL is a model.tar.gz, a model file or a folder with one of them, DATA a file of labelled records in any format
    (see openfm convert) that the model did not learn from; - is standard input. With DATA the page shows how good the
    model is: of a binary classifier the confusion matrix, the ROC curve, precision and recall, calibration and a table
    of thresholds, of a regressor its errors. With --metrics it shows the learning curves, and in any case the largest
    weights and the hyperparameters.

    \b
    Examples:
      openfm report model/ test.pbr --metrics output/data/metrics.jsonl
      openfm report model.tar.gz held-out.csv --target clicked --out clicks.html
    """
    with failing_in_one_sentence(), packages_of("report"):
        from openfm.report import TestData, report_page

        loaded = load_model(model)
        names = FeatureNames.read(feature_names, loaded.encoder)
        page = report_page(
            loaded,
            title=title or f"Report on {model}",
            data=None if data is None else TestData(data.path, *data.labelled(loaded.feature_dim, loaded.encoder)),
            events=None if metrics is None else read_metrics(metrics),
            feature_name=names.__getitem__,
        )
        with open_output(out) as file:
            file.write(page.encode())
    if out != "-":
        click.echo(f"Wrote {out}.", err=True)
