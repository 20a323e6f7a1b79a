"""Fit a tool with its own defaults, in the environment of that tool, and write down what it predicts.

``python -m benchmarks.peers.defaults TOOL FOLDER SEED PREDICTIONS``: FOLDER holds the rows as the drivers read them,
and a file ``task``: ``regression`` or ``classification``. PREDICTIONS is the NumPy file to write: numbers, or
probabilities of label 1. Prints a line of JSON: ``{"cpu": seconds, "versions": {...}}``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.driver import Rows

RANK = 8  # myFM has no default; libFM, whose MCMC it repeats, has this one

Fit = Callable[[Rows, Rows, bool, int], np.ndarray]
"""Of rows to train on, rows to predict, whether it is a regression, and a seed: the predictions."""


def openfm(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from openfm.estimators import FactorizationMachineClassifier, FactorizationMachineRegressor

    kind = FactorizationMachineRegressor if is_regression else FactorizationMachineClassifier
    return _predicted(kind(random_state=seed), train, test, np.float32)


def amazon(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from openfm.estimators import FactorizationMachineClassifier, FactorizationMachineRegressor

    kind = FactorizationMachineRegressor if is_regression else FactorizationMachineClassifier
    return _predicted(kind(preset="sagemaker", random_state=seed), train, test, np.float32)


def modern_fm(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from modern_fm import FMClassifier, FMRegressor

    kind = FMRegressor if is_regression else FMClassifier
    return _predicted(kind(random_state=seed, n_jobs=1), train, test, np.float32)


def myfm(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from myfm import MyFMClassifier, MyFMRegressor

    kind = MyFMRegressor if is_regression else MyFMClassifier
    return _predicted(kind(rank=RANK, random_seed=seed), train, test, np.float64)


def myfm_variational(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from myfm import VariationalFMClassifier, VariationalFMRegressor

    kind = VariationalFMRegressor if is_regression else VariationalFMClassifier
    return _predicted(kind(rank=RANK, random_seed=seed), train, test, np.float64)


def sklearn_linear(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression, Ridge

    model = Ridge(random_state=seed) if is_regression else LogisticRegression(random_state=seed)
    return _predicted(model, train, test, np.float64)


def sklearn_sgd(train: Rows, test: Rows, is_regression: bool, seed: int) -> np.ndarray:
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    model = SGDRegressor(random_state=seed) if is_regression else SGDClassifier(loss="log_loss", random_state=seed)
    return _predicted(model, train, test, np.float64)


TOOLS: dict[str, tuple[Fit, str]] = {
    "openfm": (openfm, "openfm"),
    "openfm-sagemaker": (amazon, "openfm"),
    "modern-fm": (modern_fm, "modern-fm"),
    "myfm": (myfm, "myfm"),
    "myfm-variational": (myfm_variational, "myfm"),
    "sklearn-linear": (sklearn_linear, "scikit-learn"),
    "sklearn-sgd": (sklearn_sgd, "scikit-learn"),
}
"""Each tool, and the distribution that it comes from."""


def _predicted(model: Any, train: Rows, test: Rows, dtype: Any) -> np.ndarray:
    X = train.csr(dtype)
    is_classifier = hasattr(model, "predict_proba")
    model.fit(X, train.labels.astype(np.int64 if is_classifier else np.float64))
    return model.predict_proba(test.csr(dtype)) if is_classifier else model.predict(test.csr(dtype))


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the tool itself prints goes to standard error
    tool, folder, seed, predictions = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    is_regression = (folder / "task").read_text().strip() == "regression"
    fit, distribution = TOOLS[tool]
    train, test = Rows.read(folder, "train"), Rows.read(folder, "test")
    begin = time.process_time()
    found = np.asarray(fit(train, test, is_regression, seed))
    cpu = time.process_time() - begin
    partial = predictions.with_suffix(".partial.npy")
    # A classifier's second column where it has two.
    np.save(partial, found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found.ravel())
    partial.replace(predictions)
    print(
        json.dumps({"cpu": cpu, "versions": {distribution: metadata.version(distribution)}}), file=answers, flush=True
    )


if __name__ == "__main__":
    main()
