"""``openfm serve``."""

from __future__ import annotations

import os
import sys

import click

from openfm.cli.extras import packages_of

__all__ = ["serve"]


@click.command()
def serve() -> None:
    """Serve the model under /opt/ml/model, or under model/ in the folder SAGEMAKER_BASE_DIR names.

    It answers GET /ping and POST /invocations on port 8080 of the loopback interface;
    SAGEMAKER_BIND_TO_PORT and OPENFM_BIND choose another port and address.

    \b
    Example:
      SAGEMAKER_BASE_DIR=examples/quickstart openfm serve
    """
    with packages_of("serve"):
        from openfm.serving.server import main as run

    sys.exit(run(os.environ))
