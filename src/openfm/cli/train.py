"""``openfm train``."""

from __future__ import annotations

import os
import sys

import click

__all__ = ["train"]


@click.command()
def train() -> None:
    """Train the job under /opt/ml, or under the folder that SAGEMAKER_BASE_DIR names.

    It reads input/config/hyperparameters.json and the channel input/data/train, and writes
    model/model_algo-1 and output/data/metrics.jsonl. Optional: the channels test, validation (for
    early stopping) and model (to start from), and the folder checkpoints (to go on from). Exit
    codes: 0 done or stopped on request, 1 an error inside openfm, 2 an error in the job, 3 an error of the machine; in
    output/failure stands why.

    \b
    Example:
      SAGEMAKER_BASE_DIR=examples/quickstart openfm train
    """
    from openfm.cli.failing import failing_in_one_sentence
    from openfm.contract.paths import ContractPaths
    from openfm.training.job import main as run

    paths = ContractPaths.from_environ(os.environ)
    if not paths.base.is_dir():  # nor a place for output/failure
        with failing_in_one_sentence():
            paths.require_job()
    sys.exit(run(os.environ))
