"""How fast records are decoded, beside Google's protobuf in the same process.

Two files are made up: 50000 dense records like MNIST's (784 pixels, three quarters of them zero) and 200000 sparse
ones like clicks (39 hashed features out of a million). openfm reads each file as training does: in blocks, to sparse
rows and labels, every value checked. Google's parser (upb, as the Python package has it) gets the records in memory,
without their frames, and is timed twice: parsing alone, and to the same rows by NumPy, without any checks.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path

import google.protobuf
import numpy as np
from google.protobuf.internal import api_implementation
from scipy.sparse import csr_matrix

from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved, paired_ratio
from openfm.data import recordio
from openfm.data.record_schema import Record
from openfm.data.records import RecordReader, write_records

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


def read_all(path: Path, feature_dim: int) -> int:
    reader = RecordReader([path], channel="train", feature_dim=feature_dim)
    return sum(len(block) for block in reader)


def run(options: Options) -> Report:
    scale = 20 if options.quick else 1
    rows, checks = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, data, feature_dim, least in (
            ("dense images", dense_images(50_000 // scale), 784, 40),
            ("sparse clicks", sparse_clicks(200_000 // scale), 1_000_000, 100),
        ):
            path = Path(folder) / "part-0"
            path.write_bytes(data)
            records = read_all(path, feature_dim)
            timed = min(records, PROTOBUF_RECORDS)
            payloads = [frame.payload for frame in islice(recordio.iter_frames(data), timed)]
            cases = {
                "openfm": partial(_nothing, read_all, path, feature_dim),
                "parsing": partial(_nothing, parse_with_protobuf, payloads),
                "rows": partial(_nothing, decode_with_protobuf, payloads),
            }
            timings = interleaved(cases, options.rounds)
            amounts = {"openfm": records, "parsing": timed, "rows": timed}
            speeds = [Spread.of(timings[case].cpu).rate(amounts[case] / 1e3) for case in cases]
            ratio = paired_ratio(timings["rows"].cpu, timings["openfm"].cpu).scaled(records / timed)
            rows.append([name, *speeds, ratio])
            checks.append(Check(f"decoding {name}, openfm / protobuf", ratio.median, at_least=least))
    columns = (
        "records", "openfm, file to rows, k records/s", "protobuf, parsing alone", "protobuf, to the same rows",
        "openfm / protobuf to rows",
    )  # fmt: skip
    versions = {"protobuf": f"{google.protobuf.__version__} ({api_implementation.Type()})"}
    return Report([Table("Decoding, by CPU time", columns, rows)], checks, versions=versions)


def _nothing(run: Callable[..., object], *arguments: object) -> None:
    run(*arguments)
