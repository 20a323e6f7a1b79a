"""The SageMaker SDK v2's record writers: lines ``dense`` or ``sparse`` in, CPU and wall seconds of a writing out.

    python -m benchmarks.peers.sagemaker_writer FOLDER

FOLDER has the rows as ``benchmarks.decoding`` saves them. The records go into memory. It runs in the SDK's own Python.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from scipy.sparse import load_npz


def main() -> None:
    folder = Path(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the SDK prints when it is imported
    import sagemaker
    from sagemaker.amazon.common import write_numpy_to_dense_tensor, write_spmatrix_to_sparse_tensor

    rows = {"dense": np.load(folder / "dense.npy"), "sparse": load_npz(folder / "sparse.npz")}
    write = {"dense": write_numpy_to_dense_tensor, "sparse": write_spmatrix_to_sparse_tensor}
    print(json.dumps(sagemaker.__version__), file=answers, flush=True)
    for line in sys.stdin:
        kind = line.strip()
        labels = np.load(folder / f"{kind}-labels.npy")
        wall, cpu = time.perf_counter(), time.process_time()
        write[kind](io.BytesIO(), rows[kind], labels)
        seconds = time.process_time() - cpu, time.perf_counter() - wall
        print(json.dumps(seconds), file=answers, flush=True)


if __name__ == "__main__":
    main()
