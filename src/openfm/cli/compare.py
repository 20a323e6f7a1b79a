"""``openfm compare``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from openfm.cli.failing import failing_in_one_sentence

__all__ = ["compare"]

_CHANNEL = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("log", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--train", required=True, type=_CHANNEL, help="Folder or file of the job's channel train.")
@click.option("--test", type=_CHANNEL, help="Folder or file of its channel test.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-5,
    show_default=True,
    help="The largest relative difference of a metric that passes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def compare(log: Path, train: Path, test: Path | None, tolerance: float, as_json: bool) -> None:
    """Train a job of Amazon's container again and print its metrics beside Amazon's.

    LOG is the log of that training job out of CloudWatch, whole: as text, CSV, .gz, or the JSON of aws logs
    get-log-events. Its final configuration says what to train. Warnings of the new job go to standard error. Exit
    codes: 0 all metrics are within the tolerance, 1 some are not, and if the job cannot be done those of train.

    \b
    Example:
      openfm compare job.log --train train/ --test test/
    """
    from openfm.contract.job_log_reader import read_job_log
    from openfm.training import comparison

    with failing_in_one_sentence():
        logged = read_job_log(log)
        again, printed = comparison.train_again(logged, train, test, os.environ)
        result = comparison.compare(logged, again, tolerance=tolerance)
    for line in printed.splitlines():
        if " WARNING " in line:
            click.echo(line, err=True)
    click.echo(result.to_json() if as_json else result.table())
    sys.exit(0 if result.passes else 1)
