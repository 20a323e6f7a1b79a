"""How long a job takes to stop, at the first line of its log and within an epoch, with a model of about 1 GB.

    python -m soak.stop [--features 4000000]

Prints the seconds from SIGTERM to the end, the bytes written, and the seconds that writing as many to the same disk
takes: a stop may take 5 seconds more.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

import openfm
from support.jobs import make_job

GRACE = 5.0


def stop_at(base: Path, line: str) -> tuple[float, int]:
    """Run the job, stop it when the log says ``line``; the seconds that it took and the bytes that it wrote."""
    process = subprocess.Popen(
        [sys.executable, "-m", "openfm", "train"],
        env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        for text in process.stdout:
            if line in text:
                break
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait() == 0
    seconds = time.monotonic() - begin
    openfm.load_model(base / "model")
    written = [*(base / "model").iterdir(), *(base / "checkpoints").iterdir()]
    return seconds, sum(path.stat().st_size for path in written)


def write_seconds(folder: Path, size: int) -> float:
    """What the disk takes for so many bytes. The file stays, so that its memory is not the next job's to reuse."""
    block = np.random.default_rng(0).bytes(2**24)
    begin = time.monotonic()
    with (folder / "probe").open("wb") as file:
        for _ in range(-(-size // len(block))):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=4_000_000)
    features = parser.parse_args().features
    rng = np.random.default_rng(0)
    rows = 200_000
    indices = np.sort(rng.integers(0, features // 10, (rows, 10)) + np.arange(10) * (features // 10), axis=1)
    X = csr_matrix((np.ones(rows * 10, np.float32), indices.ravel(), np.arange(rows + 1) * 10), shape=(rows, features))
    hyperparameters = {
        "feature_dim": features,
        "num_factors": 64,
        "predictor_type": "binary_classifier",
        "epochs": 1000,
    }
    late = False
    for line in ("Reading default configuration", "[Sparse network]", "initialize.time", "epoch=0, batch=0"):
        with tempfile.TemporaryDirectory() as folder:
            base = make_job(Path(folder) / "job", hyperparameters, (X, rng.integers(0, 2, rows)))
            (base / "checkpoints").mkdir()
            seconds, size = stop_at(base, line)
            writing = write_seconds(base, size)
            late |= seconds > GRACE + writing
            print(f"{line:32} stopped in {seconds:.1f} s; wrote {size / 1e9:.2f} GB: {writing:.1f} s of the disk alone")
    sys.exit(late)


if __name__ == "__main__":
    main()
