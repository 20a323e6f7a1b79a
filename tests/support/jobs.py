"""Training jobs made for tests: their trees, and what their logs say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy.typing as npt

import openfm

METRIC = re.compile(
    r"#quality_metric: host=(?P<host>\S+?), (?:epoch=(?P<epoch>\d+), )?(?:batch=(?P<batch>\d+) )?"
    r"(?P<channel>train|test) (?P<name>\S+) <(?:loss|score)>=(?P<value>\S+)"
)


def make_job(
    base: Path,
    hyperparameters: Mapping[str, object],
    train: tuple[object, npt.ArrayLike],
    test: tuple[object, npt.ArrayLike] | None = None,
    *,
    dense: bool | None = None,
) -> Path:
    """A contract tree at ``base`` with one file in each channel."""
    config = base / "input" / "config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(
        json.dumps({name: str(value) for name, value in hyperparameters.items()})
    )
    for channel, data in (("train", train), ("test", test)):
        if data is not None:
            folder = base / "input" / "data" / channel
            folder.mkdir(parents=True)
            openfm.write_records(folder / "part-0.pbr", *data, dense=dense)
    return base


def run_job(base: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """``openfm train`` on a tree, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "openfm", "train"],
        env={"PATH": "/usr/bin:/bin", "SAGEMAKER_BASE_DIR": str(base), **environ},
        capture_output=True,
        text=True,
        timeout=300,
    )


def logged_metrics(log: str) -> dict[tuple[str, int | None, int | None, str], float]:
    """The quality metrics of a log: (channel, epoch or None, batch or None, name) to value."""
    return {
        (
            match["channel"],
            None if match["epoch"] is None else int(match["epoch"]),
            None if match["batch"] is None else int(match["batch"]),
            match["name"],
        ): float(match["value"])
        for match in METRIC.finditer(log)
    }
