"""The benchmarks' end of the talk with a peer, and the files in which it gets its data."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import Labelled
from benchmarks.peers.environments import FOLDER, python_of

__all__ = ["FOLDER", "Peer", "PeerError", "running", "write_data"]

ROOT = Path(__file__).parents[2]
_LOGS = FOLDER / "logs"


class PeerError(RuntimeError):
    """A peer cannot be run, or has failed."""


class Peer:
    """A peer's driver as a process; see ``driver`` for what it answers."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.peak = 0
        self.versions: dict[str, str] = {}
        self._process = process

    def load(self, folder: Path, settings: dict[str, object]) -> None:
        """Begin anew, with this data and these settings."""
        self.versions = self._ask({"do": "load", "folder": str(folder), "settings": settings})["versions"]

    def epoch(self) -> tuple[float, float]:
        """Train once on all rows: CPU seconds and wall seconds, as the peer's process measures them."""
        answer = self._ask({"do": "epoch"})
        return answer["cpu"], answer["wall"]

    def test(self) -> float:
        """The log loss of the test rows. No epoch may follow."""
        return self._ask({"do": "test"})["log_loss"]

    def _ask(self, command: dict[str, object]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        with suppress(BrokenPipeError):  # it has ended, which the missing answer tells
            print(json.dumps(command), file=stdin, flush=True)
        line = stdout.readline()
        if not line:
            log = (_LOGS / f"{self.name}.log").relative_to(ROOT)
            raise PeerError(f"{self.name} ended with {self._process.wait()}; {log} has what it said")
        answer = json.loads(line)
        self.peak = answer["peak"]
        return answer


@contextmanager
def running(peer: str, *, threads: int = 1) -> Iterator[Peer]:
    """Start a peer's driver, and end it after use.

    Raises:
        PeerError: there is no environment for it.
    """
    python, reason = python_of(peer)
    if python is None:
        raise PeerError(reason)
    counts = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | dict.fromkeys(counts, str(threads)) | {"MXNET_CPU_WORKER_NTHREADS": str(threads)}
    module = f"benchmarks.peers.{peer.replace('-', '_')}_driver"
    _LOGS.mkdir(parents=True, exist_ok=True)
    with (_LOGS / f"{peer}.log").open("w") as log:
        process = subprocess.Popen(
            [python, "-m", module], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    with process:
        try:
            yield Peer(peer, process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def write_data(folder: Path, train: Labelled, test: Labelled) -> Path:
    """Write rows as the drivers read them: NumPy files, and LibSVM text for the tools that read nothing else."""
    if not (folder / "feature_dim").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for part, rows in (("train", train), ("test", test)):
            np.save(folder / f"{part}-indptr.npy", rows.X.indptr.astype(np.int64))
            np.save(folder / f"{part}-indices.npy", rows.X.indices)
            np.save(folder / f"{part}-values.npy", rows.X.data)
            np.save(folder / f"{part}-labels.npy", rows.y)
            with (folder / f"{part}.libsvm").open("w") as file:
                file.writelines(_libsvm_lines(rows))
        (folder / "feature_dim").write_text(str(train.X.shape[1]))  # last: it says that the rest is whole
    return folder


def _libsvm_lines(rows: Labelled) -> Iterator[str]:
    indptr, indices, values = rows.X.indptr.tolist(), rows.X.indices.tolist(), rows.X.data.tolist()
    for row, label in enumerate(rows.y.tolist()):
        pairs = range(indptr[row], indptr[row + 1])
        yield f"{label:g} {' '.join(f'{indices[i]}:{values[i]:.9g}' for i in pairs)}\n"
