"""Instances of JSON requests: the three forms that Amazon documents, turned into sparse rows.

::

    {"features": [0.5, 0, 1.5]}                                                   a list
    {"data": {"features": {"values": [0.5, 0, 1.5]}}}                             dense
    {"data": {"features": {"keys": [0, 2], "shape": [3], "values": [0.5, 1.5]}}}  sparse

Forms may be mixed in one request, and keys that are not named here (such as ``configuration``) are
ignored. Source: "Common data formats for inference" in Amazon's SageMaker developer guide.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from openfm.errors import RequestError
from openfm.fm.rows import SparseRows

__all__ = ["decode_instances"]

_EXAMPLE = '{"features": [0.5, 1.0]}'
_KEYS = "data.features.keys"
_VALUES = "data.features.values"

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def decode_instances(instances: Iterable[object], feature_dim: int) -> SparseRows:
    """Turn parsed JSON instances into rows.

    Values become float32 and zeros are then dropped, so that all forms of the same features give
    the same row; keys may come in any order. ``true`` and ``false`` count as 1 and 0.

    Args:
        instances: what :func:`openfm.codecs.parsing.parse_json` made of each instance.
        feature_dim: the width of the model's input.

    Raises:
        RequestError: An instance has neither form, is of another width, or holds a value that is
            not a finite number, a key out of range or the same key twice. The sentence names the
            instance, counted from 0, and the field.
    """
    collector = _Collector(feature_dim)
    for instance in instances:
        collector.add(instance)
    return collector.rows()


class _Collector:
    """Collects the numbers of all instances in flat arrays, then checks and sorts them all at once.

    Filling an ``array`` is the fastest way out of Python objects (twice as fast as
    ``numpy.array``), and a strict one: NumPy would read the string "1.5" as a number, and make room
    for the longest string of a list in every item.
    """

    def __init__(self, feature_dim: int) -> None:
        self._feature_dim = feature_dim
        self._values = array("f")
        self._keys = array("q")
        self._lengths: list[int] = []
        self._value_fields: list[str] = []
        self._any_sparse = False
        self._all_keys = b""

    def add(self, instance: object) -> None:
        """Take the next instance."""
        if not isinstance(instance, dict):
            raise self._error(f"must be an object such as {_EXAMPLE}, but is {_kind(instance)}")
        if "features" in instance and "data" in instance:
            raise self._error('has both "features" and "data"; send one of them')
        if "columns" in instance and instance.keys() & {"features", "data"}:
            raise self._error('has "columns" beside "features" or "data"; send one of them')
        if "features" in instance:
            self._add_dense("features", instance["features"])
        elif "data" in instance:
            self._add_data(instance["data"])
        elif "columns" in instance:
            raise self._error('has "columns", but instance 0 has not: send them in different requests')
        else:
            raise self._error(f'has neither "features" nor "data"; send {_EXAMPLE}')

    def rows(self) -> SparseRows:
        """All instances so far as rows.

        Raises:
            RequestError: A value is not finite, or a key is out of range or repeated.
        """
        values = np.asarray(self._values)
        keys = np.asarray(self._keys)
        starts = np.zeros(len(self._lengths) + 1, dtype=np.int64)
        np.cumsum(self._lengths, out=starts[1:])

        self._check(
            np.isfinite(values),
            starts,
            lambda instance, position: (
                f"{self._value_fields[instance]}[{position}] is not a finite number within the range of float32"
            ),
        )
        if self._any_sparse:
            order = self._sorted_order(keys, starts)
            values, keys = values[order], keys[order]

        kept = np.flatnonzero(values)
        return SparseRows(
            indptr=np.searchsorted(kept, starts).astype(np.int64),
            indices=keys[kept].astype(np.int32),
            values=values[kept],
            feature_dim=self._feature_dim,
        )

    def _sorted_order(self, keys: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
        """The permutation that sorts each instance's keys, once they are checked."""
        self._check(
            (keys >= 0) & (keys < self._feature_dim),
            starts,
            lambda instance, position: self._key_range(position, keys[starts[instance] + position]),
        )
        # One number that orders by instance first, then by key; it stays far below 2**63.
        rank = np.repeat(np.arange(len(self._lengths)), self._lengths) * self._feature_dim + keys
        order = np.argsort(rank, kind="stable")
        first_of_its_kind = np.ones(len(keys), dtype=bool)
        first_of_its_kind[order[1:]] = np.diff(rank[order]) > 0
        self._check(
            first_of_its_kind,
            starts,
            lambda instance, position: (
                f"{_KEYS}[{position}] is {keys[starts[instance] + position]}, which occurs before; a key may occur once"
            ),
        )
        return order

    def _add_data(self, data: object) -> None:
        features = data.get("features") if isinstance(data, dict) else None
        if not isinstance(features, dict):
            raise self._error('data must be an object such as {"features": {"values": [0.5, 1.0]}}')
        shape = features.get("shape")
        if shape not in (None, [], [self._feature_dim]):
            raise self._error(
                f"data.features.shape is {_clip(shape)}, but the model has feature_dim {self._feature_dim}"
            )
        if features.get("keys") is None:
            self._add_dense(_VALUES, features.get("values"))
        else:
            self._add_sparse(features["keys"], features.get("values"))

    def _add_dense(self, field: str, values: object) -> None:
        length = self._append_values(field, values)
        if length != self._feature_dim:
            raise self._error(f"{field} has {length} values, but the model has feature_dim {self._feature_dim}")
        if not self._all_keys:
            self._all_keys = np.arange(self._feature_dim, dtype=np.int64).tobytes()
        self._keys.frombytes(self._all_keys)
        self._finish(field, length)

    def _add_sparse(self, keys: object, values: object) -> None:
        length = self._append_values(_VALUES, values)
        if not isinstance(keys, list):
            raise self._error(f"{_KEYS} must be a list of whole numbers, but is {_kind(keys)}")
        if len(keys) != length:
            raise self._error(f"data.features has {len(keys)} keys but {length} values")
        try:
            self._keys.fromlist(keys)
        except (TypeError, OverflowError):
            position, key = _first(keys, lambda key: not _is_key(key))
            if isinstance(key, int):
                raise self._error(self._key_range(position, key)) from None
            raise self._error(f"{_KEYS}[{position}] must be a whole number, but is {_clip(key)}") from None
        self._any_sparse = True
        self._finish(_VALUES, length)

    def _append_values(self, field: str, values: object) -> int:
        if not isinstance(values, list):
            raise self._error(f"{field} must be a list of numbers, but is {_kind(values)}")
        try:
            self._values.fromlist(values)
        except TypeError:
            position, value = _first(values, lambda value: not isinstance(value, int | float))
            raise self._error(f"{field}[{position}] must be a number, but is {_clip(value)}") from None
        return len(values)

    def _finish(self, field: str, length: int) -> None:
        self._lengths.append(length)
        self._value_fields.append(field)

    def _key_range(self, position: int, key: int) -> str:
        return f"{_KEYS}[{position}] is {_clip(int(key))}, but the model has feature_dim {self._feature_dim}"

    def _check(
        self,
        good: npt.NDArray[np.bool_],
        starts: npt.NDArray[np.int64],
        complaint: Callable[[int, int], str],
    ) -> None:
        """Raise for the first entry that is not good.

        ``complaint`` makes the sentence out of the entry's instance and its position in it.
        """
        if good.all():
            return
        entry = int(np.argmin(good))
        instance = int(np.searchsorted(starts, entry, side="right")) - 1
        raise _instance_error(instance, complaint(instance, entry - int(starts[instance])))

    def _error(self, complaint: str) -> RequestError:
        return _instance_error(len(self._lengths), complaint)


def _instance_error(instance: int, complaint: str) -> RequestError:
    return RequestError(f"instance {instance}: {complaint}")


def _is_key(key: object) -> bool:
    return isinstance(key, int) and -(2**63) <= key < 2**63


def _first(items: list[Any], wanted: Callable[[Any], bool]) -> tuple[int, Any]:
    return next((position, item) for position, item in enumerate(items) if wanted(item))


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "a number")


def _clip(value: object) -> str:
    """The value for a sentence: short, whatever was sent."""
    # No repr of what was nested a thousand times: it raises RecursionError.
    if isinstance(value, dict) or (isinstance(value, list) and (len(value) > 4 or not all(map(_is_key, value)))):
        return _kind(value)
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
