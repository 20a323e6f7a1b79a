"""The slow, obvious record decoder: Google's protobuf parser and Python loops.

It is the truth that the fast native decoder is tested against, so it states the rules of what a record means once
more, in the plainest way.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, Literal

import numpy as np
from google.protobuf.message import DecodeError

from openfm.data import recordio
from openfm.data.faults import Fault, FaultError, data_error
from openfm.data.record_schema import Record
from openfm.data.records import RecordBlock
from openfm.fm.rows import MAX_FEATURE_DIM, SparseRows

__all__ = ["decode_records_reference"]

_TENSORS = ("float32_tensor", "float64_tensor", "int32_tensor")


class _RefusedError(Exception):
    """A fault's kind and numbers, before record and offset are known."""

    def __init__(self, kind: str, found: int = 0, expected: int = 0) -> None:
        super().__init__(kind)
        self.kind, self.found, self.expected = kind, found, expected


def decode_records_reference(
    data: bytes,
    *,
    feature_dim: int | None,
    labels: Literal["required", "optional", "ignored"] = "optional",
) -> RecordBlock:
    """Does what :func:`openfm.data.records.decode_records` does, slowly."""
    decoder = _Decoder(feature_dim, labels)
    try:
        for number, frame in enumerate(recordio.iter_frames(data)):
            try:
                decoder.add(frame.payload)
            except _RefusedError as error:
                fault = Fault(error.kind, number, frame.offset, error.found, error.expected)
                raise FaultError(fault) from error
    except FaultError as error:
        raise data_error(error.fault) from None
    return decoder.block()


class _Decoder:
    def __init__(self, feature_dim: int | None, labels: str) -> None:
        self.feature_dim = feature_dim
        self.width_inferred = feature_dim is None
        self.label_mode = labels
        self.widest_key = 0
        self.rows: list[list[tuple[int, np.float32]]] = []
        self.labels: list[np.float32] = []
        self.weights: list[np.float32 | None] = []
        self.dense_records = 0

    def add(self, payload: bytes) -> None:
        record = Record()
        try:
            record.ParseFromString(payload)
        except DecodeError:
            raise _RefusedError("malformed") from None
        if "values" not in record.features:
            raise _RefusedError("features_missing")
        row = self._features(record.features["values"])
        self._label(record)
        self._weight(record)
        self.rows.append(row)

    def _features(self, value: Any) -> list[tuple[int, np.float32]]:
        if value.WhichOneof("value") == "bytes":
            raise _RefusedError("features_bytes")
        tensor = _tensor(value)
        values = _float32(tensor.values)
        keys = list(tensor.keys)
        if keys and len(keys) != len(values):
            raise _RefusedError("keys_values", len(keys), len(values))
        if len(tensor.shape) > 1:
            raise _RefusedError("shape", len(tensor.shape))
        if tensor.shape:
            self._declare_width(tensor.shape[0])
        dense = bool(values) and not keys
        if dense:
            self._declare_width(len(values))
            keys = list(range(len(values)))
        elif keys:
            self._check_keys(keys)
        _check_finite(values, "features")
        self.dense_records += dense
        return sorted((key, value) for key, value in zip(keys, values, strict=True) if value != 0)

    def _declare_width(self, width: int) -> None:
        if self.feature_dim is None:
            if width > MAX_FEATURE_DIM:
                raise _RefusedError("too_wide", width, MAX_FEATURE_DIM)
            if width < self.widest_key:
                raise _RefusedError("widths_differ", width, self.widest_key)
            self.feature_dim = width
        elif width != self.feature_dim:
            kind = "widths_differ" if self.width_inferred else "width"
            raise _RefusedError(kind, width, self.feature_dim)

    def _check_keys(self, keys: list[int]) -> None:
        limit = MAX_FEATURE_DIM if self.feature_dim is None else self.feature_dim
        if max(keys) >= limit:
            raise _RefusedError("key_range", max(keys), limit)
        repeated = [key for key, count in Counter(keys).items() if count > 1]
        if repeated:
            raise _RefusedError("key_repeated", min(repeated))
        if self.feature_dim is None:
            self.widest_key = max(self.widest_key, max(keys) + 1)

    def _label(self, record: Any) -> None:
        if self.label_mode == "ignored":
            return
        values: list[np.float32] = []
        if "values" in record.label:
            value = record.label["values"]
            if value.WhichOneof("value") == "bytes":
                raise _RefusedError("label_bytes")
            values = _float32(_tensor(value).values)
        if len(values) > 1 or (not values and self.label_mode == "required"):
            raise _RefusedError("label_size", len(values), 1)
        if self.rows and bool(self.labels) != bool(values):
            raise _RefusedError("label_mixed", len(values))
        _check_finite(values, "label")
        self.labels.extend(values)

    def _weight(self, record: Any) -> None:
        if self.label_mode == "ignored" or "weight" not in record.label:
            self.weights.append(None)
            return
        value = record.label["weight"]
        if value.WhichOneof("value") == "bytes":
            raise _RefusedError("weight_bytes")
        numbers = _float32(_tensor(value).values)
        if len(numbers) != 1:
            raise _RefusedError("weight_size", len(numbers), 1)
        weight = numbers[0]
        if not (weight >= 0 and math.isfinite(weight)):
            weight = np.float32(math.nan) if math.isnan(weight) else weight
            raise _RefusedError("weight_value", int(weight.view(np.uint32)))
        self.weights.append(abs(weight))  # of -0.0 comes 0

    def block(self) -> RecordBlock:
        lengths = [len(row) for row in self.rows]
        rows = SparseRows(
            indptr=np.cumsum([0, *lengths], dtype=np.int64),
            indices=np.array([key for row in self.rows for key, _ in row], dtype=np.int32),
            values=np.array([value for row in self.rows for _, value in row], dtype=np.float32),
            feature_dim=self.widest_key if self.feature_dim is None else self.feature_dim,
        )
        has_labels = bool(self.labels) or self.label_mode == "required"
        labels = np.array(self.labels, dtype=np.float32) if has_labels else None
        weights = None
        if any(weight is not None for weight in self.weights):
            weights = np.array([1 if weight is None else weight for weight in self.weights], dtype=np.float32)
        return RecordBlock(rows=rows, labels=labels, dense_records=self.dense_records, weights=weights)


def _tensor(value: Any) -> Any:
    """The tensor that is set; an empty one if none is."""
    return getattr(value, value.WhichOneof("value") or _TENSORS[0])


def _float32(values: Any) -> list[np.float32]:
    with np.errstate(over="ignore"):
        return [np.float32(value) for value in values]


def _check_finite(values: list[np.float32], what: str) -> None:
    if any(math.isnan(value) for value in values):
        raise _RefusedError(f"{what}_nan")
    if any(math.isinf(value) for value in values):
        raise _RefusedError(f"{what}_infinite")
