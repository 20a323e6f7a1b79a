"""The command ``openfm``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from openfm.errors import OpenFMError

__all__ = ["main"]

_CHANNEL = click.Path(exists=True, path_type=Path)


@click.group()
@click.version_option(package_name="openfm")
def main() -> None:
    """Amazon SageMaker's Factorization Machines, local and open."""


@main.command()
def train() -> None:
    """Train the job under /opt/ml, or under the folder that SAGEMAKER_BASE_DIR names.

    It reads input/config/hyperparameters.json and the channel input/data/train, and writes
    model/model_algo-1. Optional: the channels test, validation (for early stopping) and model (to
    start from), and the folder checkpoints (to go on from). Exit codes: 0 done or stopped on
    request, 1 an error inside openfm, 2 an error in the job, 3 an error of the machine; in
    output/failure stands why.

    \b
    Example:
      SAGEMAKER_BASE_DIR=examples/quickstart openfm train
    """
    from openfm.training.job import main as run

    sys.exit(run(os.environ))


@main.command()
def serve() -> None:
    """Serve the model under /opt/ml/model, or under model/ in the folder SAGEMAKER_BASE_DIR names.

    It answers GET /ping and POST /invocations on port 8080 of the loopback interface;
    SAGEMAKER_BIND_TO_PORT and OPENFM_BIND choose another port and address.

    \b
    Example:
      SAGEMAKER_BASE_DIR=examples/quickstart openfm serve
    """
    with _packages_of_the_server():
        from openfm.serving.server import main as run

    sys.exit(run(os.environ))


@main.command()
@click.option(
    "--part",
    type=click.Choice(["algorithm", "metric-definitions", "parameter-ranges"]),
    default="algorithm",
    show_default=True,
    help="The request of CreateAlgorithm, or MetricDefinitions of a training job, or ParameterRanges of a tuning job.",
)
@click.option("--algorithm-name", default="openfm", show_default=True, help="What CreateAlgorithm is to call it.")
@click.option("--image", default="openfm", show_default=True, help="The image's URI in the registry.")
def metadata(part: str, algorithm_name: str, image: str) -> None:
    """Print what SageMaker asks to know of the algorithm, as JSON of its API.

    It is made from the declarations that jobs are checked with: hyperparameters with their ranges, channels, metric
    definitions, objectives of tuning jobs, content types.

    \b
    Example:
      openfm metadata --image 123456789012.dkr.ecr.eu-central-1.amazonaws.com/openfm:1 > algorithm.json
      aws sagemaker create-algorithm --cli-input-json file://algorithm.json
    """
    with _packages_of_the_server():
        from openfm import metadata

    document = {
        "algorithm": lambda: metadata.create_algorithm_request(algorithm_name, image),
        "metric-definitions": metadata.metric_definitions,
        "parameter-ranges": metadata.parameter_ranges,
    }[part]()
    click.echo(json.dumps(document, indent=2))


@main.command()
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
    from openfm.contract.failure import classify
    from openfm.contract.job_log_reader import read_job_log
    from openfm.training import comparison

    try:
        logged = read_job_log(log)
        again, printed = comparison.train_again(logged, train, test, os.environ)
        result = comparison.compare(logged, again, tolerance=tolerance)
    except (OpenFMError, OSError, MemoryError) as exception:
        error = classify(exception)
        click.echo(error.failure_reason, err=True)
        sys.exit(error.exit_code)
    for line in printed.splitlines():
        if " WARNING " in line:
            click.echo(line, err=True)
    click.echo(result.to_json() if as_json else result.table())
    sys.exit(0 if result.passes else 1)


@contextmanager
def _packages_of_the_server() -> Iterator[None]:
    """Say what to install where an import finds that the server's packages are missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"This command needs the package '{error.name}', which is not installed. Install it with "
            "pip install 'openfm[serve]'."
        ) from error
