"""MXNet's sparse Factorization Machine, as its ``example/sparse/factorization_machine`` trains it.

An epoch reads the LibSVM text anew by MXNet's own iterator; parameters live in a local key-value store, whose rows a
batch pulls; Adam updates the features of a batch only; two metrics are computed after every batch. The variant
``no metrics`` leaves these out.
"""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path

import mxnet as mx
import numpy as np

from benchmarks.peers.driver import Rows, Settings, serve


class LogLoss(mx.metric.EvalMetric):
    """The mean logistic loss, in NumPy after every batch, as the example has it."""

    def __init__(self) -> None:
        super().__init__("log-loss")

    def update(self, labels: list, predictions: list) -> None:
        for label, prediction in zip(labels, predictions):  # noqa: B905 (Python 3.8 has no strict)
            y, p = label.asnumpy().ravel(), prediction.asnumpy().ravel()
            self.sum_metric += -np.log(np.where(y > 0.5, p, 1 - p) + 1e-12).sum()
            self.num_inst += len(y)


class AreaUnderCurve(mx.metric.EvalMetric):
    """The area under the ROC curve of each batch, by Python's own sorting, as the example has it."""

    def __init__(self) -> None:
        super().__init__("auc")

    def update(self, labels: list, predictions: list) -> None:
        y, p = labels[0].asnumpy().ravel(), predictions[0].asnumpy().ravel()
        positives = area = 0.0
        for _, label in sorted(zip(p, y), key=itemgetter(0), reverse=True):  # noqa: B905
            if label == 1.0:
                positives += 1.0
            else:
                area += positives
        self.sum_metric += area / max(positives * (len(y) - positives), 1.0)
        self.num_inst += 1


class SparseMachine:
    def __init__(self, train: Rows, test: Rows, settings: Settings) -> None:
        mx.random.seed(0)
        self._settings, self._width, self._tested = settings, train.shape[1], test.shape[0]
        self._train, self._test = self._iterator(train.path), self._iterator(test.path)
        self._module = mx.mod.Module(self._network())
        self._module.bind(data_shapes=self._train.provide_data, label_shapes=self._train.provide_label)
        self._module.init_params()
        adam = {"learning_rate": settings.rate, "wd": settings.decay, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
        self._module.init_optimizer(mx.kvstore.create("local"), "adam", optimizer_params=adam)
        self._metrics = [] if settings.variant == "no metrics" else [LogLoss(), AreaUnderCurve()]

    def _iterator(self, path: Path) -> mx.io.DataIter:
        return mx.io.LibSVMIter(
            data_libsvm=f"{path}.libsvm", data_shape=(self._width,), batch_size=self._settings.batch_size
        )

    def _network(self) -> mx.sym.Symbol:
        sym, zero = mx.sym, mx.init.Zero()
        x = sym.Variable("data", stype="csr")
        sparse = {"stype": "row_sparse", "wd_mult": 1.0}
        v = sym.Variable(
            "v", shape=(self._width, self._settings.k), init=mx.init.Normal(self._settings.sigma), **sparse
        )
        w = sym.Variable("w", shape=(self._width, 1), init=zero, **sparse)
        w0 = sym.Variable("w0", shape=(1,), init=zero, wd_mult=1.0)
        linear = sym.broadcast_add(sym.dot(x, w), w0)
        sums = 0.5 * sym.square(sym.dot(x, v))
        squares = sym._internal._square_sum(data=v, axis=1, keepdims=True)
        own = 0.5 * sym.dot(sym.square(x), squares)
        score = sym.sum(sym.Concat(linear, sums, dim=1), axis=1, keepdims=True) - own
        return sym.LogisticRegressionOutput(data=score, label=sym.Variable("softmax_label"))

    def _rows_of(self, batch: mx.io.DataBatch) -> dict:
        indices = batch.data[0].indices
        return {"v": indices, "w": indices}

    def _all_rows(self, _: None) -> dict:
        rows = mx.nd.arange(0, self._width, dtype="int64")
        return {"v": rows, "w": rows}

    def epoch(self) -> None:
        self._train.reset()
        for metric in self._metrics:
            metric.reset()
        for batch in self._train:
            self._module.prepare(batch, sparse_row_id_fn=self._rows_of)
            self._module.forward_backward(batch)
            self._module.update()
            for metric in self._metrics:
                self._module.update_metric(metric, batch.label)

    def probabilities(self) -> np.ndarray:
        parts = []
        self._module.prepare(None, sparse_row_id_fn=self._all_rows)
        for batch in self._test:
            self._module.forward(batch, is_train=False)
            parts.append(self._module.get_outputs()[0].asnumpy().ravel())
        return np.concatenate(parts)[: self._tested]


if __name__ == "__main__":
    serve(SparseMachine, {"mxnet": mx.__version__, "numpy": np.__version__})
