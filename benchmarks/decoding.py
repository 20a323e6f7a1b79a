"""How fast records are decoded, against Google's protobuf in the same process.

    python benchmarks/decoding.py

Two files are made up: 50000 dense records like MNIST's (784 pixels, three quarters of them zero) and 200000 sparse
ones like clicks (39 hashed features out of a million). openfm reads each file as training does: in blocks, to sparse
rows and labels, every value checked. Google's parser (upb, as the Python package has it) gets the records in memory,
without their frames, and is timed twice: parsing alone, and to the same rows by NumPy, without any checks.
"""

from __future__ import annotations

import io
import os
import platform
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import google.protobuf
import numpy as np
from google.protobuf.internal import api_implementation
from scipy.sparse import csr_matrix

from openfm.data import recordio
from openfm.data.record_schema import Record
from openfm.data.records import RecordReader, write_records

ROUNDS = 5
PROTOBUF_RECORDS = 5000  # what protobuf is timed on: its speed does not depend on the number


def dense_images(count: int = 50_000) -> bytes:
    rng = np.random.default_rng(0)
    images = np.zeros((count, 28, 28), np.float32)
    images[:, 6:22, 8:20] = rng.integers(0, 256, (count, 16, 12)) / np.float32(256)
    return _written(images.reshape(count, -1), rng.integers(0, 2, count))


def sparse_clicks(count: int = 200_000, fields: int = 39, width: int = 1_000_000) -> bytes:
    rng = np.random.default_rng(0)
    start = np.arange(fields) * (width // fields)
    keys = start + rng.integers(0, width // fields, (count, fields))
    values = np.ones(count * fields, np.float32)
    indptr = np.arange(0, count * fields + 1, fields)
    matrix = csr_matrix((values, keys.ravel(), indptr), shape=(count, width))
    return _written(matrix, rng.integers(0, 2, count))


def _written(X: object, y: object) -> bytes:
    buffer = io.BytesIO()
    write_records(buffer, X, y)
    return buffer.getvalue()


def parse_with_protobuf(payloads: list[bytes]) -> None:
    for payload in payloads:
        Record.FromString(payload)


def decode_with_protobuf(payloads: list[bytes]) -> csr_matrix:
    """The same rows from Google's parser, with the least of NumPy that gives them."""
    indptr, indices, values, labels = [0], [], [], []
    for payload in payloads:
        record = Record.FromString(payload)
        tensor = record.features["values"].float32_tensor
        row = np.array(tensor.values, dtype=np.float32)
        kept = np.flatnonzero(row)
        keys = np.array(tensor.keys, dtype=np.int32)
        indices.append(keys[kept] if len(keys) else kept.astype(np.int32))
        values.append(row[kept])
        indptr.append(indptr[-1] + len(kept))
        labels.append(record.label["values"].float32_tensor.values[0])
    np.array(labels, dtype=np.float32)
    return csr_matrix((np.concatenate(values), np.concatenate(indices), indptr))


def best_seconds(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def read_all(path: Path, feature_dim: int) -> int:
    reader = RecordReader([path], channel="train", feature_dim=feature_dim)
    return sum(len(block) for block in reader)


def report(name: str, data: bytes, feature_dim: int, folder: Path) -> None:
    path = folder / "part-0"
    path.write_bytes(data)
    records = read_all(path, feature_dim)
    own = best_seconds(lambda: read_all(path, feature_dim)) / records
    payloads = [frame.payload for frame in islice(recordio.iter_frames(data), PROTOBUF_RECORDS)]
    print(f"{name}: {records} records, {len(data) / 1e6:.0f} MB")
    print(f"  openfm, file to rows    {1 / own:12,.0f} records/s, {len(data) / records / own / 1e9:.2f} GB/s")
    for what, run in (("parsing alone", parse_with_protobuf), ("to the same rows", decode_with_protobuf)):
        protobuf = best_seconds(lambda run=run: run(payloads)) / len(payloads)
        print(f"  protobuf, {what:16s}{1 / protobuf:10,.0f} records/s: openfm is {protobuf / own:.1f} times as fast")


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, ", end="")
    print(f"protobuf {google.protobuf.__version__} ({api_implementation.Type()})")
    with tempfile.TemporaryDirectory() as folder:
        report("dense images", dense_images(), 784, Path(folder))
        report("sparse clicks", sparse_clicks(), 1_000_000, Path(folder))


if __name__ == "__main__":
    main()
