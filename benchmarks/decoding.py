"""How fast records are read and written, beside Google's protobuf and the SageMaker SDK v2's writers.

Reading: MNIST's 50000 training images as dense records, and made-up clicks as sparse ones, to compressed sparse rows
and labels with every check. openfm decodes the records from memory (``decode_records``, 5000 records at a time), and
reads the file as training does (``RecordReader``: in blocks, from the page cache). Google's parser (upb, as the Python
package has it) gets 5000 records in memory and already out of their frames, and is timed three times: parsing alone; to
the same rows in the fastest way that NumPy has, unchecked; and with openfm's checks by NumPy, record by record.

Writing: the same rows in float32 to records in memory, with ``openfm.sagemaker`` and with the SDK.
"""

from __future__ import annotations

import io
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import google.protobuf
import numpy as np
import numpy.typing as npt
from google.protobuf.internal import api_implementation
from scipy.sparse import csr_matrix, save_npz

from benchmarks import data
from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved, paired_ratio
from openfm import sagemaker
from openfm.data import recordio
from openfm.data.record_schema import Record
from openfm.data.records import RecordReader, decode_records, write_records

ROOT = Path(__file__).parents[1]
SDK_PYTHON = ROOT / ".cache" / "sdk" / "v2" / "bin" / "python"
PEER_RECORDS = 5000  # what the peers are timed on: their speed does not depend on the number

Take = Callable[[Any, type], npt.NDArray[Any]]
"""A field's numbers as an array."""


@dataclass(frozen=True, slots=True)
class Case:
    """Rows to read and write.

    Attributes:
        rows: the features; an array is written as dense records.
        take: the faster of NumPy's two ways to take a field's numbers out of Google's messages.
        least: how many times as fast as protobuf openfm is to be.
    """

    kind: str
    title: str
    rows: npt.NDArray[np.float32] | csr_matrix
    labels: npt.NDArray[np.float32]
    take: Take
    least: float

    def part(self, count: int) -> tuple[Any, npt.NDArray[np.float32]]:
        return self.rows[:count], self.labels[:count]


def cases(options: Options) -> list[Case]:
    images, clicks = data.mnist().train, data.click_problem(20_000 if options.quick else 200_000).train
    dense = images.part(0, 2_000) if options.quick else images
    return [
        Case("dense", "MNIST, dense", dense.X.toarray(), dense.y, np.array, least=40),
        Case("sparse", "clicks, sparse", clicks.X, clicks.y, _from_iterator, least=100),
    ]


def _from_iterator(numbers: Any, dtype: type) -> npt.NDArray[Any]:
    return np.fromiter(numbers, dtype, len(numbers))


def parse_with_protobuf(payloads: list[bytes]) -> None:
    for payload in payloads:
        Record.FromString(payload)


def decode_with_protobuf(payloads: list[bytes], feature_dim: int, take: Take, *, checked: bool) -> csr_matrix:
    """The same rows from Google's parser."""
    indptr, indices, values, labels = [0], [], [], []
    for payload in payloads:
        record = Record.FromString(payload)
        tensor = record.features["values"].float32_tensor
        label = record.label["values"].float32_tensor.values
        row = take(tensor.values, np.float32)
        keys = take(tensor.keys, np.int64) if len(tensor.keys) else None
        if checked:
            check_record(row, keys, tensor.shape, label, feature_dim)
        kept = np.flatnonzero(row)
        indices.append(kept if keys is None else keys[kept])
        values.append(row[kept])
        indptr.append(indptr[-1] + len(kept))
        labels.append(label[0])
    np.array(labels, dtype=np.float32)
    columns = np.concatenate(indices).astype(np.int32)
    return csr_matrix((np.concatenate(values), columns, indptr), shape=(len(payloads), feature_dim))


def check_record(row: npt.NDArray[Any], keys: npt.NDArray[Any] | None, shape: Any, label: Any, width: int) -> None:
    """Finite numbers, one label, the width, and keys that fit, in range and ascending."""
    good = np.isfinite(row).all() and len(label) == 1 and np.isfinite(label[0])
    good = good and (len(shape) == 0 or (len(shape) == 1 and shape[0] == width))
    if keys is None:
        good = good and len(row) == width
    else:
        good = good and len(keys) == len(row) and keys[-1] < width and (keys[1:] > keys[:-1]).all()
    if not good:
        raise ValueError("a record is broken")


def pieces(framed: bytes) -> list[memoryview]:
    """The bytes in pieces of as many records as the peers get."""
    starts = [frame.offset for frame in recordio.iter_frames(framed)][::PEER_RECORDS]
    return [memoryview(framed)[start:end] for start, end in zip(starts, [*starts[1:], len(framed)], strict=True)]


def read_memory(parts: list[memoryview], feature_dim: int) -> None:
    for part in parts:
        decode_records(part, feature_dim=feature_dim, labels="required")


def read_file(path: Path, feature_dim: int) -> int:
    reader = RecordReader([path], channel="train", feature_dim=feature_dim)
    return sum(len(block) for block in reader)


def run(options: Options) -> Report:
    reading, writing, checks, left_out = [], [], [], []
    versions = {"protobuf": f"{google.protobuf.__version__} ({api_implementation.Type()})"}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options):
            row, check = measure_reading(case, Path(folder), options)
            reading.append(row)
            checks.append(check)
        if SDK_PYTHON.exists():
            with sdk_writer(cases(options), Path(folder)) as (ask, versions["sagemaker"]):
                for case in cases(options):
                    row, check = measure_writing(case, ask, options)
                    writing.append(row)
                    checks.append(check)
        else:
            left_out.append(f"the SageMaker SDK's writers: {SDK_PYTHON.relative_to(ROOT)} is not there (`make bench`).")
    tables = [Table("Reading, by CPU time", READING, reading), Table("Writing, by CPU time", WRITING, writing)]
    return Report(tables, checks, left_out, versions)


READING = (
    "records", "openfm from memory, k records/s", "openfm from a file, k records/s", "protobuf, parsing alone",
    "protobuf to rows, unchecked", "protobuf to rows, checked", "openfm from memory / protobuf unchecked",
    "openfm from a file / protobuf unchecked",
)  # fmt: skip
WRITING = ("records", "openfm, k records/s", "SageMaker SDK, k records/s", "openfm / SDK")


def measure_reading(case: Case, folder: Path, options: Options) -> tuple[list[Any], Check]:
    path = folder / case.kind
    write_records(path, case.rows, case.labels)
    framed = path.read_bytes()
    records, feature_dim = case.rows.shape
    peers = min(records, PEER_RECORDS)
    payloads = [frame.payload for frame in islice(recordio.iter_frames(framed), peers)]
    rows = partial(decode_with_protobuf, payloads, feature_dim, case.take)
    timings = interleaved(
        {
            "memory": _call(read_memory, pieces(framed), feature_dim),
            "file": _call(read_file, path, feature_dim),
            "parsing": _call(parse_with_protobuf, payloads),
            "unchecked": _call(rows, checked=False),
            "checked": _call(rows, checked=True),
        },
        options.rounds,
    )
    amounts = dict.fromkeys(timings, peers) | {"memory": records, "file": records}
    speeds = [Spread.of(timing.cpu).rate(amounts[name] / 1e3) for name, timing in timings.items()]
    ratios = {
        name: paired_ratio(timings["unchecked"].cpu, timings[name].cpu).scaled(records / peers)
        for name in ("memory", "file")
    }
    check = Check(f"reading {case.title}, openfm from memory / protobuf", ratios["memory"].median, at_least=case.least)
    return [case.title, *speeds, *ratios.values()], check


def measure_writing(case: Case, ask: Callable[[str], tuple[float, float]], options: Options) -> tuple[list[Any], Check]:
    count = min(len(case.labels), PEER_RECORDS)
    write = sagemaker.write_numpy_to_dense_tensor if case.kind == "dense" else sagemaker.write_spmatrix_to_sparse_tensor
    rows, labels = case.part(count)
    timings = interleaved(
        {"openfm": lambda: write(io.BytesIO(), rows, labels), "sdk": partial(ask, case.kind)}, options.rounds
    )
    speeds = [Spread.of(timing.cpu).rate(count / 1e3) for timing in timings.values()]
    ratio = paired_ratio(timings["sdk"].cpu, timings["openfm"].cpu)
    return [case.title, *speeds, ratio], Check(f"writing {case.title}, openfm / SDK", ratio.median, at_least=50)


@contextmanager
def sdk_writer(parts: list[Case], folder: Path) -> Iterator[tuple[Callable[[str], tuple[float, float]], str]]:
    """The SDK in a process of its own: what asks it to write the rows of a kind, and its version."""
    for case in parts:
        rows, labels = case.part(PEER_RECORDS)
        np.save(folder / f"{case.kind}-labels.npy", labels)
        if case.kind == "dense":
            np.save(folder / "dense.npy", rows)
        else:
            save_npz(folder / "sparse.npz", rows)
    command = [SDK_PYTHON, "-m", "benchmarks.peers.sagemaker_writer", folder]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None

        def ask(kind: str) -> tuple[float, float]:
            print(kind, file=stdin, flush=True)
            cpu, wall = json.loads(stdout.readline())
            return cpu, wall

        yield ask, json.loads(stdout.readline())
        stdin.close()


def _call(function: Callable[..., object], *arguments: Any, **named: Any) -> Callable[[], None]:
    def call() -> None:
        function(*arguments, **named)

    return call
