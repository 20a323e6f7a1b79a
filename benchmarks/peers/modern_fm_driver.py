"""modern-fm (Rust): its Adam in mini-batches like the others', and its AdaGrad row by row."""

from __future__ import annotations

from importlib import metadata

import numpy as np
from modern_fm import FMClassifier

from benchmarks.peers.driver import Rows, Settings, serve


class ModernFM:
    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        self._X, self._y = train.csr(np.float64), train.labels.astype(np.int64)
        self._test = test.csr(np.float64)
        self._model = FMClassifier(
            n_factors=settings.k,
            optimizer=settings.variant,
            batch_size=settings.batch_size if settings.variant == "adam" else 1,
            learning_rate=settings.rate,
            l2_linear=settings.decay,
            l2_factors=settings.decay,
            init_scale=settings.sigma,
            dtype="float64",  # what it computes in: nothing is converted between epochs
            n_jobs=1,
            random_state=0,
        )

    def epoch(self) -> None:
        self._model.partial_fit(self._X, self._y, classes=[0, 1])

    def probabilities(self) -> np.ndarray:
        return self._model.predict_proba(self._test)[:, 1]


if __name__ == "__main__":
    serve(ModernFM, {"modern-fm": metadata.version("modern-fm")})
