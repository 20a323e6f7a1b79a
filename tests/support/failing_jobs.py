"""Training jobs that fail, one for each row of the tables in docs/failures.md.

Each starts from a job that trains; its function breaks one thing for real: a byte of a file, a limit of the process, a
mount.
"""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import openfm
from openfm.data.recordio import frame
from support.breakable_jobs import TRAIN, BreakableJob, environ_of, record

__all__ = ["FAILING_JOBS"]

FAILING_JOBS: dict[str, Callable[[BreakableJob], None]] = {}
"""What is wrong, in the words of the tables' first column, and what makes it so."""


def fails(what: str) -> Callable[[Callable[[BreakableJob], None]], Callable[[BreakableJob], None]]:
    """Enter a function into :data:`FAILING_JOBS`."""

    def enter(function: Callable[[BreakableJob], None]) -> Callable[[BreakableJob], None]:
        assert what not in FAILING_JOBS
        FAILING_JOBS[what] = function
        return function

    return enter


def fails_on_record(what: str, **parts: Any) -> None:
    """A job whose last record is made of these parts; see :func:`record`."""
    fails(what)(lambda job: job.end_with(record(**parts)))


# Hyperparameters


def fails_with(what: str, **hyperparameters: str) -> None:
    """A job with these hyperparameters."""
    fails(what)(lambda job: job.give(**hyperparameters))


@fails("a required one is missing")
def _missing(job: BreakableJob) -> None:
    job.configure("hyperparameters.json", {"predictor_type": "regressor"})


@fails("one of openfm's own, with `OPENFM_STRICT=1`")
def _strict(job: BreakableJob) -> None:
    job.environ["OPENFM_STRICT"] = "1"
    job.give(seed="7")


fails_with("an unknown name", mini_batch_siz="100")
fails_with("a word that is none of the choices", predictor_type="ranker")
fails_with("not a whole number", num_factors="many")
fails_with("a number out of its range", bias_lr="-1")
fails_with("several at once", epochs="0", linear_lr="fast")
fails_with("a model larger than the memory", feature_dim="2147483647", num_factors="2147483647")


# Configuration


@fails("nothing is mounted")
def _nothing(job: BreakableJob) -> None:
    job.base = job.base / "nowhere"


@fails("a file is not JSON")
def _not_json(job: BreakableJob) -> None:
    (job.base / "input" / "config" / "hyperparameters.json").write_text("{'epochs': 1}")


@fails("a file is not there, and Docker made a folder for it")
def _folder(job: BreakableJob) -> None:
    (job.base / "input" / "config" / "inputdataconfig.json").mkdir()


@fails("a file holds the wrong kind of value")
def _wrong_kind(job: BreakableJob) -> None:
    job.configure("resourceconfig.json", {"current_host": "algo 1"})


@fails("a host that is none of several")
def _unknown_host(job: BreakableJob) -> None:
    job.configure("resourceconfig.json", {"current_host": "algo-3", "hosts": ["algo-1", "algo-2"]})


@fails("the other hosts do not come")
def _alone_of_several(job: BreakableJob) -> None:
    job.configure("resourceconfig.json", {"current_host": "127.0.0.2", "hosts": ["127.0.0.1", "127.0.0.2"]})
    job.environ |= {"OPENFM_HOSTS_WAIT": "3", "OPENFM_HOSTS_PORT": "9"}


@fails("an environment variable has a wrong value")
def _environment(job: BreakableJob) -> None:
    job.environ["OPENFM_NUM_THREADS"] = "all"


# Channels


@fails("no channel `train`")
def _no_train(job: BreakableJob) -> None:
    job.records.parent.rename(job.base / "input" / "data" / "tarin")


@fails("no data")
def _no_data(job: BreakableJob) -> None:
    job.records.write_bytes(b"")


@fails("a content type that is not read")
def _content_type(job: BreakableJob) -> None:
    job.configure("inputdataconfig.json", {"train": {"ContentType": "application/json"}})


@fails("an input mode that there is not")
def _input_mode(job: BreakableJob) -> None:
    job.configure("inputdataconfig.json", {"train": {"TrainingInputMode": "Stream"}})


@fails("no FIFO comes in Pipe mode")
def _no_pipe(job: BreakableJob) -> None:
    job.records.unlink()
    job.records.parent.rmdir()
    job.configure("inputdataconfig.json", {"train": {"TrainingInputMode": "Pipe"}})
    job.environ["OPENFM_PIPE_TIMEOUT"] = "0.1"


@fails("`early_stopping_patience` without a channel `validation`")
def _no_validation(job: BreakableJob) -> None:
    job.give(early_stopping_patience="1")


@fails("a model with more features in the channel `model`")
def _wider_model(job: BreakableJob) -> None:
    _start_from_a_model(job)
    job.give(feature_dim="11")


@fails("a model of other factors")
def _other_factors(job: BreakableJob) -> None:
    _start_from_a_model(job)
    job.give(num_factors="4")


@fails("a model of another kind")
def _other_kind(job: BreakableJob) -> None:
    _start_from_a_model(job)
    job.give(predictor_type="regressor")


@fails("no model in the channel `model`")
def _no_model(job: BreakableJob) -> None:
    (job.base / "input" / "data" / "model").mkdir()


@fails("a file that must not be read")
def _unreadable(job: BreakableJob) -> None:
    job.records.chmod(0)
    if os.geteuid() == 0:  # root may read anything, unless it gives that up
        job.command = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", *TRAIN)


# Records


@fails("not recordIO")
def _csv(job: BreakableJob) -> None:
    job.records.write_text("1,0,0,1\n" * 100)


@fails("a record is cut off")
def _truncated(job: BreakableJob) -> None:
    job.records.write_bytes(job.records.read_bytes()[:-3])


@fails("a record is not the protobuf message")
def _malformed(job: BreakableJob) -> None:
    job.end_with(frame(b"\xff\xff\xff\xff"))


@fails("a frame continues no other")
def _continuation(job: BreakableJob) -> None:
    whole = bytearray(frame(record().SerializeToString()))
    whole[7] |= 3 << 5  # the last part of a record that never began
    job.end_with(bytes(whole))


@fails("a gzip file is cut off")
def _gzip_cut(job: BreakableJob) -> None:
    job.records.write_bytes(gzip.compress(job.records.read_bytes())[:-12])


fails_with("another width than `feature_dim`", feature_dim="13")
fails_on_record("a key is `feature_dim` or more", keys=(0, 12))
fails_on_record("a key twice", keys=(5, 5))
fails_on_record("not as many keys as values", keys=(5,))
fails_on_record("a shape of several numbers", shape=(3, 4))
fails_on_record("no features", name="inputs")
fails_on_record("features are bytes", tensor="bytes")
fails_on_record("NaN among the features", values=(1.0, float("nan")))
fails_on_record("infinity among the features", values=(1.0, float("inf")))
fails_on_record("a number too large for float32", values=(1.0, 1e39), tensor="float64_tensor")
fails_on_record("no label", label=())
fails_on_record("several labels", label=(1.0, 0.0))
fails_on_record("the label is bytes", label_tensor="bytes")
fails_on_record("the label is NaN", label=(float("nan"),))
fails_on_record("the label is infinite", label=(float("inf"),))
fails_on_record("a weight below 0", weight=(-2.5,))
fails_on_record("several weights", weight=(1.0, 2.0))
fails_on_record("the weight is bytes", weight=b"x")
fails_on_record("a label that is not 0 or 1, of a binary_classifier", label=(7.0,))
fails_with("sparse records, with `dense_network=amazon`", dense_network="amazon")


@fails("the same in the channel `test`")
def _test_channel(job: BreakableJob) -> None:
    folder = job.base / "input" / "data" / "test"
    folder.mkdir()
    openfm.write_records(folder / "part-0.pbr", np.ones((3, 11), dtype=np.float32), np.ones(3))
    job.trained = True


# Training

fails_with("it diverges", factors_lr="1e30")


@fails("a checkpoint of a job with other hyperparameters")
def _other_checkpoint(job: BreakableJob) -> None:
    (job.base / "checkpoints").mkdir()
    job.give(epochs="1")
    _train(job)
    shutil.rmtree(job.base / "model")
    job.give(factors_lr="0.5")


# The machine


@fails("a checkpoint folder that is read-only")
def _read_only_checkpoints(job: BreakableJob) -> None:
    (job.base / "checkpoints").mkdir()
    job.run_in_mounts_of_its_own('mount -t tmpfs -o ro none "$SAGEMAKER_BASE_DIR/checkpoints" && exec "$@"')


@fails("no space left for a checkpoint")
def _no_space_for_checkpoints(job: BreakableJob) -> None:
    (job.base / "checkpoints").mkdir()
    job.give(num_factors="5000")
    job.run_in_mounts_of_its_own('mount -t tmpfs -o size=64k none "$SAGEMAKER_BASE_DIR/checkpoints" && exec "$@"')


@fails("a model folder that is read-only")
def _read_only(job: BreakableJob) -> None:
    (job.base / "model").mkdir()
    job.run_in_mounts_of_its_own('mount -t tmpfs -o ro none "$SAGEMAKER_BASE_DIR/model" && exec "$@"')


@fails("no space left for the model")
def _no_space(job: BreakableJob) -> None:
    (job.base / "model").mkdir()
    job.give(num_factors="5000")
    job.run_in_mounts_of_its_own(
        # What is left in the mount is copied out of it, for the test to find.
        'cd "$SAGEMAKER_BASE_DIR" && mount -t tmpfs -o size=64k none model && "$@"; code=$?; '
        "mkdir left && cp -a model/. left && umount model && cp -a left/. model && rmdir left; exit $code"
    )


@fails("a limit on the size of files")
def _file_size(job: BreakableJob) -> None:
    job.give(num_factors="5000")
    job.run_under('ulimit -f 64; exec "$@"')


@fails("not enough memory")
def _memory(job: BreakableJob) -> None:
    job.give(num_factors="10000000")  # 1.4 GB
    job.run_under('ulimit -v 1048576; exec "$@"')
    job.environ["OPENBLAS_NUM_THREADS"] = "1"  # each of NumPy's threads reserves memory


@fails("a log that cannot be written")
def _full_log(job: BreakableJob) -> None:
    job.stdout = Path("/dev/full")


# openfm itself


@fails("a bug")
def _bug(job: BreakableJob) -> None:
    program = (
        "import os, sys; from openfm.training import job; job.EpochLoop.run = lambda self: 1 / 0; "
        "sys.exit(job.main(os.environ))"
    )
    job.command = (sys.executable, "-c", program)


def _train(job: BreakableJob) -> None:
    subprocess.run(TRAIN, env=environ_of(job), check=True, capture_output=True, timeout=300)


def _start_from_a_model(job: BreakableJob) -> None:
    """Give the job the model of an earlier run as its channel ``model``."""
    _train(job)
    (job.base / "model").rename(job.base / "input" / "data" / "model")
