"""Kills a training job at random moments and lets it go on, until it ends: its model must be the undisturbed job's.

    python -m soak.resume [--rounds 50] [--seed 0]

Every round takes File mode and Pipe mode in turn, kills the job (``kill -9``) up to three times, and compares the bytes
of the model. What each run trains again must be no more than one checkpoint interval.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from support.jobs import make_job, run_job
from support.pipes import PipeFeeder

HYPERPARAMETERS = {
    "feature_dim": 300,
    "num_factors": 8,
    "predictor_type": "binary_classifier",
    "mini_batch_size": 100,
    "epochs": 25,
    "batch_metrics_publish_interval": 20,
}
CHECKPOINT_SECONDS = "0.1"
_RESUMED = re.compile(r"Resuming from a checkpoint: (\d+) epochs and (\d+) mini-batches")
_BATCH = re.compile(r"epoch=(\d+), batch=(\d+) train binary_classification_accuracy ")


class Campaign:
    """A job, the model that it gives when it is left alone, and how long it takes.

    Args:
        folder: for its files.
        records: of the training data.
    """

    def __init__(self, folder: Path, records: int = 40_000) -> None:
        rng = np.random.default_rng(0)
        X = (rng.random((records, 300)) < 0.05).astype(np.float32)
        self._data = X, (X[:, :5].sum(axis=1) > 0).astype(np.float32)
        self._folder = folder
        base = make_job(folder / "undisturbed", HYPERPARAMETERS, self._data, dense=False)
        begin = time.monotonic()
        done = run_job(base)
        self.seconds = time.monotonic() - begin
        assert done.returncode == 0, done.stderr
        self._model = (base / "model" / "model_algo-1").read_bytes()
        self._records = (base / "input" / "data" / "train" / "part-0.pbr").read_bytes()

    def round(self, number: int, *, pipe: bool, moments: random.Random) -> int:
        """Run the job with kills in between; returns how many there were.

        Raises:
            AssertionError: the model is another one, or too much was trained again.
        """
        base = make_job(self._folder / f"round-{number}", HYPERPARAMETERS, self._data, dense=False)
        (base / "checkpoints").mkdir()
        channel = base / "input" / "data" / "train"
        if pipe:
            (channel / "part-0.pbr").unlink()
            channel.rmdir()
        kills = 0
        for _ in range(moments.randint(1, 3)):
            kills += self._run(base, pipe, kill_after=moments.uniform(0.0, self.seconds))
        assert not self._run(base, pipe, kill_after=None)
        model = (base / "model" / "model_algo-1").read_bytes()
        assert model == self._model, f"round {number}: the model differs from the undisturbed job's"
        return kills

    def _run(self, base: Path, pipe: bool, *, kill_after: float | None) -> bool:
        """One run; returns whether it was killed."""
        channel = base / "input" / "data" / "train"
        for left in channel.parent.glob("train_*"):
            left.unlink()
        with PipeFeeder(channel, [self._records]) if pipe else nullcontext():
            process = subprocess.Popen(
                [sys.executable, "-m", "openfm", "train"],
                env={
                    "PATH": os.environ["PATH"],
                    "SAGEMAKER_BASE_DIR": str(base),
                    "OPENFM_CHECKPOINT_SECONDS": CHECKPOINT_SECONDS,
                },
                stdout=subprocess.PIPE,
                text=True,
            )
            with process:
                try:
                    log, _ = process.communicate(timeout=300 if kill_after is None else kill_after)
                except subprocess.TimeoutExpired:
                    process.kill()
                    log, _ = process.communicate()
        assert process.returncode in (0, -9), f"exit code {process.returncode}: {log[-1000:]}"
        self._check_where_it_went_on(log)
        return process.returncode != 0

    def _check_where_it_went_on(self, log: str) -> None:
        resumed, first = _RESUMED.search(log), _BATCH.search(log)
        if resumed is None or first is None:
            return
        at = int(resumed[1]), int(resumed[2])
        assert (int(first[1]), int(first[2])) >= at, f"resumed at {at}, but trained {first[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder))
        kills = 0
        for number in range(arguments.rounds):
            kills += campaign.round(number, pipe=number % 2 == 1, moments=moments)
        print(
            f"{arguments.rounds} of {arguments.rounds} jobs ended with the undisturbed job's bytes "
            f"({arguments.rounds // 2} of them in Pipe mode), after {kills} kills"
        )


if __name__ == "__main__":
    main()
