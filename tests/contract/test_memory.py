"""What a job takes of memory, measured: no more than the line at its start and docs/memory.md say."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import random as random_sparse

from support.jobs import make_job

MIB = 2**20

JOB = """
import os, re, sys
from openfm.training.job import main
code = main(os.environ)
print("VmHWM", int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024)
sys.exit(code)
"""
"""``openfm train``, which tells at the end the most memory that it had."""

PLAN = re.compile(
    r"Memory: ([0-9.]+) MiB for the parameters .*state, (?:([0-9.]+) MiB more at the start .*)?up to ([0-9.]+) MiB for "
    r"data .* about ([0-9.]+) MiB"
)


def measure(base, **environ: str) -> tuple[int, dict[str, float]]:
    """The most memory that a job had, and what it said at its start, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base), **environ},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = PLAN.search(done.stdout)
    assert found is not None
    named = zip(("model", "saved", "cache", "base"), found.groups("0"), strict=True)
    plan = {name: float(value) * MIB for name, value in named}
    return int(re.search(r"^VmHWM (\d+)$", done.stdout, re.MULTILINE)[1]), plan


@pytest.fixture(scope="module")
def rows():
    """2.4 million non-zeros in rows of 300 000 columns: 32 MiB as mini-batches."""
    rng = np.random.default_rng(0)
    X = random_sparse(60_000, 300_000, density=40 / 300_000, format="csr", dtype=np.float32, random_state=rng)
    return X, rng.integers(0, 2, 60_000).astype(np.float32)


def of_data(X, batch_size: int) -> int:
    """What the mini-batches of rows take, all kept."""
    starts = range(0, X.shape[0], batch_size)
    features = sum(len(np.unique(X[start : start + batch_size].indices)) for start in starts)
    return 14 * X.nnz + 16 * X.shape[0] + 8 * features


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("factors", [1, 16, 40])
def test_a_job_takes_what_it_says(tmp_path, rows, factors, threads):
    X, y = rows
    base = make_job(
        tmp_path,
        {"feature_dim": X.shape[1], "num_factors": factors, "predictor_type": "binary_classifier", "epochs": 2},
        (X, y),
    )
    kept = of_data(X, 1000)
    model = (64 * -(-(96 * -(-factors // 8) + 32) // 64) + 4) * X.shape[1]
    for budget in (0, kept // 2, None):
        environ = {} if budget is None else {"OPENFM_CACHE_BYTES": str(budget)}
        most, plan = measure(base, OPENFM_NUM_THREADS=threads, **environ)
        assert plan["model"] == pytest.approx(model, rel=0.001)
        if budget is not None:
            assert plan["cache"] == pytest.approx(budget, abs=MIB / 10)
        data = kept if budget is None else budget
        assert most <= 1.02 * (plan["model"] + data) + plan["base"]
        assert most >= 0.9 * (plan["model"] + data)  # so that the bound says something


def test_a_model_that_no_memory_holds_is_refused(tmp_path):
    base = make_job(
        tmp_path,
        {"feature_dim": 2**31 - 1, "num_factors": 10**9, "predictor_type": "regressor"},
        (np.ones((2, 3), dtype=np.float32), np.ones(2, dtype=np.float32)),
        dense=False,
    )
    done = subprocess.run(
        [sys.executable, "-m", "openfm", "train"],
        env={"PATH": os.environ["PATH"], "SAGEMAKER_BASE_DIR": str(base)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "take 25769803910028887996 bytes of memory, for feature_dim 2147483647 and num_factors 1000000000" in (
        done.stderr
    )


def test_a_thousand_factors(tmp_path):
    """k = 1000 works, in the memory that it says."""
    rng = np.random.default_rng(0)
    X = random_sparse(2000, 20_000, density=0.001, format="csr", dtype=np.float32, random_state=rng)
    base = make_job(
        tmp_path,
        {"feature_dim": 20_000, "num_factors": 1000, "predictor_type": "regressor", "epochs": 1},
        (X, np.ones(2000, dtype=np.float32)),
    )
    most, plan = measure(base, OPENFM_CACHE_BYTES="1MiB")
    assert plan["model"] == pytest.approx((12_032 + 4) * 20_000, rel=0.001)
    assert most <= 1.02 * plan["model"] + plan["cache"] + plan["base"]


@pytest.mark.parametrize("patience", [None, 1])
def test_going_on_from_a_checkpoint_takes_what_it_says(tmp_path, rows, patience):
    X, y = rows
    hyperparameters = {"feature_dim": X.shape[1], "num_factors": 16, "predictor_type": "binary_classifier"}
    watching = {} if patience is None else {"early_stopping_patience": patience}
    base = make_job(tmp_path, hyperparameters | {"epochs": 1} | watching, (X, y))
    if patience is not None:
        (base / "input" / "data" / "train").rename(base / "input" / "data" / "both")
        (base / "input" / "data" / "train").symlink_to(base / "input" / "data" / "both")
        (base / "input" / "data" / "validation").symlink_to(base / "input" / "data" / "both")
    (base / "checkpoints").mkdir()
    first, _ = measure(base, OPENFM_CACHE_BYTES="1MiB")
    path = base / "input" / "config" / "hyperparameters.json"
    path.write_text(path.read_text().replace('"epochs": "1"', '"epochs": "2"'))

    most, plan = measure(base, OPENFM_CACHE_BYTES="1MiB")

    saved = (12 if patience is None else 16) * 17 * X.shape[1]
    assert plan["saved"] == pytest.approx(saved, rel=0.01)
    copies = 0 if patience is None else 2 * 4 * 17 * X.shape[1]  # docs/memory.md tells of them
    assert most <= 1.02 * (plan["model"] + max(plan["saved"] + copies / 2, plan["cache"] + copies)) + plan["base"]
    assert most >= 0.9 * (plan["model"] + plan["saved"])
    assert first < most
