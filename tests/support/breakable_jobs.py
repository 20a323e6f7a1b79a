"""A training job that a test may break before it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from openfm.data.record_schema import Record
from openfm.data.recordio import frame
from support.jobs import make_job

__all__ = ["TRAIN", "BreakableJob", "environ_of", "make_sound_job", "record"]

HYPERPARAMETERS = {
    "feature_dim": "12",
    "num_factors": "3",
    "predictor_type": "binary_classifier",
    "mini_batch_size": "50",
    "epochs": "2",
}
RECORDS = 120

TRAIN = (sys.executable, "-m", "openfm", "train")


@dataclass
class BreakableJob:
    """A job about to be broken.

    Attributes:
        base: its contract tree.
        environ: variables of its process.
        command: what runs it.
        stdout: where its log goes, if not to the test.
        trained: whether the job fails after its training, so that the model is there.
    """

    base: Path
    environ: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = TRAIN
    stdout: Path | None = None
    trained: bool = False

    @property
    def records(self) -> Path:
        """The file of the channel ``train``."""
        return self.base / "input" / "data" / "train" / "part-0.pbr"

    def give(self, **hyperparameters: str) -> None:
        """Change hyperparameters."""
        self.configure("hyperparameters.json", HYPERPARAMETERS | hyperparameters)

    def configure(self, name: str, content: object) -> None:
        """Write a configuration file."""
        (self.base / "input" / "config" / name).write_text(json.dumps(content))

    def run_under(self, script: str) -> None:
        """Run the job as ``"$@"`` of a shell script."""
        self.command = ("sh", "-c", script, "sh", *TRAIN)

    def run_in_mounts_of_its_own(self, script: str) -> None:
        """The same where the script may mount what it likes, unseen by others."""
        self.run_under(script)
        self.command = ("unshare", "--map-root-user", "--mount", *self.command)

    def end_with(self, record: Record | bytes) -> None:
        """Append a record, or bytes, to the channel ``train``."""
        data = record if isinstance(record, bytes) else frame(record.SerializeToString())
        with self.records.open("ab") as file:
            file.write(data)


def make_sound_job(base: Path) -> BreakableJob:
    """A job that trains."""
    rng = np.random.default_rng(0)
    X = (rng.random((RECORDS, 12)) < 0.4).astype(np.float32)
    return BreakableJob(make_job(base, HYPERPARAMETERS, (X, X[:, 0]), dense=False))


def environ_of(job: BreakableJob) -> Mapping[str, str]:
    """The whole environment of the job's process."""
    return {"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(job.base), **job.environ}


def record(
    values: tuple[float, ...] = (1.0, 2.0),
    keys: tuple[int, ...] = (0, 5),
    shape: tuple[int, ...] = (),
    label: tuple[float, ...] = (1.0,),
    name: str = "values",
    tensor: str = "float32_tensor",
    label_tensor: str = "float32_tensor",
    weight: tuple[float, ...] | bytes | None = None,
) -> Record:
    """A record; ``bytes`` as a tensor holds one byte."""
    made = Record()
    if tensor == "bytes":
        made.features[name].bytes.value.append(b"x")
    else:
        features = getattr(made.features[name], tensor)
        features.values.extend(values)
        features.keys.extend(keys)
        features.shape.extend(shape)
    if label_tensor == "bytes":
        made.label["values"].bytes.value.append(b"x")
    else:
        made.label["values"].float32_tensor.values.extend(label)
    if isinstance(weight, bytes):
        made.label["weight"].bytes.value.append(weight)
    elif weight is not None:
        made.label["weight"].float32_tensor.values.extend(weight)
    return made
