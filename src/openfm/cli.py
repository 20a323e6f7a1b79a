"""The command ``openfm``."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

__all__ = ["main"]


@click.group()
@click.version_option(package_name="openfm")
def main() -> None:
    """Amazon SageMaker's Factorization Machines, local and open."""


@main.command()
def train() -> None:
    """Train the job under /opt/ml, or under the folder that SAGEMAKER_BASE_DIR names.

    It reads input/config/hyperparameters.json and the channels input/data/train and
    input/data/test (optional), and writes model/model_algo-1. Exit codes: 0 done or stopped on
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
