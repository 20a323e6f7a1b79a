"""``openfm train``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from openfm.cli.column_options import buckets_of_columns, names_of_columns
from openfm.cli.data_options import FORMAT, INPUT, index_base_option, no_header_option
from openfm.cli.failing import failing_in_one_sentence

__all__ = ["train"]


@click.command()
@click.argument("data", type=INPUT, required=False)
@click.option("--out", type=click.Path(), help="The model: a name in .tar.gz, a file, or a folder.")
@click.option(
    "--target", metavar="COLUMN", help="The column of the labels: its name, or its number from 0 without names."
)
@click.option("--test", type=INPUT, help="Score the model on this file at the end.")
@click.option(
    "--start",
    type=click.Path(exists=True, path_type=Path),
    help="Start from the parameters of this model, by its columns: a model.tar.gz, a model file, or a folder with one.",
)
@click.option("--validation", type=INPUT, help="Watch this file to stop early, instead of a part of DATA.")
@click.option(
    "--validation-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Hold out this part of DATA to stop early.  [default: 0.1; 0.2 of 100 to 999 rows, 0 of fewer]",
)
@click.option("--categorical", "categorical", metavar="COLUMNS", multiple=True, callback=names_of_columns,
              help="Columns of ids and words, such as user,item, where they look like numbers.")  # fmt: skip
@click.option("--hashed", metavar="COLUMN[=BUCKETS]", multiple=True, callback=buckets_of_columns,
              help="A column of ids of which new ones will come: hashed to so many features (65536).")  # fmt: skip
@click.option("--ignore", metavar="COLUMNS", multiple=True, callback=names_of_columns, help="Columns to leave out.")
@click.option("--weight", metavar="COLUMN", help="The column that says how much a row counts.")
@click.option("--from", "from_format", type=FORMAT, help="The format of the files; by default their names tell.")
@index_base_option
@no_header_option
@click.option("--feature-dim", type=click.IntRange(min=1), help="The number of features, where DATA do not tell it.")
@click.option(
    "--predictor-type",
    type=click.Choice(["binary_classifier", "regressor"]),
    help="What to predict; by default the model of --start or else the labels tell: 0 and 1 are classes, more than two "
    "are numbers.",
)
@click.option(
    "--preset",
    type=click.Choice(["openfm", "sagemaker"]),
    default="openfm",
    show_default=True,
    help="What is not given below: defaults that learn, or Amazon's.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Passes over the data, at most.")
@click.option("--num-factors", type=click.IntRange(min=1), help="Factors of each feature; by default those of --start.")
@click.option("--learning-rate", type=click.FloatRange(min=0), help="Adam's step size, of all parameters.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows of a step.")
@click.option("--seed", type=click.IntRange(min=0), help="Of initial values, order and held-out part.")
@click.option("--metrics", type=click.Path(dir_okay=False, path_type=Path),
              help="Write each epoch's metrics to this file, for openfm report.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Say nothing of the progress.")
@click.option("--json", "as_json", is_flag=True, help="Print what came out as JSON.")
@click.pass_context
def train(context: click.Context, /, data: str | None, **options: Any) -> None:
    """Train a model on a table, or the job that SageMaker's folders describe.

    DATA is a file of any format (see openfm convert), or - for standard input. A column of texts becomes one feature
    for each different text, a column of numbers one feature; this is kept in the model, so that predict, serve and topk
    take the same columns. Ctrl-C saves the best model so far.

    Without DATA it is the job under /opt/ml, or under the folder that SAGEMAKER_BASE_DIR names. It reads
    input/config/hyperparameters.json and the channel input/data/train, and writes model/model_algo-1 and
    output/data/metrics.jsonl. Optional: the channels test, validation (for early stopping) and model (to start from),
    and the folder checkpoints (to go on from).

    Exit codes: 0 done or stopped on request, 1 an error inside openfm, 2 an error in data or options, 3 an error of the
    machine.

    \b
    Examples:
      openfm train ratings.csv --target rating --test held.csv --out model.tar.gz
      openfm train new.csv --start model.tar.gz --out newer.tar.gz
      openfm train clicks.csv --target clicked --categorical user,ad --hashed agent=100000 --out model/
      openfm train train.libsvm --index-base 1 --num-factors 8 --epochs 20 --out model_algo-1
      SAGEMAKER_BASE_DIR=examples/quickstart openfm train
    """
    if data is None:
        _refuse_options(context)
        sys.exit(_train_by_contract())
    if options["out"] is None:
        raise click.UsageError("Say with --out where the model is to be written, such as --out model.tar.gz.")
    _refuse_standard_input_twice({"DATA": data, "--validation": options["validation"], "--test": options["test"]})
    from openfm.cli.training.run import train_by_hand

    with failing_in_one_sentence():
        train_by_hand(data, **options)


def _refuse_options(context: click.Context) -> None:
    """A job by contract has none: one that is given is for data that are missing."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} is for training on a file: name it, as in openfm train ratings.csv "
                "--target rating --out model.tar.gz. Without a file, everything comes from the folder that "
                "SAGEMAKER_BASE_DIR names."
            )


def _refuse_standard_input_twice(files: Mapping[str, str | None]) -> None:
    names = [name for name, path in files.items() if path == "-"]
    if len(names) > 1:
        raise click.UsageError(
            f"{' and '.join(names)} are -, but standard input can be read only once. Give one of them as -, and of "
            "the others the files."
        )


def _train_by_contract() -> int:
    from openfm.contract.paths import ContractPaths

    paths = ContractPaths.from_environ(os.environ)
    if not paths.base.is_dir():  # nor a place for output/failure
        with failing_in_one_sentence():
            paths.require_job()
    from openfm.training.job import main as run

    return run(os.environ)
