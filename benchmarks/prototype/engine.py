"""Builds the prototype kernel and drives it: mini-batch Adam with a logistic loss."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

SOURCE = Path(__file__).with_name("kernel.cpp")
FLAGS = ["-O3", "-march=x86-64-v3", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]

_PADDING = 64  # the kernel prefetches beyond the ends of its arrays


class _Hyperparameters(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_float) for name in ("lr_v", "lr_w", "lr_b", "wd_v", "wd_w", "wd_b")),
        *((name, ctypes.c_float) for name in ("beta1", "beta2", "epsilon")),
        ("t", ctypes.c_int64),
        *((name, ctypes.c_float) for name in ("bias", "bias_mean", "bias_variance")),
    ]


def build() -> ctypes.CDLL:
    """Compile the kernel; needs g++ with OpenMP on an x86-64 machine with AVX2."""
    library = Path(tempfile.mkdtemp(prefix="openfm-prototype-")) / "kernel.so"
    subprocess.run(["g++", *FLAGS, str(SOURCE), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


class Prototype:
    """The prototype on one data set. Its index is built here, as the product's is."""

    def __init__(self, rows: csr_matrix, labels: npt.NDArray[np.float32], k: int, batch_size: int) -> None:
        self._library = build()
        n, d = rows.shape
        self._vectors = {1: 1, 2: 2, 3: 4, 4: 4}.get(-(-k // 8), 8)
        self._batches = -(-n // batch_size)
        self._indptr = rows.indptr.astype(np.int64)
        self._indices = np.pad(rows.indices.astype(np.int32), (0, _PADDING))
        self._values = np.pad(rows.data.astype(np.float32), (0, _PADDING))
        self._labels = np.ascontiguousarray(labels, dtype=np.float32)
        self._table = _aligned(d * (self._vectors * 24 + 16))
        stride = self._vectors * 24 + 16
        factors = np.random.default_rng(0).normal(0, 0.001, (d, k)).astype(np.float32)
        self._table.reshape(d, stride)[:, :k] = factors
        self._table.reshape(d, stride)[:, self._vectors * 8 + 3] = np.square(factors).sum(axis=1)
        self._hyperparameters = _Hyperparameters(1e-4, 1e-3, 1e-1, 1e-5, 1e-3, 1e-2, 0.9, 0.999, 1e-8, 0, 0.0, 0.0, 0.0)
        self._row_sums = _aligned(batch_size * self._vectors * 8)
        self._gradients = _aligned(batch_size)
        self._build_index(n, d, batch_size, rows.nnz)

    def epoch(self, threads: int = 1) -> float:
        """Train one epoch; returns the mean logistic loss."""
        loss = ctypes.c_double()
        table = _pointer(self._table)
        self._library.fm_epoch(
            self._vectors,
            ctypes.c_int64(self._batches),
            *map(_pointer, (self._bounds, self._indptr, self._indices, self._values)),
            *map(_pointer, (self._labels, self._features, self._starts)),
            *map(_pointer, (self._entry_rows, self._entry_values)),
            *(table, table, table, table),
            ctypes.byref(self._hyperparameters),
            *map(_pointer, (self._row_sums, self._gradients)),
            ctypes.byref(loss),
            threads,
        )
        return loss.value / len(self._labels)

    def _build_index(self, n: int, d: int, batch_size: int, nnz: int) -> None:
        self._bounds = np.zeros(self._batches * 4, dtype=np.int64)
        self._features = np.zeros(nnz + _PADDING, dtype=np.int32)
        self._starts = np.zeros(nnz + _PADDING, dtype=np.int64)
        self._entry_rows = np.zeros(nnz + _PADDING, dtype=np.uint16)
        self._entry_values = np.zeros(nnz + _PADDING, dtype=np.float32)
        slots = np.zeros(d, dtype=np.int32)
        self._library.fm_index(
            *map(ctypes.c_int64, (n, batch_size)),
            *map(_pointer, (self._indptr, self._indices, self._values, slots)),
            *map(_pointer, (self._bounds, self._features, self._starts)),
            *map(_pointer, (self._entry_rows, self._entry_values)),
        )


def _aligned(size: int) -> npt.NDArray[np.float32]:
    raw = np.zeros(size + 16, dtype=np.float32)
    offset = -(raw.ctypes.data // 4) % 16
    return raw[offset : offset + size]


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
