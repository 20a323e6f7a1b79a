"""``openfm serve``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openfm.cli.extras import packages_of

if TYPE_CHECKING:
    from openfm.artifact import Model

__all__ = ["serve"]


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--host", metavar="ADDRESS", help="Listen on this address instead of that of OPENFM_BIND (127.0.0.1).")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Listen on this port instead of that of SAGEMAKER_BIND_TO_PORT (8080); 0: on any that is free.",
)
def serve(model: Path | None, host: str | None, port: int | None) -> None:
    """Serve a model: GET /ping and POST /invocations.

    MODEL is a model.tar.gz, a model file or a folder with one of them; Ctrl-C ends the server. Without MODEL it is the
    model under /opt/ml/model, or under model/ in the folder that SAGEMAKER_BASE_DIR names. Other machines reach the
    server with --host 0.0.0.0.

    \b
    Examples:
      openfm serve model.tar.gz
      openfm serve model/ --port 9000
      SAGEMAKER_BASE_DIR=examples/quickstart openfm serve
    """
    with packages_of("serve"):
        from openfm.serving.server import Wishes
        from openfm.serving.server import main as run

    announce = None if model is None else lambda loaded, url: click.echo(_announcement(model, loaded, url))
    sys.exit(run(os.environ, Wishes(model=model, host=host, port=port, announce=announce)))


def _announcement(path: Path, model: Model, url: str) -> str:
    from openfm.cli.example_request import example_request

    return (
        f"Serving {path} ({model.predictor_type}, {model.feature_dim} features) at {url}; Ctrl-C ends it.\n\n"
        f"  curl -H 'Content-Type: application/json' {url}/invocations \\\n    -d '{example_request(model)}'\n"
    )
