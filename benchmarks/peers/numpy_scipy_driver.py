"""The same mini-batch Adam, which changes only the features of a batch, in NumPy and SciPy alone."""

from __future__ import annotations

import numpy as np
import scipy

from benchmarks.peers.driver import Rows, Settings, serve

_BETA1, _BETA2, _EPSILON = np.float32(0.9), np.float32(0.999), np.float32(1e-8)


class _Table:
    """Parameters with Adam's moments, one row a feature."""

    def __init__(self, values: np.ndarray, settings: Settings) -> None:
        self.values = values
        self._mean, self._variance = np.zeros_like(values), np.zeros_like(values)
        self._rate, self._decay = np.float32(settings.rate), np.float32(settings.decay)

    def step(self, rows: np.ndarray, gradient: np.ndarray, number: int) -> None:
        values = self.values[rows]
        gradient = gradient + self._decay * values
        mean = _BETA1 * self._mean[rows] + (1 - _BETA1) * gradient
        variance = _BETA2 * self._variance[rows] + (1 - _BETA2) * gradient * gradient
        rate = self._rate * np.sqrt(1 - _BETA2**number) / (1 - _BETA1**number)
        self._mean[rows], self._variance[rows] = mean, variance
        self.values[rows] = values - rate * mean / (np.sqrt(variance) + _EPSILON)


class NumpyScipy:
    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        width = train.shape[1]
        rng = np.random.default_rng(0)
        self._X, self._y, self._test = train.csr(), train.labels, test.csr()
        self._batch_size = settings.batch_size
        factors = rng.normal(0, settings.sigma, (width, settings.k)).astype(np.float32)
        self._factors = _Table(factors, settings)
        self._linear = _Table(np.zeros((width, 1), np.float32), settings)
        self._bias = _Table(np.zeros((1, 1), np.float32), settings)
        self._step = 0

    def epoch(self) -> None:
        for begin in range(0, len(self._y), self._batch_size):
            self._batch(self._X[begin : begin + self._batch_size], self._y[begin : begin + self._batch_size])

    def _batch(self, X: scipy.sparse.csr_matrix, y: np.ndarray) -> None:
        features, columns = np.unique(X.indices, return_inverse=True)
        narrow = scipy.sparse.csr_matrix((X.data, columns.ravel(), X.indptr), (len(y), len(features)))
        squared = narrow.multiply(narrow).tocsr()
        V, w = self._factors.values[features], self._linear.values[features]
        sums = narrow @ V
        own = squared @ np.square(V).sum(axis=1)
        scores = self._bias.values[0, 0] + (narrow @ w).ravel() + 0.5 * (np.square(sums).sum(axis=1) - own)
        errors = ((1 / (1 + np.exp(-scores)) - y) / self._batch_size).astype(np.float32)
        back = narrow.T.tocsr()
        self._step += 1
        of_factors = back @ (errors[:, np.newaxis] * sums) - V * (squared.T @ errors)[:, np.newaxis]
        self._factors.step(features, of_factors, self._step)
        self._linear.step(features, (back @ errors)[:, np.newaxis], self._step)
        self._bias.step(np.zeros(1, np.int64), errors.sum(keepdims=True)[:, np.newaxis], self._step)

    def probabilities(self) -> np.ndarray:
        X, V = self._test, self._factors.values
        own = X.multiply(X) @ np.square(V).sum(axis=1)
        scores = self._bias.values[0, 0] + (X @ self._linear.values).ravel()
        scores = scores + 0.5 * (np.square(X @ V).sum(axis=1) - own)
        return 1 / (1 + np.exp(-scores))


if __name__ == "__main__":
    serve(NumpyScipy, {"numpy": np.__version__, "scipy": scipy.__version__})
