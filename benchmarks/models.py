"""How fast models of a gigabyte are opened and saved, beside reading and writing as many bytes.

The model has 4 million features and 64 factors. Its file lies in the page cache. It is opened with all checks:
checksum, shapes, every parameter a finite number. Beside it the same bytes are read by one ``read`` into new memory, as
``Path.read_bytes`` does, and into memory that was used before: what lies between the two is what the machine takes to
give a process a gigabyte. Saving is compared with writing the bytes and waiting for the disk, as saving does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.frame import Check, Options, Report, Spread, Table, interleaved, paired_ratio
from openfm.artifact import Model, load_model, save_model
from openfm.fm.model import FactorizationMachine, PredictorType

FACTORS = 64


def make_model(features: int) -> Model:
    rng = np.random.default_rng(0)
    linear = rng.standard_normal(features, dtype=np.float32)
    factors = rng.standard_normal((features, FACTORS), dtype=np.float32) * np.float32(0.01)
    return Model(FactorizationMachine(0.5, linear, factors, PredictorType.BINARY_CLASSIFIER))


def read_into(path: Path, memory: memoryview) -> None:
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(memory):
            memory = memory[count:]


def write_synced(path: Path, data: memoryview) -> None:
    with path.open("wb", buffering=0) as file:
        while data:
            data = data[file.write(data) :]
        os.fsync(file.fileno())


def run(options: Options) -> Report:
    model = make_model(100_000 if options.quick else 4_000_000)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        bare = save_model(model, base / "model_algo-1")
        packed = save_model(model, base / "model.tar.gz")
        size = bare.stat().st_size
        used = np.ones(size, np.uint8).data

        def prepare() -> None:
            load_model(bare).machine.prepare()

        def read() -> None:
            bare.read_bytes()

        timings = interleaved(
            {
                "read into used memory": lambda: read_into(bare, used),
                "read into new memory": read,
                "open": lambda: _nothing(load_model(bare)),
                "open, ready to score": prepare,
                "open model.tar.gz": lambda: _nothing(load_model(packed)),
                "write and sync": lambda: write_synced(base / "written", used),
                "save": lambda: _nothing(save_model(model, base / "saved")),
            },
            options.rounds,
        )
    rows = [
        [name, Spread.of(timing.cpu), Spread.of(timing.wall), Spread.of(timing.cpu).rate(size / 1e9)]
        for name, timing in timings.items()
    ]
    opening = paired_ratio(timings["open"].cpu, timings["read into new memory"].cpu)
    saving = paired_ratio(timings["save"].cpu, timings["write and sync"].cpu)
    checks = [
        Check("open a model file / read its bytes into new memory", opening.median, at_most=2),
        Check("save a model file / write its bytes", saving.median, at_most=2),
    ]
    columns = ("", "CPU s", "wall s", "GB a CPU second")
    return Report([Table(f"A model file of {size / 1e9:.2f} GB", columns, rows)], checks)


def _nothing(_: object) -> None:
    pass
