"""What ``openfm inspect`` says of a data file."""

from __future__ import annotations

from collections import Counter

import numpy as np

from openfm.cli.column_summary import summary_of_columns
from openfm.data.formats.files import read_blocks
from openfm.data.formats.format import Format, ReadOptions
from openfm.data.formats.source import Source
from openfm.data.records import RecordBlock

__all__ = ["summary_of_data"]

_MOST_LABELS = 20
"""So many different labels are counted one by one; ratings and classes are fewer."""

_MOST_FEATURES = 8
"""Of a record that is shown."""


def summary_of_data(source: Source, format: Format, options: ReadOptions, *, records: int) -> dict[str, object]:
    """Reads the source once; what was found, as what JSON can hold. Of a table without a target that is its columns.

    Args:
        source: the data.
        format: theirs.
        options: how to read them.
        records: how many of the first records to show.

    Raises:
        DataError: the data cannot be read.
    """
    names_no_column = options.target is None and options.weight is None
    if format.read_columns is not None and options.header and names_no_column:
        return {"format": format.name, **summary_of_columns(format.read_columns(source))}
    found = _Data()
    first: list[str] = []
    for block in read_blocks(source, format, options):
        found.add(block)
        first.extend(_record(block, row) for row in range(min(records - len(first), len(block))))
    summary: dict[str, object] = {"format": format.name, **found.summary()}
    if records:
        summary["first_records"] = first
    return summary


class _Data:
    """Numbers on blocks of records, one after the other."""

    def __init__(self) -> None:
        self._rows = self._dense = self._nonzeros = self._width = 0
        self._features: list[float] = []
        self._values: list[float] = []
        self._labels: Counter[float] | None = Counter()
        self._label_sum = self._labelled = 0.0
        self._label_range: list[float] = []
        self._weighted = False
        self._weight_sum = 0.0
        self._weight_range: list[float] = []

    def add(self, block: RecordBlock) -> None:
        rows = block.rows
        self._rows += len(block)
        self._dense += block.dense_records
        self._nonzeros += rows.nnz
        self._width = max(self._width, rows.feature_dim)
        if rows.nnz:
            self._features = _extremes(self._features, int(rows.indices.min()), int(rows.indices.max()))
            self._values = _extremes(self._values, float(rows.values.min()), float(rows.values.max()))
        if block.labels is not None:
            self._labelled += len(block)
            self._label_sum += float(block.labels.sum(dtype=np.float64))
            self._label_range = _extremes(self._label_range, float(block.labels.min()), float(block.labels.max()))
            self._count_labels(block)
        self._add_weights(block)

    def _add_weights(self, block: RecordBlock) -> None:
        weights = np.ones(1, dtype=np.float32) if block.weights is None else block.weights
        self._weighted |= block.weights is not None
        self._weight_range = _extremes(self._weight_range, float(weights.min()), float(weights.max()))
        self._weight_sum += float(weights.sum(dtype=np.float64)) * len(block) / len(weights)

    def _count_labels(self, block: RecordBlock) -> None:
        if self._labels is None or block.labels is None:
            return
        for label, count in zip(*np.unique(block.labels, return_counts=True), strict=True):
            self._labels[float(label)] += int(count)
        if len(self._labels) > _MOST_LABELS:
            self._labels = None

    def summary(self) -> dict[str, object]:
        cells = self._rows * self._width
        result: dict[str, object] = {
            "rows": self._rows,
            "dense_rows": self._dense,
            "features": self._width,
            "nonzeros": self._nonzeros,
            "density": self._nonzeros / cells if cells else 0.0,
        }
        if self._features:
            result["smallest_feature"], result["largest_feature"] = self._features
            result["smallest_value"], result["largest_value"] = self._values
        if self._labelled:
            result["smallest_label"], result["largest_label"] = self._label_range
            result["mean_label"] = self._label_sum / self._labelled
            if self._labels is not None:
                result["labels"] = {f"{label:.9g}": self._labels[label] for label in sorted(self._labels)}
        else:
            result["labels"] = "none"
        if self._weighted:
            result["smallest_weight"], result["largest_weight"] = self._weight_range
            result["mean_weight"] = self._weight_sum / self._rows
        return result


def _extremes(before: list[float], smallest: float, largest: float) -> list[float]:
    return [min([smallest, *before]), max([largest, *before])]


def _record(block: RecordBlock, row: int) -> str:
    rows = block.rows
    begin, end = int(rows.indptr[row]), int(rows.indptr[row + 1])
    shown = [f"{rows.indices[i]}:{rows.values[i]:g}" for i in range(begin, min(end, begin + _MOST_FEATURES))]
    if end - begin > _MOST_FEATURES:
        shown.append(f"... ({end - begin} values)")
    label = [] if block.labels is None else [f"label {block.labels[row]:g}"]
    weight = [] if block.weights is None else [f"weight {block.weights[row]:g}"]
    return "  ".join([*label, *weight, *shown])
