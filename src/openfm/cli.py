"""The command ``openfm``."""

from __future__ import annotations

import os
import sys

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
    try:
        from openfm.serving.server import main as run
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The server needs the package '{error.name}', which is not installed. Install it with "
            "pip install 'openfm[serve]'."
        ) from error

    sys.exit(run(os.environ))
