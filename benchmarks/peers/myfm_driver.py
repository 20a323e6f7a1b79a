"""myFM (C++): Gibbs sampling, a sweep over all parameters for an epoch. It has no learning rate."""

from __future__ import annotations

import threading
from importlib import metadata
from typing import Any

import myfm
import numpy as np

from benchmarks.peers.driver import Rows, Settings, serve

_MOST_SWEEPS = 1000


class MyFM:
    """Its ``fit`` runs in a thread, which its callback stops after each sweep until the next one is asked for."""

    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        self._test = test.csr(np.float64)
        self._model = myfm.MyFMClassifier(rank=settings.k, init_stdev=settings.sigma, random_seed=0)
        self._asked, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._enough = False
        X, y = train.csr(np.float64), train.labels.astype(np.float64)
        self._thread = threading.Thread(target=self._fit, args=(X, y), daemon=True)
        self._thread.start()
        self._done.acquire()  # the first sweep comes with all the preparation: nobody times it

    def _fit(self, X: Any, y: np.ndarray) -> None:
        self._model.fit(X, y, n_iter=_MOST_SWEEPS, n_kept_samples=_MOST_SWEEPS, callback=self._after_sweep)
        self._done.release()

    def _after_sweep(self, *_: object) -> tuple[bool, None]:
        self._done.release()
        self._asked.acquire()
        return self._enough, None

    def epoch(self) -> None:
        self._asked.release()
        self._done.acquire()

    def probabilities(self) -> np.ndarray:
        """The mean over all sweeps; it ends the training."""
        self._enough = True
        self._asked.release()
        self._thread.join()
        return self._model.predict_proba(self._test)


if __name__ == "__main__":
    serve(MyFM, {"myfm": metadata.version("myfm")})
