"""How fast a table of raw ids becomes records, beside the SageMaker SDK v2's writer, and in how much memory.

The table is a CSV of clicks as advertisers have them: a label, and 26 columns of ids of eight hexadecimal digits,
from ten different ones to 300,000, the first of them the most frequent. ``openfm convert`` reads it, fits an encoder,
encodes by it and writes records: a program measured from its start to its exit. The SDK's writer is only given rows
that are encoded already, in memory, and writes them to memory.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.decoding import PEER_RECORDS, ROOT, SDK_PYTHON, Case, sdk_writer
from benchmarks.frame import Cell, Check, Options, Report, Spread, Table, paired_ratio, progress
from benchmarks.processes import Usage, measured
from openfm.data.formats.files import iter_data

COLUMNS = 26
ROWS = 1_000_000
MIB = 2**20
_PIECE = 50_000  # rows written at once


def write_table(path: Path, rows: int) -> None:
    """The table, drawn at random."""
    rng = np.random.default_rng(0)
    different = np.geomspace(10, 300_000, COLUMNS).astype(np.int64)
    with path.open("wb") as file:
        file.write(b"click," + b",".join(b"c%d" % column for column in range(COLUMNS)) + b"\n")
        for begin in range(0, rows, _PIECE):
            count = min(_PIECE, rows - begin)
            cells = np.empty((count, 2 + 9 * COLUMNS), dtype=np.uint8)
            cells[:, 0] = ord("0") + rng.integers(0, 2, count)
            cells[:, 1::9] = ord(",")
            for column in range(COLUMNS):
                ids = (different[column] * rng.random(count) ** 3).astype(np.uint64)
                cells[:, 2 + 9 * column : 10 + 9 * column] = _hexadecimal(ids * COLUMNS + column)
            cells[:, -1] = ord("\n")
            file.write(cells.tobytes())


def _hexadecimal(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Eight digits of each id, spread over all of their values: shape (ids, 8)."""
    spread = (ids * np.uint64(2654435761)) % np.uint64(2**32)
    digits = (spread[:, None] >> np.arange(28, -4, -4, dtype=np.uint64)) & np.uint64(15)
    return np.frombuffer(b"0123456789abcdef", dtype=np.uint8)[digits]


def convert(table: Path, records: Path, *options: str) -> Usage:
    """Measures the conversion as a program."""
    command = [sys.executable, "-m", "openfm", "convert", str(table), str(records), "--target", "click", *options]
    return measured(command)


def run(options: Options) -> Report:
    rows = 20_000 if options.quick else ROWS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, records, encoder = folder / "clicks.csv", folder / "clicks.rec", folder / "encoder.zip"
        write_table(table, rows)
        hashed = [option for column in range(COLUMNS) for option in ("--hashed", f"c{column}=100000")]
        cases = {
            "an encoder is fitted": ("--save-encoder", str(encoder)),
            "an encoder is there": ("--encoder", str(encoder)),
            "all columns are hashed": tuple(hashed),
        }
        usages: dict[str, list[Usage]] = {case: [] for case in cases}
        sdk: list[tuple[float, float]] = []  # CPU and wall seconds
        left_out: list[str] = []
        versions: dict[str, str] = {}
        with ExitStack() as stack:
            ask = None
            convert(table, records, *cases["an encoder is fitted"])
            X, y = next(iter_data(records))
            peers = min(len(y), PEER_RECORDS)
            if SDK_PYTHON.exists():
                # The writer's process wants rows of both kinds.
                parts = [
                    Case("sparse", "", X, y, np.array, 0),
                    Case("dense", "", X[:1, :1].toarray(), y[:1], np.array, 0),
                ]
                ask, versions["sagemaker"] = stack.enter_context(sdk_writer(parts, folder))
            else:
                left_out.append(
                    f"the SageMaker SDK's writer: {SDK_PYTHON.relative_to(ROOT)} is not there (`make bench`)."
                )
            for number in range(options.rounds + 1):
                progress(f"round {number} of the conversions")
                samples = {case: convert(table, records, *arguments) for case, arguments in cases.items()}
                seconds = None if ask is None else ask("sparse")
                if number:  # the first round brings the files into the page cache
                    for case, usage in samples.items():
                        usages[case].append(usage)
                    sdk += [] if seconds is None else [seconds]
    table_rows: list[list[Cell]] = []
    checks = []
    sdk_cpu, sdk_wall = ([sample[clock] for sample in sdk] for clock in (0, 1))
    for case, found in usages.items():
        cpu, wall = [usage.cpu for usage in found], [usage.wall for usage in found]
        ratios = [
            paired_ratio([seconds / peers * rows for seconds in slow], fast) if sdk else None
            for slow, fast in ((sdk_cpu, cpu), (sdk_wall, wall))
        ]
        peak = Spread.of([usage.peak for usage in found]).scaled(1 / MIB)
        speeds = [Spread.of(seconds).rate(rows / 1e3) for seconds in (cpu, wall)]
        table_rows.append([case, *speeds, peak, *ratios])
        if ratios[0] is not None and case == "an encoder is fitted":
            checks.append(Check("a CSV of 26 columns of ids to records, openfm / SDK", ratios[0].median, at_least=20))
    if sdk:
        speeds = [Spread.of(seconds).rate(peers / 1e3) for seconds in (sdk_cpu, sdk_wall)]
        table_rows.append(["the SDK, rows in memory", *speeds, None, None, None])
    columns = (
        "", "k rows/s of CPU time", "k rows/s by the clock", "peak, MiB", "openfm / SDK, by CPU time",
        "openfm / SDK, by the clock",
    )  # fmt: skip
    title = f"A CSV of {rows:,} rows and {COLUMNS} columns of ids to recordIO"
    return Report([Table(title, columns, table_rows)], checks, left_out, versions)
