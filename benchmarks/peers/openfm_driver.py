"""openfm itself, in a process like its peers', so that memory and time are measured alike."""

from __future__ import annotations

import numpy as np

from benchmarks import machine
from benchmarks.own import OwnTraining
from benchmarks.peers.driver import Rows, Settings, serve


class OpenFM:
    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        hyperparameters: dict[str, object] = {"mini_batch_size": settings.batch_size}
        for group in ("bias", "linear", "factors"):
            hyperparameters |= {f"{group}_lr": settings.rate, f"{group}_wd": settings.decay}
        for group in ("bias", "linear"):
            hyperparameters |= {f"{group}_init_method": "constant", f"{group}_init_value": 0}
        hyperparameters["factors_init_sigma"] = settings.sigma
        self._training = OwnTraining(train.csr(), train.labels, settings.k, hyperparameters)
        self._test = test.csr()

    def epoch(self) -> None:
        self._training.epoch()

    def probabilities(self) -> np.ndarray:
        return self._training.scores(self._test)


if __name__ == "__main__":
    serve(OpenFM, machine.versions())
