"""Training speed: openfm beside the prototype kernel, epoch by epoch in turn, in one process.

    python benchmarks/training.py [--rounds 15] [--threads 1]

Prints the median records per second of each and the median ratio of the pairs, on MNIST (k = 10) and MovieLens
(k = 16), with batches of 1000 records.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from prototype.engine import Prototype

import datasets
from openfm.contract.hyperparameters import Hyperparameters
from openfm.fm.matrices import as_rows
from openfm.fm.trainer import Trainer

BATCH_SIZE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {arguments.threads} thread(s), {arguments.rounds} rounds")
    mnist, movielens = datasets.load_mnist(), datasets.load_movielens()
    compare("MNIST k=10", mnist.X_train, mnist.y_train, 10, arguments)
    compare(
        "MovieLens k=16",
        movielens.X_train,
        (movielens.y_train >= 4).astype(np.float32),
        16,
        arguments,
    )


def compare(name: str, X: object, y: np.ndarray, k: int, arguments: argparse.Namespace) -> None:
    rows = csr_matrix(X, dtype=np.float32)
    prototype = Prototype(rows, y, k, BATCH_SIZE)
    settings = Hyperparameters.parse(
        {
            "feature_dim": rows.shape[1],
            "num_factors": k,
            "predictor_type": "binary_classifier",
            "mini_batch_size": BATCH_SIZE,
        }
    ).training_settings()
    trainer = Trainer(settings, threads=arguments.threads)
    block = trainer.batches(as_rows(rows, rows.shape[1]), y)
    ours, theirs = [], []
    for round_number in range(arguments.rounds + 1):
        begin = time.perf_counter()
        trainer.train(block)
        middle = time.perf_counter()
        prototype.epoch(arguments.threads)
        end = time.perf_counter()
        if round_number:  # the first round warms up
            ours.append(middle - begin)
            theirs.append(end - middle)
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name:15}  openfm {len(y) / statistics.median(ours) / 1e6:6.2f} M records/s"
        f"  prototype {len(y) / statistics.median(theirs) / 1e6:6.2f} M records/s"
        f"  openfm is {ratio:.2f} times as fast"
    )


if __name__ == "__main__":
    main()
