"""``openfm metadata``."""

from __future__ import annotations

import json

import click

from openfm.cli.extras import packages_of

__all__ = ["metadata"]


@click.command()
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
    with packages_of("serve"):
        from openfm import metadata

    document = {
        "algorithm": lambda: metadata.create_algorithm_request(algorithm_name, image),
        "metric-definitions": metadata.metric_definitions,
        "parameter-ranges": metadata.parameter_ranges,
    }[part]()
    click.echo(json.dumps(document, indent=2))
