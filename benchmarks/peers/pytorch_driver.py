"""A Factorization Machine as one writes it in PyTorch: embedding bags and SparseAdam, or dense matrices and Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, embedding_bag

from benchmarks.peers.driver import Rows, Settings, serve


class _Machine:
    """Parameters and what both ways have in common."""

    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(0)
        width = train.shape[1]
        self.bias = torch.zeros(1, requires_grad=True)
        self.linear = torch.zeros(width, 1, requires_grad=True)
        factors = torch.normal(0.0, settings.sigma, (width, settings.k), generator=generator)
        self.factors = factors.requires_grad_()
        self._train, self._test = train, test
        self._batch_size = settings.batch_size
        self._labels = torch.from_numpy(train.labels)
        self.optimizers: list[Any] = []

    def epoch(self) -> None:
        for begin in range(0, len(self._labels), self._batch_size):
            end = min(begin + self._batch_size, len(self._labels))
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            loss = binary_cross_entropy_with_logits(self.scores(self._train, begin, end), self._labels[begin:end])
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()

    def probabilities(self) -> np.ndarray:
        edges = range(0, self._test.shape[0], self._batch_size)
        with torch.no_grad():
            parts = [
                self.scores(self._test, begin, min(begin + self._batch_size, self._test.shape[0])) for begin in edges
            ]
        return torch.cat(parts).sigmoid().numpy()

    def scores(self, rows: Rows, begin: int, end: int) -> torch.Tensor:
        raise NotImplementedError


class Sparse(_Machine):
    """``embedding_bag`` with weights; only the rows of the tables that a batch uses have gradients."""

    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        super().__init__(train, test, settings)
        self.optimizers = [
            torch.optim.SparseAdam([self.linear, self.factors], lr=settings.rate),
            torch.optim.Adam([self.bias], lr=settings.rate),
        ]

    def scores(self, rows: Rows, begin: int, end: int) -> torch.Tensor:
        first, last = int(rows.indptr[begin]), int(rows.indptr[end])
        indices = torch.from_numpy(rows.indices[first:last]).long()
        values = torch.from_numpy(rows.values[first:last])
        offsets = torch.from_numpy(rows.indptr[begin:end] - first)

        def bag(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return embedding_bag(indices, weight, offsets, mode="sum", sparse=True, per_sample_weights=x)

        linear = bag(self.linear, values).squeeze(1)
        sums = bag(self.factors, values)
        vectors = torch.nn.functional.embedding(indices, self.factors, sparse=True)
        squares = vectors.square().sum(1) * values.square()
        of_row = torch.repeat_interleave(
            torch.arange(end - begin), torch.diff(offsets, append=offsets.new_tensor([last - first]))
        )
        own = torch.zeros(end - begin).index_add(0, of_row, squares)
        return self.bias + linear + 0.5 * (sums.square().sum(1) - own)


class Dense(_Machine):
    """Whole matrices, for inputs that are not wide."""

    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        super().__init__(train, test, settings)
        parameters = [self.bias, self.linear, self.factors]
        self.optimizers = [torch.optim.Adam(parameters, lr=settings.rate, weight_decay=settings.decay, fused=True)]
        self._dense = {id(rows): torch.from_numpy(rows.csr().toarray()) for rows in (train, test)}

    def scores(self, rows: Rows, begin: int, end: int) -> torch.Tensor:
        X = self._dense[id(rows)][begin:end]
        squares = self.factors.square().sum(1, keepdim=True)
        own = X.square() @ squares
        return (self.bias + X @ self.linear + 0.5 * ((X @ self.factors).square().sum(1, keepdim=True) - own)).squeeze(1)


def make(train: Rows, test: Rows, settings: Settings) -> _Machine:
    return {"sparse": Sparse, "dense": Dense}[settings.variant](train, test, settings)


if __name__ == "__main__":
    serve(make, {"torch": torch.__version__})
