"""The peer's end of the talk with the benchmarks: commands in lines of JSON in, answers in lines of JSON out.

    {"do": "load", "folder": ..., "settings": {...}}   -> {"versions": {...}}
    {"do": "epoch"}                                    -> {"cpu": seconds, "wall": seconds}
    {"do": "test"}                                     -> {"log_loss": of the test rows}

Every answer also tells ``peak``, the most bytes of memory that the process has held. It runs in every Python
that a peer needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

__all__ = ["Rows", "Settings", "Tool", "serve"]


@dataclass
class Rows:
    """Rows in CSR form and their labels, 0 or 1: float32, indices int32, indptr int64."""

    path: Path
    shape: tuple[int, int]
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    labels: np.ndarray

    @classmethod
    def read(cls, folder: Path, part: str) -> Rows:
        arrays = {name: np.load(folder / f"{part}-{name}.npy") for name in ("indptr", "indices", "values", "labels")}
        width = int((folder / "feature_dim").read_text())
        return cls(folder / part, (len(arrays["labels"]), width), **arrays)

    def csr(self, dtype: Any = np.float32) -> Any:
        """A SciPy matrix."""
        from scipy.sparse import csr_matrix

        return csr_matrix((self.values.astype(dtype), self.indices, self.indptr.astype(np.int32)), self.shape)


@dataclass
class Settings:
    """What a tool is told, as far as it knows of it.

    Attributes:
        k: factors per feature.
        batch_size: rows of a mini-batch.
        rate: learning rate of all parameters.
        decay: L2 penalty of all parameters.
        sigma: standard deviation of the factors' initial values; the other parameters start at 0.
        variant: which of several ways, where a driver has more than one.
    """

    k: int
    batch_size: int
    rate: float
    decay: float
    sigma: float
    variant: str = ""


class Tool(Protocol):
    """What a driver implements, beside a constructor that takes train rows, test rows and settings."""

    def epoch(self) -> None:
        """Train on all rows once."""

    def probabilities(self) -> np.ndarray:
        """Of the test rows, that the label is 1."""


def serve(make: Callable[[Rows, Rows, Settings], Tool], versions: dict[str, str]) -> None:
    """Answer commands until standard input ends. What the tool itself prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    tool: Tool | None = None
    test: Rows | None = None
    for line in sys.stdin:
        command = json.loads(line)
        answer: dict[str, object]
        if command["do"] == "load":
            tool = None  # gives its memory back before the next one takes its own
            folder = Path(command["folder"])
            test = Rows.read(folder, "test")
            tool = make(Rows.read(folder, "train"), test, Settings(**command["settings"]))
            answer = {"versions": versions}
        elif tool is None or test is None:
            raise RuntimeError("the first command must be 'load'")
        elif command["do"] == "epoch":
            wall, cpu = time.perf_counter(), time.process_time()
            tool.epoch()
            answer = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
        elif command["do"] == "test":
            answer = {"log_loss": _log_loss(tool.probabilities(), test.labels)}
        else:
            raise ValueError(f"no such command: {command['do']}")
        answer["peak"] = _peak()
        print(json.dumps(answer), file=answers, flush=True)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    p = np.clip(probabilities.astype(np.float64).ravel()[: len(labels)], 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(labels > 0.5, np.log(p), np.log1p(-p))))


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0
